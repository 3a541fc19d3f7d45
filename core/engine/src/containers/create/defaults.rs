//! What a request leaves open and neither the image nor the user says: the daemon's defaults. Those that depend on the API
//! version are filled in before, where the request is decoded.

use crate::{
    EngineConfig, Reloadable,
    containers::{health, restart},
};
use wharf_api_types::container::{Config, HostConfig};
use wharf_runtime::spec::{HostFacts, ResourcesPlan, default_masked_paths, default_readonly_paths};
use wharf_types::{ContainerId, Error, Result, Signal};

/// The longest host name that Linux takes, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Fills `host`.
///
/// # Errors
/// 400 for modes and policies that do not exist.
pub fn fill(config: &EngineConfig, live: &Reloadable, host: &mut HostConfig) -> Result<()> {
    if matches!(host.network_mode.as_str(), "" | "default") {
        "bridge".clone_into(&mut host.network_mode);
    }
    restart::validate(&mut host.restart_policy)?;
    if host.auto_remove && host.restart_policy.name != "no" {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    if host.runtime.is_empty() {
        host.runtime.clone_from(&live.default_runtime);
    }
    if host.shm_size == 0 {
        host.shm_size = live.default_shm_size;
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode.clone_from(&live.default_ipc_mode);
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode.clone_from(&live.default_cgroupns_mode);
    }
    fill_log(config, host);
    check_modes(host)
}

/// The daemon's driver, with its options where the same driver is meant.
fn fill_log(config: &EngineConfig, host: &mut HostConfig) {
    let log = &mut host.log_config;
    if log.kind.is_empty() {
        log.kind.clone_from(&config.log_driver);
    }
    if log.kind == config.log_driver {
        for (key, value) in &config.log_opts {
            log.config.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

fn check_modes(host: &HostConfig) -> Result<()> {
    let joins = |mode: &str| mode.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    let check = |mode: &str, known: &[&str], text: &str| {
        if known.contains(&mode) || (text != "UTS" && text != "cgroup namespace" && joins(mode)) {
            Ok(())
        } else {
            Err(Error::invalid(format!("invalid {text} mode: {mode}")))
        }
    };
    check(&host.pid_mode, &["", "host"], "PID")?;
    check(&host.ipc_mode, &["private", "shareable", "host", "none"], "IPC")?;
    check(&host.uts_mode, &["", "host"], "UTS")?;
    check(&host.cgroupns_mode, &["private", "host"], "cgroup namespace")
}

/// Fills what depends on the id and the host: the host name; and checks what only a start would notice.
///
/// # Errors
/// 400 in Docker's words.
pub fn config(id: &ContainerId, config: &mut Config, host: &HostConfig) -> Result<()> {
    if config.hostname.len() > MAX_HOSTNAME {
        return Err(Error::invalid(format!("invalid hostname: {} is longer than {MAX_HOSTNAME} bytes", config.hostname)));
    }
    if config.hostname.is_empty() {
        let of_host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|h| h.trim().to_owned()).ok();
        config.hostname = match host.network_mode.as_str() {
            "host" => of_host().unwrap_or_else(|| id.short().to_owned()),
            _ => id.short().to_owned(),
        };
    }
    if !config.stop_signal.is_empty() {
        config.stop_signal.parse::<Signal>()?;
    }
    for entry in config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') {
            return Err(Error::invalid(format!("invalid environment variable: {entry}")));
        }
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid(format!("the working directory '{}' is invalid, it needs to be an absolute path", config.working_dir)));
    }
    if let Some(health) = &config.healthcheck {
        health::validate(health)?;
    }
    if host.annotations.contains_key("") {
        return Err(Error::invalid("invalid Annotations: the empty string is not permitted as an annotation key"));
    }
    Ok(())
}

/// Writes the effective values back, so that inspect shows what is in force.
pub fn settle(host: &mut HostConfig, resources: &ResourcesPlan, facts: &HostFacts) {
    if let Some(swap) = resources.memory_swap.filter(|_| host.memory > 0 && host.memory_swap == 0) {
        host.memory_swap = swap;
    }
    if host.oom_kill_disable.is_none() {
        host.oom_kill_disable = Some(false);
    }
    host.ulimits.get_or_insert_default();
    // A privileged container has none unless it names them.
    if !host.privileged {
        host.masked_paths.get_or_insert_with(|| default_masked_paths(facts));
        host.readonly_paths.get_or_insert_with(default_readonly_paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_checked_in_dockers_words() {
        let host = |f: fn(&mut HostConfig)| {
            let mut h = HostConfig { ipc_mode: "private".into(), cgroupns_mode: "host".into(), ..HostConfig::default() };
            f(&mut h);
            check_modes(&h).map_err(|e| e.message().to_owned())
        };
        assert!(host(|_| {}).is_ok());
        assert!(host(|h| h.pid_mode = "container:x".into()).is_ok());
        assert_eq!(host(|h| h.pid_mode = "x".into()).unwrap_err(), "invalid PID mode: x");
        assert_eq!(host(|h| h.ipc_mode = "container:".into()).unwrap_err(), "invalid IPC mode: container:");
        assert_eq!(host(|h| h.uts_mode = "container:x".into()).unwrap_err(), "invalid UTS mode: container:x");
    }
}
