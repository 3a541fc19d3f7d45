//! What is known of a container: its durable specification, its state, and the view that readers get.

use super::health::Health;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};
use wharf_api_types::{
    container::{Config, HostConfig},
    mount::MountPoint,
    network::NetworkingConfig,
};
use wharf_network::Endpoint;
use wharf_spi::authz::Bind;
use wharf_types::{ContainerId, ContainerName, Digest, Timestamp};

/// The durable intent, `containers/<id>/config.json`: written (synced) at create and rename, never by state changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The id.
    pub id: ContainerId,
    /// The current name.
    pub name: ContainerName,
    /// When it was created.
    pub created: Timestamp,
    /// The image's id at create.
    pub image: Digest,
    /// Chain ids of the image's layers, base first: they stay as long as this container, even when the image goes.
    pub layers: Vec<Digest>,
    /// The merged configuration of user and image; `Config.Image` is the reference as given.
    pub config: Config,
    /// The effective host configuration: defaults filled in.
    pub host_config: HostConfig,
    /// Endpoints as asked for.
    pub networking: NetworkingConfig,
    /// First word of the command.
    pub path: String,
    /// The rest of the command.
    pub args: Vec<String>,
    /// Mounts as inspect shows them.
    pub mounts: Vec<MountPoint>,
    /// Snapshotter that holds the container's layer.
    pub driver: String,
    /// The container's log file; empty without one.
    pub log_path: PathBuf,
}

impl ContainerSpec {
    /// Whether this container joins another one's network (`container:<id>`), and whose.
    pub fn network_container(&self) -> Option<&str> {
        self.host_config.network_mode.strip_prefix("container:")
    }
}

/// A directory or file of the host with every link followed, and the place in the container that it was allowed for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedBind {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
}

impl From<Bind> for AllowedBind {
    fn from(Bind { source, target, .. }: Bind) -> Self {
        Self { source: source.into(), target: target.into() }
    }
}

/// What changes while a container lives, `containers/<id>/state.json`: replaced atomically, not synced. A lost or torn one
/// after a power failure reads as never started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// The process runs, or waits to be restarted.
    pub running: bool,
    /// Frozen.
    pub paused: bool,
    /// Waiting for the restart policy's back-off.
    pub restarting: bool,
    /// Being removed (never stored: a removed container's directory is gone).
    #[serde(skip)]
    pub removing: bool,
    /// The kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Pid of the first process; 0 when it does not run.
    pub pid: i32,
    /// Exit code of the last run.
    pub exit_code: i32,
    /// Why the last start failed; empty otherwise.
    pub error: String,
    /// Start of the last run.
    pub started_at: Option<Timestamp>,
    /// End of the last run.
    pub finished_at: Option<Timestamp>,
    /// Restarts by policy since the last start by hand.
    pub restart_count: u32,
    /// Stopped by hand: `unless-stopped` stays down over a daemon restart.
    pub manually_stopped: bool,
    /// Where its binds led when its creation or its last start was allowed; none when nobody was asked.
    pub allowed_binds: Option<Vec<AllowedBind>>,
    /// What its health check found; none without one, and before the first start.
    pub health: Option<Health>,
    /// Its place in the default network: a runtime fact, kept under the exec root.
    #[serde(skip)]
    pub endpoint: Option<Endpoint>,
}

/// The words of `State.Status` and of the `status` filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Never started.
    Created,
    /// Runs.
    Running,
    /// Runs, frozen.
    Paused,
    /// Ended, and will be started again by its policy.
    Restarting,
    /// Is being removed.
    Removing,
    /// Ended.
    Exited,
}

impl Status {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
        }
    }
}

impl ContainerState {
    /// Whether a start was tried, with or without success: there is a network and there are files since.
    pub fn was_launched(&self) -> bool {
        self.started_at.is_some() || !self.error.is_empty()
    }

    /// Health in a word, as filters and lists have it.
    pub fn health_word(&self) -> &'static str {
        self.health.as_ref().map_or("none", |h| h.status.as_str())
    }

    /// The one word for this state, tested in dockerd's order: paused, restarting, running, removing, created, exited.
    pub fn status(&self) -> Status {
        match self {
            Self { paused: true, .. } => Status::Paused,
            Self { restarting: true, .. } => Status::Restarting,
            Self { running: true, .. } => Status::Running,
            Self { removing: true, .. } => Status::Removing,
            Self { started_at: None, .. } => Status::Created,
            _ => Status::Exited,
        }
    }
}

/// An immutable picture of a container.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// The specification.
    pub spec: Arc<ContainerSpec>,
    /// The state.
    pub state: Arc<ContainerState>,
}

impl ContainerView {
    /// The id.
    pub fn id(&self) -> &ContainerId {
        &self.spec.id
    }
    /// The name without slash.
    pub fn name(&self) -> &str {
        self.spec.name.as_str()
    }
}
