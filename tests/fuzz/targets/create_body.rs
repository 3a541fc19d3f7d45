//! Bodies of `POST /containers/create`, in the meaning of any API version: decoded, shaped and judged without a panic; what is taken
//! is stored and read back as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{collections::BTreeMap, path::Path, sync::LazyLock};
use wharf_api_types::{
    ApiVersion,
    container::{Config, ContainerCreate},
};
use wharf_engine::{
    EngineConfig, Reloadable,
    config::SeccompDefault,
    containers::{ContainerSpec, judge},
};
use wharf_runtime::spec::HostFacts;

static FACTS: LazyLock<HostFacts> = LazyLock::new(|| HostFacts::detect(Path::new("/")).expect("facts of this host"));

static CONFIG: LazyLock<EngineConfig> = LazyLock::new(|| EngineConfig {
    data_root: "/nowhere/data".into(),
    exec_root: "/nowhere/exec".into(),
    own_paths: Vec::new(),
    shim: "/nowhere/shim".into(),
    default_ulimits: BTreeMap::new(),
    init: false,
    init_path: None,
    seccomp_profile: SeccompDefault::Builtin,
    no_new_privileges: false,
    cgroup_parent: String::new(),
    log_driver: "json-file".to_owned(),
    log_opts: BTreeMap::new(),
    dns: Vec::new(),
    dns_options: Vec::new(),
    dns_search: Vec::new(),
    host_gateway_ips: Vec::new(),
});

static LIVE: LazyLock<Reloadable> = LazyLock::new(|| Reloadable {
    runtimes: BTreeMap::new(),
    default_runtime: "builtin".to_owned(),
    default_stop_timeout: 10,
    shutdown_timeout: 15,
    live_restore: false,
    default_shm_size: 64 << 20,
    default_ipc_mode: "private".to_owned(),
    default_cgroupns_mode: "private".to_owned(),
    labels: Vec::new(),
    insecure_registries: Default::default(),
    debug: false,
});

fuzz_target!(|input: &[u8]| {
    let Some((how, text)) = input.split_first() else { return };
    let Ok(mut body) = serde_json::from_slice::<ContainerCreate>(text) else { return };
    let version = ApiVersion::new(1, 24 + u16::from(how % 32));
    if wharf_api::fuzz::create_defaults(&mut body, version, how & 32 == 0).is_err() {
        return;
    }
    let image = Config { cmd: serde_json::from_str(r#"["sh"]"#).expect("a command"), ..Config::default() };
    if let Ok(spec) = judge(&CONFIG, &LIVE, &FACTS, body, image) {
        let text = serde_json::to_string(&spec).expect("a document");
        let back: ContainerSpec = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        assert_eq!(serde_json::to_string(&back).expect("a document"), text);
    }
});
