//! SIGHUP: the configuration is read and checked again, and what can change while the daemon runs does. A configuration that
//! is refused changes nothing.

use crate::{
    boot,
    config::{Config, Flags, Process, table},
    trace,
};
use wharf_engine::Engine;

/// What a reload starts from.
pub struct Reloader {
    flags: Flags,
    booted: Config,
    cgroup_v2: bool,
    engine: Engine,
}

impl Reloader {
    /// For a daemon that was started with `flags` and configured as `booted`.
    pub fn new(flags: Flags, booted: Config, cgroup_v2: bool, engine: Engine) -> Self {
        Self { flags, booted, cgroup_v2, engine }
    }

    /// Reads the configuration again. Failures are logged. Blocks for the file.
    pub fn run(&self) {
        tracing::info!("Got signal to reload configuration");
        if let Err(e) = self.apply() {
            tracing::error!("the configuration is not reloaded, the old one stays: {e:#}");
            // Whoever moved the file of the decision log away expects this of the signal in any case.
            if let Err(e) = self.engine.plugins.reopen_decision_log() {
                tracing::error!("{e}");
            }
        }
    }

    fn apply(&self) -> anyhow::Result<()> {
        let config = Config::load(&self.flags, &Process)?;
        let settings = boot::reloadable(&config, self.cgroup_v2)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let later = table::needing_restart(&self.booted.options, &config.options);
        if !later.is_empty() {
            tracing::warn!("options that change at the next start only: {}", later.join(", "));
        }
        self.engine.plugins.log_decisions(config.authorization_log)?;
        trace::set_level(config.log.level);
        self.engine.system.reload(settings);
        let chain = self.engine.plugins.authorize_with(config.authorization_plugins, config.authorization_monitor);
        tokio::runtime::Handle::current().block_on(chain);
        tracing::info!("configuration reloaded");
        Ok(())
    }
}
