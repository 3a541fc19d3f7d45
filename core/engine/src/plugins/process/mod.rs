//! Plugins that are processes: a root file system and an entrypoint, run by the engine's own runtime, which serve Docker's plugin
//! protocol on a unix socket.
//!
//! Such a process is launched like a container and is none: it has a monitor and a control group, and neither a record nor events.
//! [`plan`] says what it gets, [`launch`] starts it, [`keeper`] keeps it alive and ends it. Who speaks to it is behind
//! [`PluginRunner::greet`]. Its files:
//!
//! * `<data-root>/plugins/<id>/content-…/rootfs`, which it may change;
//! * `<data-root>/plugins/<id>/propagated-mount`, where its mounts reach the host (`PropagatedMount`);
//! * `<exec-root>/plugins/<id>`, its `/run/docker/plugins`; `<exec-root>/plugin-tasks/<id>`, its monitor's.

mod guard;
mod journal;
mod keeper;
mod launch;
mod plan;
mod propagated;

pub use keeper::Process;

use crate::{
    EngineConfig, Reloadable,
    containers::{blocking, plan::runtime},
};
use std::{collections::BTreeSet, fs, io, path::PathBuf, sync::Arc};
use wharf_api_types::plugin::{PluginConfig, PluginSettings};
use wharf_runtime::{
    spec::HostFacts,
    task::{RuntimeKind, ShimHost},
};
use wharf_spi::plugin::PluginRunner;
use wharf_types::{ContainerId, Error, Result, error::Context as _};

/// Name of the directory of propagated mounts in a plugin's directory.
const PROPAGATED: &str = "propagated-mount";

/// One plugin, as far as its process is concerned.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The plugin's id, as that of a task.
    pub id: ContainerId,
    /// The plugin's name.
    pub name: String,
    /// `config.json`.
    pub config: PluginConfig,
    /// What was set.
    pub settings: PluginSettings,
    /// The root file system.
    pub rootfs: PathBuf,
}

/// What all of them use.
pub struct Processes {
    plugins: PathBuf,
    sockets: PathBuf,
    runtime_root: PathBuf,
    cgroup_parent: String,
    runtime: RuntimeKind,
    host: HostFacts,
    shims: ShimHost,
    runner: Arc<dyn PluginRunner>,
}

impl Processes {
    /// Where they live, and who runs them and speaks to them.
    ///
    /// # Errors
    /// When directories cannot be made; 400 for an unknown default runtime.
    pub fn new(
        config: &EngineConfig,
        live: &Reloadable,
        host: &HostFacts,
        shims: &ShimHost,
        runner: Arc<dyn PluginRunner>,
    ) -> Result<Arc<Self>> {
        let sockets = config.exec_root.join("plugins");
        fs::create_dir_all(&sockets).context(sockets.display())?;
        Ok(Arc::new(Self {
            plugins: config.data_root.join("plugins"),
            sockets,
            runtime_root: config.exec_root.join("oci"),
            cgroup_parent: if config.cgroup_parent.is_empty() { "/wharf".to_owned() } else { config.cgroup_parent.clone() },
            runtime: runtime(live, &live.default_runtime)?,
            host: host.clone(),
            shims: shims.beside(&config.exec_root, "plugin-tasks")?,
            runner,
        }))
    }

    /// Below a directory of a test, with a program that is no monitor: nothing can be started.
    #[cfg(test)]
    pub fn for_test(dir: &std::path::Path, runner: Arc<dyn PluginRunner>) -> Arc<Self> {
        let (plugins, sockets) = (dir.join("plugins"), dir.join("sockets"));
        fs::create_dir_all(&plugins).unwrap();
        fs::create_dir_all(&sockets).unwrap();
        let shims = ShimHost::new(std::path::Path::new("/bin/true"), dir).unwrap();
        let (runtime_root, cgroup_parent) = (dir.join("oci"), "/test".to_owned());
        Arc::new(Self {
            plugins,
            sockets,
            runtime_root,
            cgroup_parent,
            runtime: RuntimeKind::Builtin,
            host: HostFacts::detect(std::path::Path::new("/")).unwrap(),
            shims,
            runner,
        })
    }

    /// Ends what an earlier daemon left running, and takes the mounts and sockets of plugins back. Those that are `enabled` keep
    /// their propagated mounts, which containers may be using.
    ///
    /// # Errors
    /// When there is no knowing what was left. One process that resists is logged.
    pub async fn sweep(self: &Arc<Self>, enabled: BTreeSet<String>) -> Result<()> {
        for id in self.shims.list()? {
            if let Err(e) = self.shims.cleanup(&id).await {
                tracing::error!(plugin = ?id, error = %e, "its last process is not removed");
            }
        }
        let on = self.clone();
        blocking(move || {
            for entry in fs::read_dir(&on.sockets)? {
                remove_dir(&entry?.path())?;
            }
            for entry in fs::read_dir(&on.plugins)? {
                let entry = entry?;
                if !enabled.contains(entry.file_name().to_string_lossy().as_ref()) {
                    propagated::unmount(&entry.path().join(PROPAGATED))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes sure that nothing is mounted in the directory of a plugin that is removed.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn release(self: &Arc<Self>, id: &str) -> Result<()> {
        let dir = self.plugins.join(id);
        blocking(move || propagated::unmount(&dir)).await
    }

    fn socket_dir(&self, id: &ContainerId) -> PathBuf {
        self.sockets.join(id.as_str())
    }

    fn propagated(&self, id: &ContainerId) -> PathBuf {
        self.plugins.join(id.as_str()).join(PROPAGATED)
    }

    /// Takes back what a plugin that does not run any more had: its socket, and what it mounted.
    async fn tidy(self: &Arc<Self>, id: &ContainerId) -> Result<()> {
        let (on, id) = (self.clone(), id.clone());
        blocking(move || {
            remove_dir(&on.socket_dir(&id))?;
            propagated::unmount(&on.propagated(&id))
        })
        .await
    }
}

/// Removes a directory that may be gone.
fn remove_dir(dir: &std::path::Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::from(e).context(dir.display())),
        _ => Ok(()),
    }
}
