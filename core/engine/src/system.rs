//! Facts about the host and the engine.

use crate::containers::{ContainerView, Shared, Status};
use crate::metrics::Timer;
use crate::{
    Reloadable,
    config::{RuntimeConfig, SeccompDefault},
};
use std::{path::PathBuf, sync::Arc, time::Instant};
use wharf_types::Timestamp;

/// The service.
#[derive(Clone)]
pub struct System {
    facts: Arc<HostFacts>,
    shared: Arc<Shared>,
}

/// What the host is and offers; looked up once at boot by the daemon.
#[derive(Clone, Debug, Default)]
pub struct HostFacts {
    /// Stable id of this engine (`<data-root>/engine-id`).
    pub engine_id: String,
    /// `uname -r`.
    pub kernel: String,
    /// `PRETTY_NAME` of os-release.
    pub operating_system: String,
    /// `VERSION_ID` of os-release.
    pub os_version: String,
    /// `x86_64`, `aarch64`, …
    pub machine: String,
    /// Host name.
    pub hostname: String,
    /// Usable CPUs.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Limits that the kernel can enforce.
    pub limits: LimitSupport,
    /// Whether IPv4 forwarding is on.
    pub ipv4_forwarding: bool,
    /// Whether seccomp filters work.
    pub seccomp: bool,
    /// Whether AppArmor is on.
    pub apparmor: bool,
}

/// Which resource limits the kernel can enforce.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitSupport {
    /// Memory.
    pub memory: bool,
    /// Swap.
    pub swap: bool,
    /// Switching the OOM killer off (cgroup v1 only).
    pub oom_kill_disable: bool,
    /// CFS period.
    pub cpu_cfs_period: bool,
    /// CFS quota.
    pub cpu_cfs_quota: bool,
    /// CPU shares or weight.
    pub cpu_shares: bool,
    /// CPU sets.
    pub cpuset: bool,
    /// Number of processes.
    pub pids: bool,
    /// Block I/O weight.
    pub blkio_weight: bool,
    /// Block I/O throttling.
    pub blkio_throttle: bool,
}

/// The part of `/info` that changes.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// Containers by state: all, running, paused, stopped.
    pub containers: [usize; 4],
    /// Number of images.
    pub images: usize,
    /// The snapshotter.
    pub driver: String,
    /// Facts about the snapshotter, in order.
    pub driver_status: Vec<(String, String)>,
    /// The default log driver.
    pub log_driver: String,
    /// Log drivers that there are.
    pub log_drivers: Vec<String>,
    /// The default seccomp profile: `builtin`, `unconfined` or `custom`.
    pub seccomp_profile: &'static str,
    /// Whether containers cannot gain privileges unless they say otherwise.
    pub no_new_privileges: bool,
    /// Whether containers get a cgroup namespace of their own unless they say otherwise.
    pub cgroup_namespaces: bool,
    /// The init binary; `builtin` for the one inside the monitor.
    pub init_binary: String,
    /// What filters the default network's packets; none when nothing does.
    pub firewall: Option<&'static str>,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// Runtimes by name.
    pub runtimes: Vec<(String, RuntimeConfig)>,
    /// The default runtime.
    pub default_runtime: String,
    /// Open files of this process.
    pub open_files: usize,
    /// Event subscribers.
    pub event_listeners: usize,
    /// Engine labels.
    pub labels: Vec<String>,
    /// Whether containers survive the daemon.
    pub live_restore: bool,
    /// Whether debug logging is on.
    pub debug: bool,
    /// Registries that may go without TLS.
    pub insecure_registries: wharf_registry::Insecure,
    /// Data root.
    pub root: PathBuf,
    /// Now.
    pub time: Timestamp,
}

impl System {
    /// The service on this host.
    pub fn new(facts: HostFacts, shared: Arc<Shared>) -> Self {
        Self { facts: Arc::new(facts), shared }
    }

    /// What the host offers.
    pub fn host(&self) -> &HostFacts {
        &self.facts
    }

    /// The snapshotter.
    pub fn driver(&self) -> &str {
        self.shared.layers.driver()
    }

    /// Takes over new settings and tells so. What runs keeps what it was started with.
    pub fn reload(&self, settings: Reloadable) {
        let mut attributes = settings.attributes();
        attributes.insert("name".to_owned(), self.facts.hostname.clone());
        self.shared.live.store(Arc::new(settings));
        self.shared.events.publish("daemon", "reload", &self.facts.engine_id, attributes);
    }

    /// The state of the engine now, with these containers and so many images.
    pub fn info(&self, containers: &[ContainerView], images: usize) -> EngineInfo {
        let began = Instant::now();
        let (config, live) = (&self.shared.config, self.shared.live.load());
        let mut counts = [0; 4];
        let [all, running, paused, stopped] = &mut counts;
        for view in containers {
            *all += 1;
            *match view.state.status() {
                Status::Running | Status::Restarting => &mut *running,
                Status::Paused => &mut *paused,
                _ => &mut *stopped,
            } += 1;
        }
        let builtin = RuntimeConfig { path: "wharf-shim".into(), args: Vec::new() };
        let builtin = (crate::config::BUILTIN_RUNTIME.to_owned(), builtin);
        let named = live.runtimes.iter().map(|(name, runtime)| (name.clone(), runtime.clone()));
        let info = EngineInfo {
            containers: counts,
            images,
            driver: self.shared.layers.driver().to_owned(),
            driver_status: self.shared.layers.status(),
            log_driver: config.log_driver.clone(),
            log_drivers: wharf_logs::DRIVERS.map(str::to_owned).to_vec(),
            seccomp_profile: match config.seccomp_profile {
                SeccompDefault::Builtin => "builtin",
                SeccompDefault::Unconfined => "unconfined",
                SeccompDefault::Profile(_) => "custom",
            },
            no_new_privileges: config.no_new_privileges,
            cgroup_namespaces: live.default_cgroupns_mode == "private",
            init_binary: config.init_path.as_ref().map_or_else(|| "builtin".to_owned(), |p| p.display().to_string()),
            firewall: self.shared.network.as_ref().filter(|n| n.has_firewall()).map(|_| "nftables"),
            cgroup_driver: "cgroupfs".to_owned(),
            runtimes: std::iter::once(builtin).chain(named).collect(),
            default_runtime: live.default_runtime.clone(),
            open_files: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            event_listeners: self.shared.events.listeners(),
            labels: live.labels.clone(),
            live_restore: live.live_restore,
            debug: live.debug,
            insecure_registries: live.insecure_registries.clone(),
            root: config.data_root.clone(),
            time: Timestamp::now(),
        };
        self.shared.metrics.observe(Timer::SystemInfo, began);
        info
    }
}
