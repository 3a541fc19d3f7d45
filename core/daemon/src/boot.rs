//! Boot, in order: pid file → data-root lock → directories and id → storage → network → monitors → containers → sockets.
//! Nothing listens before everything else is right, so the first answer is a true one.

use crate::{
    check::facts::Facts,
    config::{Bridge, CgroupnsMode, Config, Flags, Host, IpcMode, Network, Runtimes, Seccomp, StorageDriver},
    daemon::Daemon,
    listen::{self, Listener, Sockets, tls},
    metrics::{self, Metrics},
    pidfile::Pidfile,
    reload::Reloader,
    shim_path,
};
use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use wharf_api::{Cx, Settings};
use wharf_api_types::container::Ulimit;
use wharf_engine::{
    Engine, EngineConfig, Parts, Reloadable,
    config::{RuntimeConfig, SeccompDefault},
    system::{HostFacts, LimitSupport},
};
use wharf_images::ImageStore;
use wharf_layers::Layers;
use wharf_network::{BridgeConfig, BridgeNetwork};
use wharf_plugin_host::{
    Runner,
    legacy::{Discovery, NativePlugins},
    wasm,
};
use wharf_registry::Client;
use wharf_runtime::{spec, task::ShimHost};
use wharf_store::{DataRootLock, Durability, write_atomic};

/// The first argument that makes this program a compiler of components.
pub const COMPILE_COMPONENT: &str = "compile-component";
/// The default bridge's interface.
const BRIDGE: &str = "wharf0";

/// Builds the daemon.
///
/// # Errors
/// The first step that fails, named.
pub async fn build(flags: Flags, config: Config, sockets: Sockets) -> anyhow::Result<Daemon> {
    let tls = config.tls.as_ref().map(tls::Server::load).transpose()?;
    let pidfile = Pidfile::acquire(&config.pidfile)?;
    make_dir(&config.data_root, 0o710)?;
    make_dir(&config.exec_root, 0o711)?;
    let lock = DataRootLock::acquire(&config.data_root)?;
    let metrics = match &config.metrics_addr {
        Some(address) => Some(metrics::bind(address).await?),
        None => None,
    };
    let spec_host = spec::HostFacts::detect(Path::new("/")).context("look at the host")?;
    let shim = shim_path::find(config.shim_path.as_deref(), std::env::current_exe().ok().as_deref())?;

    let layers = open_layers(&config)?;
    let images = ImageStore::open(&config.data_root).context("open the image store")?;
    let network = match bridge_config(&config.network) {
        Some(bridge) => Some(BridgeNetwork::ensure(bridge, &config.data_root.join("network")).await.context("set up the default network")?),
        None => None,
    };
    let engine_config = engine_config(&flags, &config, shim.clone())?;
    let cgroup_v2 = spec_host.cgroup == spec::CgroupVersion::V2;
    let live = reloadable(&config, cgroup_v2)?;
    // After the network, which turns forwarding on.
    let facts = host_facts(&config.data_root, &Facts::read(Path::new("/")))?;
    let runner = Arc::new(runner(&config.data_root, network.as_ref(), config.allow_native_plugins));
    let parts = Parts {
        shims: ShimHost::new(&shim, &config.exec_root)?,
        config: engine_config,
        live,
        spec_host,
        facts,
        images,
        layers: Arc::new(layers),
        network,
        registry: registry_client(),
        runner: runner.clone(),
        plugins: config.plugins.clone(),
    };
    let engine = Engine::boot(parts).await.context("bring the containers back")?;
    runner.observe(Arc::new(wharf_api::Facts::new(&engine)));
    // Before anybody can ask for something.
    engine.plugins.log_decisions(config.authorization_log.clone())?;
    engine.plugins.authorize_with(config.authorization_plugins.clone(), config.authorization_monitor.clone()).await;
    let listeners = listen::bind(&config.hosts, &config.group, tls.as_ref(), sockets).await?;
    let settings = Settings {
        min_api_version: config.min_api_version,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: crate::COMMIT.to_owned(),
        build_time: option_env!("WHARF_BUILD_TIME").unwrap_or("unknown").to_owned(),
        warnings: listeners.iter().filter_map(Listener::warning).collect(),
    };
    let app = wharf_api::app(Cx::new(engine.clone(), settings));
    let metrics = metrics.map(|listener| Metrics::new(listener, engine.clone()));
    let exec_root = config.exec_root.clone();
    let reloader = Reloader::new(flags, config, cgroup_v2, engine.clone());
    Ok(Daemon { engine, app, listeners, metrics, reloader, exec_root, _lock: lock, _pidfile: pidfile })
}

fn make_dir(path: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).with_context(|| format!("create {}", path.display()))
}

/// The snapshotter of the configuration, or the one that was used before, or overlay2.
fn open_layers(config: &Config) -> anyhow::Result<Layers> {
    let driver = config.storage_driver.unwrap_or(StorageDriver::Overlay2).to_string();
    Layers::open(&config.data_root.join("layers"), &driver).context("open the layer store")
}

fn bridge_config(network: &Network) -> Option<BridgeConfig> {
    let (name, subnet) = match &network.bridge {
        Bridge::None => return None,
        Bridge::Own(address) => (BRIDGE.to_owned(), *address),
        Bridge::Existing(name) => (name.clone(), None),
    };
    Some(BridgeConfig {
        name,
        subnet,
        fixed_cidr: network.fixed_cidr,
        default_gateway: network.default_gateway,
        mtu: network.mtu.into(),
        ip_masq: network.ip_masq,
        icc: network.icc,
        ip_forward: network.ip_forward,
        firewall: network.packet_filter,
        pools: network.address_pools.iter().map(|p| (p.base, p.size)).collect(),
    })
}

/// Whoever runs plugins.
fn runner(data_root: &Path, network: Option<&BridgeNetwork>, native: bool) -> Runner {
    let settings = wasm::Settings {
        secrets: PathBuf::from("/etc/wharf/plugin-secrets"),
        compiler: wasm::Compiler::Program("/proc/self/exe".into(), vec![COMPILE_COMPONENT.into()], wasm::CompileLimits::default()),
        networks: network.map(|network| network.subnet().into()).into_iter().collect(),
        ..wasm::Settings::new(data_root.join("plugin-code"), data_root.join("plugin-state"))
    };
    let native = if native { NativePlugins::Allowed } else { NativePlugins::Refused };
    Runner::new(settings, Discovery::default(), native)
}

/// Certificates that were set up for dockerd are good here, too.
fn registry_client() -> Client {
    let certs = ["/etc/wharf/certs.d", "/etc/docker/certs.d"].map(PathBuf::from).to_vec();
    let agent = concat!("wharf/", env!("CARGO_PKG_VERSION"), " os/linux").to_owned();
    Client::new(wharf_registry::Options { certs, agent, timeout: wharf_registry::Options::TIMEOUT })
}

/// The part of the engine's settings that a reload may change.
pub(crate) fn reloadable(config: &Config, cgroup_v2: bool) -> anyhow::Result<Reloadable> {
    let seconds = |d: Option<Duration>| d.map_or(-1, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    let own = &config.containers;
    let runtimes = runtimes(&config.runtimes)?;
    Ok(Reloadable {
        runtimes,
        default_runtime: config.runtimes.default.clone(),
        default_stop_timeout: seconds(own.stop_timeout),
        shutdown_timeout: seconds(config.shutdown_timeout),
        live_restore: config.live_restore,
        default_shm_size: i64::try_from(own.shm_size).context("default-shm-size")?,
        default_ipc_mode: match own.ipc_mode {
            IpcMode::Private => "private".to_owned(),
            IpcMode::Shareable => "shareable".to_owned(),
        },
        default_cgroupns_mode: match own.cgroupns_mode {
            Some(CgroupnsMode::Private) => "private".to_owned(),
            Some(CgroupnsMode::Host) => "host".to_owned(),
            None if cgroup_v2 => "private".to_owned(),
            None => "host".to_owned(),
        },
        labels: config.labels.clone(),
        debug: config.debug,
        insecure_registries: config.insecure_registries.clone(),
    })
}

fn engine_config(flags: &Flags, config: &Config, shim: PathBuf) -> anyhow::Result<EngineConfig> {
    let own = &config.containers;
    Ok(EngineConfig {
        data_root: config.data_root.clone(),
        exec_root: config.exec_root.clone(),
        own_paths: own_paths(flags, config, &shim),
        shim,
        default_ulimits: own
            .ulimits
            .iter()
            .map(|u| (u.name.clone(), Ulimit { name: u.name.clone(), soft: u.soft, hard: u.hard }))
            .collect(),
        init: own.init,
        init_path: own.init_path.clone(),
        seccomp_profile: match &own.seccomp {
            Seccomp::Builtin => SeccompDefault::Builtin,
            Seccomp::Unconfined => SeccompDefault::Unconfined,
            Seccomp::File(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("read the seccomp profile {}", path.display()))?;
                SeccompDefault::Profile(text)
            }
        },
        no_new_privileges: own.no_new_privileges,
        cgroup_parent: config.cgroup_parent.clone().unwrap_or_default(),
        log_driver: own.log_driver.clone(),
        log_opts: own.log_opts.clone(),
        dns: config.network.dns.iter().map(ToString::to_string).collect(),
        dns_options: config.network.dns_opts.clone(),
        dns_search: config.network.dns_search.clone(),
        host_gateway_ips: config.network.host_gateway_ips.clone(),
    })
}

/// What rules the daemon beside its two directories; runtimes are told apart, since they may change.
fn own_paths(flags: &Flags, config: &Config, shim: &Path) -> Vec<PathBuf> {
    let sockets = config.hosts.iter().filter_map(|host| match host {
        Host::Unix(path) => Some(path.as_path()),
        _ => None,
    });
    let tls = config.tls.iter().flat_map(|tls| tls.clients.iter().chain([&tls.cert, &tls.key]));
    let named = [&flags.config_file, &config.containers.init_path].into_iter().flatten();
    let plugins = config.plugins.iter().map(|plugin| &plugin.path);
    let files = tls.chain(named).chain(plugins).map(PathBuf::as_path);
    sockets.chain(files).chain([shim]).map(Path::to_owned).collect()
}

/// The external runtimes, each by the absolute path of its program; and `runc`, a name that every dockerd knows, where the
/// host has it.
fn runtimes(config: &Runtimes) -> anyhow::Result<BTreeMap<String, RuntimeConfig>> {
    let mut found = BTreeMap::new();
    for (name, runtime) in &config.named {
        // It may be installed later: a container that asks for it before is told so.
        let path = in_path(&runtime.path).unwrap_or_else(|| {
            tracing::warn!(runtime = name, path = %runtime.path.display(), "not a program");
            runtime.path.clone()
        });
        found.insert(name.clone(), RuntimeConfig { path, args: runtime.args.clone() });
    }
    if let (false, Some(path)) = (found.contains_key(Runtimes::RUNC), in_path(Path::new(Runtimes::RUNC))) {
        found.insert(Runtimes::RUNC.to_owned(), RuntimeConfig { path, args: Vec::new() });
    }
    if config.default != Runtimes::BUILTIN && !found.contains_key(&config.default) {
        anyhow::bail!("specified default runtime '{}' does not exist", config.default);
    }
    Ok(found)
}

/// A program by name or path. Beside `PATH`, the directories of system programs are searched: daemons often start without.
fn in_path(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() {
        return shim_path::is_program(program).then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(program)).find(|p| shim_path::is_program(p))
}

fn host_facts(data_root: &Path, facts: &Facts) -> anyhow::Result<HostFacts> {
    let name = nix::sys::utsname::uname().context("uname")?;
    let text = |s: &std::ffi::OsStr| s.to_string_lossy().into_owned();
    let limits = &facts.limits;
    Ok(HostFacts {
        engine_id: engine_id(&data_root.join("engine-id"))?,
        kernel: facts.kernel.clone(),
        operating_system: facts.os.clone(),
        os_version: facts.os_version.clone(),
        machine: text(name.machine()),
        hostname: text(name.nodename()),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        memory: facts.memory,
        cgroup_version: if facts.cgroups.version == crate::check::cgroups::Version::V2 { 2 } else { 1 },
        limits: LimitSupport {
            memory: limits.memory,
            swap: limits.swap,
            oom_kill_disable: limits.oom_kill_disable,
            cpu_cfs_period: limits.cpu_cfs_quota,
            cpu_cfs_quota: limits.cpu_cfs_quota,
            cpu_shares: limits.cpu_shares,
            cpuset: limits.cpuset,
            pids: limits.pids,
            blkio_weight: limits.blkio_weight,
            blkio_throttle: limits.blkio_throttle,
        },
        ipv4_forwarding: facts.ip_forward,
        seccomp: facts.seccomp,
        apparmor: facts.apparmor,
    })
}

/// The engine's id, made at the first start: a random UUID (version 4).
fn engine_id(path: &Path) -> anyhow::Result<String> {
    match std::fs::read_to_string(path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).with_context(|| format!("read {}", path.display())),
        _ => {}
    }
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("random source: {e}"))?;
    let number = (u128::from_be_bytes(random) & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let id = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    write_atomic(path, id.as_bytes(), Durability::Synced)?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_are_looked_up() {
        let runtime = |path: &str| crate::config::Runtime { path: path.into(), args: Vec::new() };
        let named = BTreeMap::from([("shell".to_owned(), runtime("sh"))]);
        let found = runtimes(&Runtimes { default: "shell".to_owned(), named }).unwrap();
        assert!(found["shell"].path.is_absolute());
        let named = BTreeMap::from([("x".to_owned(), runtime("/no/such"))]);
        let found = runtimes(&Runtimes { default: "builtin".to_owned(), named }).unwrap();
        assert_eq!(found["x"].path, Path::new("/no/such"));
        assert!(runtimes(&Runtimes { default: "y".to_owned(), named: BTreeMap::new() }).is_err());
    }

    #[test]
    fn what_rules_the_daemon_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("daemon.json");
        std::fs::write(&file, r#"{"hosts": ["unix:///srv/api.sock", "tcp://localhost:1"], "init-path": "/opt/init"}"#).unwrap();
        let flags = Flags::parse(["wharfd", "--config-file", file.to_str().unwrap()]).unwrap();
        let config = Config::load(&flags, &crate::config::Process).unwrap();
        let own = own_paths(&flags, &config, Path::new("/opt/shim"));
        assert_eq!(own, [Path::new("/srv/api.sock"), &file, Path::new("/opt/init"), Path::new("/opt/shim")]);
    }

    #[test]
    fn the_engines_id_is_a_uuid_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine-id");
        let id = engine_id(&path).unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
        assert_eq!(engine_id(&path).unwrap(), id);
    }
}
