//! What every container's actor uses: the crates below, by handle.

use super::{ContainerSpec, ContainerState, index::Index};
use crate::{EngineConfig, Events, Images, Reloadable, execs::ExecTable, metrics::Metrics};
use arc_swap::ArcSwap;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};
use wharf_layers::Layers;
use wharf_network::BridgeNetwork;
use wharf_runtime::{spec::HostFacts, task::ShimHost};
use wharf_store::{DocDir, Durability, write_atomic};
use wharf_types::{ContainerId, Result, error::Context as _};

/// The collaborators of containers.
pub struct Shared {
    /// Settings.
    pub config: EngineConfig,
    /// Settings that a reload replaces.
    pub live: ArcSwap<Reloadable>,
    /// What the host can do, for specs.
    pub host: HostFacts,
    /// Root file systems.
    pub layers: Arc<Layers>,
    /// The default network; none when the bridge is switched off.
    pub network: Option<BridgeNetwork>,
    /// Monitors.
    pub shims: ShimHost,
    /// The event bus.
    pub events: Events,
    /// Processes beside the first one.
    pub execs: Arc<ExecTable>,
    /// Which containers there are.
    pub index: Arc<Index>,
    /// The durable documents: `<data-root>/containers/<id>/config.json`.
    pub specs: DocDir<ContainerSpec>,
    /// Images.
    pub images: Images,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Set once the daemon stops: exits do not restart anything any more.
    pub stopping: AtomicBool,
}

/// Name of the durable document in a container's directory.
pub(crate) const SPEC_FILE: &str = "config.json";
/// Name of the state document in a container's directory.
pub(crate) const STATE_FILE: &str = "state.json";

impl Shared {
    /// `<data-root>/containers/<id>`.
    pub fn dir(&self, id: &ContainerId) -> PathBuf {
        self.specs.root().join(id.as_str())
    }
    /// Where a container's network namespace is pinned.
    pub fn netns(&self, id: &ContainerId) -> PathBuf {
        self.config.exec_root.join("netns").join(id.as_str())
    }
    /// Where a container's endpoint is kept while it is connected.
    pub fn endpoint_file(&self, id: &ContainerId) -> PathBuf {
        self.config.exec_root.join("endpoints").join(format!("{id}.json"))
    }
    /// Where a shareable `/dev/shm` is mounted.
    pub fn shm(&self, id: &ContainerId) -> PathBuf {
        self.dir(id).join("shm")
    }

    /// The state document; a missing or torn one reads as never started.
    pub fn read_state(&self, id: &ContainerId) -> ContainerState {
        let text = std::fs::read(self.dir(id).join(STATE_FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes the state document; it survives the death of any process.
    pub fn write_state(&self, id: &ContainerId, state: &ContainerState) -> Result<()> {
        let path = self.dir(id).join(STATE_FILE);
        write_atomic(&path, &serde_json::to_vec(state)?, Durability::Cached).context(format!("save state of container {id}"))
    }
}

/// Runs blocking work off the async threads.
///
/// # Errors
/// What the work returns; a panic in it becomes a [`wharf_types::ErrorKind::System`] error.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("blocking work")?
}
