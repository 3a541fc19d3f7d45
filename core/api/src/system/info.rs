//! `GET /info`.

use crate::{
    Cx,
    authz::{Sight, of_container, of_image},
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use serde_json::Value;
use wharf_api_types::{
    ApiVersion,
    system::{CommitInfo, FirewallInfo, IndexInfo, Info as Wire, PluginsInfo, RegistryConfig, RuntimeInfo, SwarmInfo},
};
use wharf_engine::system::{EngineInfo, HostFacts, LimitSupport};
use wharf_registry::Insecure;
use wharf_types::Result;

/// Describes engine and host.
pub struct Info;

#[derive(Serialize)]
pub struct Input {
    #[serde(skip)]
    api: ApiVersion,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for Info {
    const ROW: Row = Row::get("/info", "system.info");
    type Input = Input;
    type Output = Json<Wire>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { api: rq.api(), sight: cx.sight(&rq) })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { api, sight } = input;
        let containers = sight.keep(cx.containers.list(), of_container).await;
        let images = sight.keep(cx.images.list(), |image| of_image(image)).await.len();
        let mut info = shape(cx.system.info(&containers, images), cx.system.host());
        info.server_version.clone_from(&cx.settings.version);
        let chain = cx.authorizers();
        info.plugins.authorization = (!chain.is_empty()).then_some(chain);
        info.n_goroutines = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        info.warnings.extend(cx.settings.warnings.iter().cloned());
        for_version(&mut info, api);
        Ok(Json(info))
    }
}

fn shape(engine: EngineInfo, host: &HostFacts) -> Wire {
    let [containers, running, paused, stopped] = engine.containers;
    let security_options = security_options(&engine, host);
    let limits = &host.limits;
    Wire {
        id: host.engine_id.clone(),
        containers,
        containers_running: running,
        containers_paused: paused,
        containers_stopped: stopped,
        images: engine.images,
        driver: engine.driver,
        driver_status: engine.driver_status,
        plugins: PluginsInfo {
            volume: vec!["local".to_owned()],
            network: ["bridge", "host", "null"].map(str::to_owned).to_vec(),
            authorization: None,
            log: engine.log_drivers,
        },
        memory_limit: limits.memory,
        swap_limit: limits.swap,
        cpu_cfs_period: limits.cpu_cfs_period,
        cpu_cfs_quota: limits.cpu_cfs_quota,
        cpu_shares: limits.cpu_shares,
        cpu_set: limits.cpuset,
        pids_limit: limits.pids,
        ipv4_forwarding: host.ipv4_forwarding,
        debug: engine.debug,
        n_fd: engine.open_files,
        oom_kill_disable: limits.oom_kill_disable,
        system_time: engine.time.to_string(),
        logging_driver: engine.log_driver,
        cgroup_driver: engine.cgroup_driver,
        cgroup_version: host.cgroup_version.to_string(),
        n_events_listener: engine.event_listeners,
        kernel_version: host.kernel.clone(),
        operating_system: host.operating_system.clone(),
        os_version: host.os_version.clone(),
        os_type: "linux".to_owned(),
        architecture: host.machine.clone(),
        index_server_address: "https://index.docker.io/v1/".to_owned(),
        registry_config: registry_config(&engine.insecure_registries),
        ncpu: host.cpus,
        mem_total: host.memory,
        docker_root_dir: engine.root.display().to_string(),
        name: host.hostname.clone(),
        labels: engine.labels,
        runtimes: engine
            .runtimes
            .into_iter()
            .map(|(name, runtime)| (name, RuntimeInfo { path: runtime.path.display().to_string(), runtime_args: runtime.args }))
            .collect(),
        default_runtime: engine.default_runtime,
        swarm: SwarmInfo { local_node_state: "inactive".to_owned(), ..SwarmInfo::default() },
        live_restore_enabled: engine.live_restore,
        init_binary: engine.init_binary,
        security_options,
        firewall_backend: engine.firewall.map(|driver| FirewallInfo { driver: driver.to_owned() }),
        warnings: warnings(limits, host),
        ..Wire::default()
    }
}

fn registry_config(insecure: &Insecure) -> RegistryConfig {
    let index = |name: &str, hub: bool| IndexInfo { name: name.to_owned(), mirrors: Vec::new(), secure: hub, official: hub };
    // Docker Hub comes last: nothing makes it insecure.
    let indexes = insecure.names().iter().map(|name| index(name, false)).chain([index("docker.io", true)]);
    RegistryConfig {
        insecure_registry_cidrs: insecure.networks().iter().map(ToString::to_string).collect(),
        index_configs: indexes.map(|index| (index.name.clone(), index)).collect(),
        ..RegistryConfig::default()
    }
}

fn security_options(engine: &EngineInfo, host: &HostFacts) -> Vec<String> {
    let options = [
        (host.apparmor, "name=apparmor".to_owned()),
        (host.seccomp, format!("name=seccomp,profile={}", engine.seccomp_profile)),
        (engine.cgroup_namespaces, "name=cgroupns".to_owned()),
        (engine.no_new_privileges, "name=no-new-privileges".to_owned()),
    ];
    options.into_iter().filter(|(there, _)| *there).map(|(_, text)| text).collect()
}

/// What the host cannot do, in the words that `docker info` prints.
fn warnings(limits: &LimitSupport, host: &HostFacts) -> Vec<String> {
    let v1 = host.cgroup_version == 1;
    let blkio_weight = if v1 { "No blkio weight support" } else { "No io.weight support" };
    let blkio_throttle = if v1 { "No blkio throttle.read_bps_device support" } else { "No io.max (rbps/wbps/riops/wiops) support" };
    let missing = [
        (limits.memory, "No memory limit support"),
        (limits.swap, "No swap limit support"),
        (limits.oom_kill_disable || !v1, "No oom kill disable support"),
        (limits.cpu_cfs_quota, "No cpu cfs quota support"),
        (limits.cpu_cfs_period, "No cpu cfs period support"),
        (limits.cpu_shares, "No cpu shares support"),
        (limits.cpuset, "No cpuset support"),
        (limits.blkio_weight, blkio_weight),
        (limits.blkio_throttle, blkio_throttle),
        (host.ipv4_forwarding, "IPv4 forwarding is disabled"),
    ];
    missing.into_iter().filter(|(there, _)| !there).map(|(_, text)| format!("WARNING: {text}")).collect()
}

/// Takes away and adds what `version` has differently.
fn for_version(info: &mut Wire, version: ApiVersion) {
    if version.before(50) {
        (info.bridge_nf_iptables, info.bridge_nf_ip6tables) = (Some(false), Some(false));
    }
    if version.before(49) {
        info.firewall_backend = None;
        for commit in [&mut info.containerd_commit, &mut info.runc_commit, &mut info.init_commit] {
            let CommitInfo { id, expected } = commit;
            *expected = Some(id.clone());
        }
    }
    if version.before(47) {
        info.registry_config.allow_nondistributable_artifacts_cidrs = Some(Value::Null);
        info.registry_config.allow_nondistributable_artifacts_hostnames = Some(Value::Null);
    }
    if version.before(42) {
        // No kernel enforces these any more.
        (info.kernel_memory, info.kernel_memory_tcp) = (Some(false), Some(false));
    }
    if version.before(39) {
        for text in [&mut info.kernel_version, &mut info.operating_system] {
            if text.is_empty() {
                "<unknown>".clone_into(text);
            }
        }
    }
    if version.before(25) {
        "<not supported>".clone_into(&mut info.execution_driver);
        for option in &mut info.security_options {
            let name = option.trim_start_matches("name=").split(',').next().unwrap_or_default().to_owned();
            *option = name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_engine::config::RuntimeConfig;
    use wharf_types::Timestamp;

    fn info() -> Wire {
        let engine = EngineInfo {
            containers: [3, 1, 0, 2],
            images: 4,
            driver: "overlay2".to_owned(),
            driver_status: vec![("Backing Filesystem".to_owned(), "extfs".to_owned())],
            log_driver: "json-file".to_owned(),
            log_drivers: vec!["json-file".to_owned(), "local".to_owned()],
            seccomp_profile: "builtin",
            no_new_privileges: false,
            cgroup_namespaces: true,
            init_binary: "builtin".to_owned(),
            firewall: Some("nftables"),
            cgroup_driver: "cgroupfs".to_owned(),
            runtimes: vec![("wharf".to_owned(), RuntimeConfig { path: "/usr/lib/wharf-shim".into(), args: vec!["--debug".to_owned()] })],
            default_runtime: "wharf".to_owned(),
            open_files: 20,
            event_listeners: 0,
            labels: vec!["a=b".to_owned()],
            live_restore: true,
            debug: false,
            insecure_registries: Insecure::parse(vec!["reg.example:5000".to_owned(), "10.0.0.0/8".to_owned()]).unwrap(),
            root: "/var/lib/wharf".into(),
            time: Timestamp::from_nanos(1_700_000_000_000_000_000),
        };
        let limits = LimitSupport { memory: true, pids: true, cpu_shares: true, ..LimitSupport::default() };
        let host = HostFacts { engine_id: "id".to_owned(), cgroup_version: 1, seccomp: true, limits, ..HostFacts::default() };
        shape(engine, &host)
    }

    #[test]
    fn info_shape() {
        insta::assert_json_snapshot!(info());
    }

    #[test]
    fn older_versions() {
        let mut old = info();
        for_version(&mut old, ApiVersion::new(1, 24));
        assert_eq!(old.security_options, ["seccomp", "cgroupns"]);
        assert_eq!((old.execution_driver.as_str(), old.kernel_version.as_str()), ("<not supported>", "<unknown>"));
        assert_eq!((old.bridge_nf_iptables, &old.runc_commit.expected), (Some(false), &Some(String::new())));
        assert!(old.firewall_backend.is_none());
        let v = serde_json::to_value(&old.registry_config).unwrap();
        assert!(v.as_object().unwrap()["AllowNondistributableArtifactsCIDRs"].is_null());
    }
}
