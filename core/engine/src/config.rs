//! What the engine needs to know from the daemon's configuration: defaults for containers, and where things live.

use std::{collections::BTreeMap, path::PathBuf};
use wharf_api_types::container::Ulimit;

/// Name of the runtime inside the monitor.
pub const BUILTIN_RUNTIME: &str = "builtin";

/// Settings of the engine, validated by the daemon.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Durable state.
    pub data_root: PathBuf,
    /// Runtime facts, gone after a reboot.
    pub exec_root: PathBuf,
    /// What else the engine is ruled by: sockets, settings, programs and plugins. Who has one of these is root of the host.
    pub own_paths: Vec<PathBuf>,
    /// The monitor's binary; it is also the built-in init.
    pub shim: PathBuf,
    /// Limits for containers that set none of that name.
    pub default_ulimits: BTreeMap<String, Ulimit>,
    /// Whether containers get an init process unless they say otherwise.
    pub init: bool,
    /// The init binary, when it is not the built-in one.
    pub init_path: Option<PathBuf>,
    /// The default seccomp profile.
    pub seccomp_profile: SeccompDefault,
    /// Whether `no_new_privs` is set unless a container says otherwise.
    pub no_new_privileges: bool,
    /// Parent cgroup; empty for `/wharf`.
    pub cgroup_parent: String,
    /// Log driver for containers that name none.
    pub log_driver: String,
    /// Options of the default log driver.
    pub log_opts: BTreeMap<String, String>,
    /// DNS servers for containers that name none.
    pub dns: Vec<String>,
    /// resolv.conf options for containers that name none.
    pub dns_options: Vec<String>,
    /// Search domains for containers that name none.
    pub dns_search: Vec<String>,
    /// Addresses behind `host-gateway`; empty for the bridge's gateway.
    pub host_gateway_ips: Vec<std::net::IpAddr>,
}

/// The settings that a running engine takes over when its configuration is read again.
#[derive(Clone, Debug)]
pub struct Reloadable {
    /// OCI runtimes by name, beside the built-in one.
    pub runtimes: BTreeMap<String, RuntimeConfig>,
    /// Name of the runtime for containers that name none.
    pub default_runtime: String,
    /// Seconds between stop signal and SIGKILL; -1 waits for ever.
    pub default_stop_timeout: i64,
    /// Seconds that the daemon's own stop may take at the most, before containers ask for more; -1 waits for ever.
    pub shutdown_timeout: i64,
    /// Whether containers survive the daemon's stop.
    pub live_restore: bool,
    /// Bytes of /dev/shm.
    pub default_shm_size: i64,
    /// `private` or `shareable`.
    pub default_ipc_mode: String,
    /// `private` or `host`.
    pub default_cgroupns_mode: String,
    /// Engine labels, as `key=value`.
    pub labels: Vec<String>,
    /// Whether debug logging is on (`/info`).
    pub debug: bool,
    /// Registries that may go without TLS.
    pub insecure_registries: wharf_registry::Insecure,
}

impl Reloadable {
    /// What the event `reload` says, in dockerd's form.
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let runtimes: Vec<_> = self.runtimes.iter().map(|(name, runtime)| format!("{name}:{}", runtime.path.display())).collect();
        [
            ("debug", self.debug.to_string()),
            ("default-cgroupns-mode", self.default_cgroupns_mode.clone()),
            ("default-ipc-mode", self.default_ipc_mode.clone()),
            ("default-runtime", self.default_runtime.clone()),
            ("default-shm-size", self.default_shm_size.to_string()),
            ("default-stop-timeout", self.default_stop_timeout.to_string()),
            ("insecure-registries", serde_json::Value::from(self.insecure_registries.given()).to_string()),
            ("labels", serde_json::Value::from(self.labels.clone()).to_string()),
            ("live-restore", self.live_restore.to_string()),
            ("runtimes", runtimes.join(" ")),
            ("shutdown-timeout", self.shutdown_timeout.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}

/// An OCI runtime from `daemon.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Name or path of the binary.
    pub path: PathBuf,
    /// Arguments before the verb.
    pub args: Vec<String>,
}

/// The seccomp profile of containers that name none.
#[derive(Clone, Debug)]
pub enum SeccompDefault {
    /// Docker's default profile.
    Builtin,
    /// No filter.
    Unconfined,
    /// The content of a profile file.
    Profile(String),
}
