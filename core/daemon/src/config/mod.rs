//! The configuration: flags and `daemon.json` in, one valid [`Config`] out.
//!
//! Loading reads files and environment and does nothing else. Read [`table`] first (every option is a row), then [`load`];
//! the steps are [`flags`] and [`file`] (shape), [`raw`] (types), [`resolve`] [`network`] and `tls` (meaning).

mod file;
pub mod flags;
pub mod host;
mod kind;
pub mod network;
mod plugins;
mod raw;
pub mod reference;
mod resolve;
mod size;
pub mod table;
mod tls;

pub use file::{Process, Source};
pub use flags::{Action, Flags, Rejected};
pub use host::Host;
pub use network::{Bridge, Network, Pool};
pub use plugins::check as check_plugins;
pub use tls::Tls;

use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use wharf_api_types::ApiVersion;
use wharf_engine::plugins::{DecisionLogSettings, PlacedPlugin};
use wharf_registry::Insecure;
use wharf_types::Result;

/// Everything that was decided before the daemon starts; any value of this type is valid.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The daemon's own log.
    pub log: Log,
    /// Whether debug endpoints are served.
    pub debug: bool,
    /// File for the process id.
    pub pidfile: PathBuf,
    /// How long containers may take to stop with the daemon; `None` for no limit.
    pub shutdown_timeout: Option<Duration>,
    /// Whether containers outlive a clean stop of the daemon.
    pub live_restore: bool,
    /// The daemon's labels, `name=value` each.
    pub labels: Vec<String>,
    /// Where the API is served; at least one.
    pub hosts: Vec<Host>,
    /// TLS of the TCP addresses; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// Group name or number that owns the unix sockets.
    pub group: String,
    /// Oldest API version served.
    pub min_api_version: ApiVersion,
    /// Everything that outlives a reboot.
    pub data_root: PathBuf,
    /// Everything about running containers.
    pub exec_root: PathBuf,
    /// `None`: chosen by what the file system can do.
    pub storage_driver: Option<StorageDriver>,
    /// OCI runtimes.
    pub runtimes: Runtimes,
    /// The monitor's binary, when named.
    pub shim_path: Option<PathBuf>,
    /// Parent cgroup of all containers.
    pub cgroup_parent: Option<String>,
    /// What containers get by default.
    pub containers: Containers,
    /// The default network.
    pub network: Network,
    /// Registries that may go without TLS.
    pub insecure_registries: Insecure,
    /// Plugins that judge requests, in order.
    pub authorization_plugins: Vec<String>,
    /// Those of them that are not obeyed.
    pub authorization_monitor: Vec<String>,
    /// Where decisions are written, and which.
    pub authorization_log: Option<DecisionLogSettings>,
    /// Plugins that are named with their directories.
    pub plugins: Vec<PlacedPlugin>,
    /// Whether plugins that are native libraries may be loaded.
    pub allow_native_plugins: bool,
    /// Host and port where numbers are served.
    pub metrics_addr: Option<(String, u16)>,
    /// Options that were accepted without effect, for the log.
    pub warnings: Vec<String>,
    /// The options that this was made of, by key: for telling what changed.
    pub options: Map<String, Value>,
}

/// The daemon's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Lowest level that is written.
    pub level: tracing::Level,
    /// One JSON object per line instead of text.
    pub json: bool,
}

/// How layers become a root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageDriver {
    /// The kernel's overlay file system.
    Overlay2,
    /// A full copy per layer.
    Vfs,
}

impl std::fmt::Display for StorageDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Overlay2 => "overlay2",
            Self::Vfs => "vfs",
        })
    }
}

/// The OCI runtimes that containers may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtimes {
    /// The default one: [`Runtimes::BUILTIN`], [`Runtimes::RUNC`] or a key of `named`.
    pub default: String,
    /// Those of the configuration.
    pub named: BTreeMap<String, Runtime>,
}

impl Runtimes {
    /// The runtime inside the monitor.
    pub const BUILTIN: &'static str = "builtin";
    /// The host's `runc`, looked up in `PATH`.
    pub const RUNC: &'static str = "runc";
}

/// An external OCI runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// The binary: a path, or a name to look up in `PATH`.
    pub path: PathBuf,
    /// Arguments before the runtime's own.
    pub args: Vec<String>,
}

/// What a container gets when its creation does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    /// Time between the stop signal and SIGKILL; `None` for no limit.
    pub stop_timeout: Option<Duration>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// IPC namespace.
    pub ipc_mode: IpcMode,
    /// Cgroup namespace; `None`: private on cgroup v2, host on v1.
    pub cgroupns_mode: Option<CgroupnsMode>,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// Whether an init process comes first.
    pub init: bool,
    /// An init binary other than the built-in one.
    pub init_path: Option<PathBuf>,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Whether set-id programs gain nothing.
    pub no_new_privileges: bool,
    /// Log driver.
    pub log_driver: String,
    /// Its options.
    pub log_opts: BTreeMap<String, String>,
}

/// Default IPC namespace of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpcMode {
    /// Its own.
    Private,
    /// Its own, and others may join.
    Shareable,
}

/// Default cgroup namespace of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupnsMode {
    /// The daemon's.
    Host,
    /// Its own.
    Private,
}

/// Default system call filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seccomp {
    /// Wharf's own profile.
    Builtin,
    /// None.
    Unconfined,
    /// A profile in Docker's JSON form.
    File(PathBuf),
}

/// A resource limit; -1 is unlimited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Name without `RLIMIT_`, in lower case.
    pub name: String,
    /// Soft limit.
    pub soft: i64,
    /// Hard limit.
    pub hard: i64,
}

impl Config {
    /// The configuration that `flags`, the file and the environment make together.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`], naming the option (and the file, when it is at fault).
    pub fn load(flags: &Flags, source: &dyn Source) -> Result<Self> {
        let default_file = table::TABLE.iter().find(|o| o.key == table::CONFIG_FILE).map_or("", |o| o.default);
        let (path, may_miss) = match &flags.config_file {
            Some(path) => (path.clone(), path.as_os_str() == default_file),
            None => (PathBuf::from(default_file), true),
        };
        let in_file = file::load(source, &path, may_miss)?;
        let mut keys = file::unite(in_file, flags.given.clone())?;
        let mut warnings = file::supported(&mut keys)?;
        for option in table::TABLE {
            if let Some(value) = option.env.and_then(|name| source.var(name)) {
                keys.insert(option.key.to_owned(), value.into());
            }
        }
        warnings.extend(tls::complete(&mut keys, source));
        let options = with_defaults(keys);
        let config = resolve::config(raw::Raw::from_keys(options.clone())?)?;
        Ok(Self { warnings, options, ..config })
    }
}

/// Fills in the table's defaults.
fn with_defaults(mut keys: Map<String, Value>) -> Map<String, Value> {
    for option in table::TABLE.iter().filter(|o| o.in_file && !o.default.is_empty()) {
        // The table's test shows that every default has its option's shape.
        if let Ok(value) = option.kind.read_flag(&[option.default.to_owned()]) {
            keys.entry(option.key).or_insert(value);
        }
    }
    keys
}

#[cfg(test)]
mod tests;
