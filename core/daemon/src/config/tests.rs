//! Loading, as a user meets it: every refusal with its text.

use super::*;
use serde_json::json;
use std::{io, path::Path};

/// A world with one file and some variables.
#[derive(Default)]
struct Fake {
    file: Option<Vec<u8>>,
    vars: Vec<(&'static str, &'static str)>,
}

impl Source for Fake {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        self.file.clone().ok_or_else(|| io::Error::from_raw_os_error(2))
    }
    fn var(&self, name: &str) -> Option<String> {
        self.vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }
}

fn load_bytes(args: &[&str], file: Option<&[u8]>) -> Result<Config, String> {
    let fake = Fake { file: file.map(<[u8]>::to_vec), ..Fake::default() };
    match Flags::parse(std::iter::once("wharfd").chain(args.iter().copied())) {
        Ok(flags) => Config::load(&flags, &fake).map_err(|e| e.message().to_owned()),
        Err(Rejected::Value(e)) => Err(e.message().to_owned()),
        Err(Rejected::Usage(e)) => Err(e.to_string()),
    }
}

fn load(args: &[&str], file: Value) -> Result<Config, String> {
    load_bytes(args, Some(file.to_string().as_bytes()))
}

fn refusal(file: Value) -> String {
    load(&[], file).unwrap_err()
}

const IN_FILE: &str = "unable to configure wharfd with file /etc/wharf/daemon.json: ";

#[test]
fn defaults() {
    let config = load_bytes(&[], None).unwrap();
    assert_eq!(config.hosts, [Host::Unix("/run/wharf.sock".into())]);
    assert_eq!((config.log.level, config.log.json, config.group.as_str()), (tracing::Level::INFO, false, "docker"));
    assert_eq!(
        (config.pidfile, config.data_root, config.exec_root),
        ("/run/wharf.pid".into(), "/var/lib/wharf".into(), "/run/wharf".into())
    );
    assert_eq!((config.shutdown_timeout, config.containers.stop_timeout), (Some(Duration::from_secs(15)), Some(Duration::from_secs(10))));
    assert_eq!((config.containers.shm_size, config.network.mtu, config.runtimes.default.as_str()), (64 << 20, 1500, "builtin"));
    assert_eq!(config.min_api_version, wharf_api_types::MIN_API_VERSION);
    assert!(config.network.ip_masq && config.network.icc && config.network.bridge == Bridge::Own(None));
}

#[test]
fn a_missing_file_is_an_error_only_when_named() {
    assert!(load_bytes(&["--config-file", "/etc/wharf/daemon.json"], None).is_ok());
    let e = load_bytes(&["--config-file=/x.json"], None).unwrap_err();
    assert!(e.starts_with("unable to configure wharfd with file /x.json: No such file"), "{e}");
}

#[test]
fn the_file_may_be_empty_or_start_with_a_byte_order_mark() {
    assert!(load_bytes(&[], Some(b" \n")).is_ok());
    assert!(load_bytes(&[], Some(b"\xef\xbb\xbf{\"debug\":true}")).unwrap().debug);
    let wide = |unit: fn(u16) -> [u8; 2]| "\u{feff}{\"labels\":[\"a=\u{1f433}\"]}".encode_utf16().flat_map(unit).collect::<Vec<_>>();
    for text in [wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
        assert_eq!(load_bytes(&[], Some(&text)).unwrap().labels, ["a=\u{1f433}"]);
    }
    for broken in [&b"{"[..], b"[]", b"\xff"] {
        assert!(load_bytes(&[], Some(broken)).unwrap_err().starts_with(&format!("{IN_FILE}invalid JSON")));
    }
}

#[test]
fn unknown_keys_are_named_together() {
    let e = refusal(json!({"debug": true, "colour": 1, "size": 2}));
    assert_eq!(e, format!("{IN_FILE}the following directives don't match any configuration option: colour, size"));
    let flag_only = refusal(json!({"config-file": "/x"}));
    assert!(flag_only.ends_with("configuration option: config-file"));
}

#[test]
fn flag_and_file_conflict() {
    let e = load(&["-H", "unix:///a", "-H", "tcp://b", "-D"], json!({"hosts": ["unix:///c"], "debug": false})).unwrap_err();
    assert_eq!(
        e,
        "the following directives are specified both as a flag and in the configuration file: \
         hosts: (from flag: [unix:///a tcp://b], from file: [unix:///c])"
            .replace("file: hosts", "file: debug: (from flag: true, from file: false), hosts")
    );
}

#[test]
fn runtimes_of_flag_and_file_are_united() {
    let file = json!({"runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}, "default-runtime": "kata"});
    let config = load(&["--add-runtime", "kata=/opt/kata"], file.clone()).unwrap();
    assert_eq!(config.runtimes.named.keys().collect::<Vec<_>>(), ["crun", "kata"]);
    let e = load(&["--add-runtime", "crun=/x"], file).unwrap_err();
    assert!(e.ends_with("runtimes.crun: (from flag: map[path:/x], from file: map[path:/usr/bin/crun runtimeArgs:[--debug]])"), "{e}");
}

#[test]
fn wrong_types_name_key_type_and_file() {
    for (file, text) in [
        (json!({"mtu": "1500"}), r#"invalid value for "mtu": expected an integer: "1500" is not of type "integer""#),
        (json!({"debug": 1}), r#"invalid value for "debug": expected a boolean: 1 is not of type "boolean""#),
        (json!({"dns": "1.1.1.1"}), r#"invalid value for "dns": expected an array of strings: "1.1.1.1" is not of type "array""#),
        (
            json!({"log-opts": {"max-file": 3}}),
            r#"invalid value for "log-opts": expected an object of strings (at /log-opts/max-file): 3 is not of type "string""#,
        ),
        (
            json!({"default-ulimits": {"core": {"Soft": 1}}}),
            r#"invalid value for "default-ulimits": expected an object of {"Name", "Soft", "Hard"} by name (at /default-ulimits/core): "Hard" is a required property"#,
        ),
    ] {
        assert_eq!(refusal(file), format!("{IN_FILE}{text}"));
    }
    let e = refusal(json!({"runtimes": {"x": {"path": "/x", "runtimeType": "y"}}}));
    assert!(
        e.contains(r#""runtimes": expected an object of {"path", "runtimeArgs"} by name (at /runtimes/x)"#) && e.contains("runtimeType"),
        "{e}"
    );
}

#[test]
fn what_wharf_does_not_do_is_refused_by_name() {
    let text = |key: &str| format!("the option {key:?} is not supported by this version of wharfd");
    assert_eq!(refusal(json!({"userns-remap": "default"})), text("userns-remap"));
    assert_eq!(refusal(json!({"builder": {"gc": {}}})), text("builder"));
    assert_eq!(load(&["--feature", "x"], json!({})).unwrap_err(), text("features"));
    assert_eq!(load(&["--registry-mirror=https://x"], json!({})).unwrap_err(), text("registry-mirrors"));
    assert_eq!(
        refusal(json!({"experimental": true})),
        "the option \"experimental\" with value true is not supported by this version of wharfd (only false is: There are no experimental features)"
    );
    assert!(load(&["--userland-proxy=false"], json!({"tls": false, "firewall-backend": "nftables"})).unwrap().warnings.is_empty());
}

/// Every long flag of dockerd, from 20.10 to 29; each also has its short form here.
const DOCKERD_FLAGS: &str = "add-runtime allow-direct-routing allow-nondistributable-artifacts api-cors-header authorization-plugin \
    bip bip6 bridge bridge-accept-fwmark cdi-spec-dir cgroup-parent cluster-advertise cluster-store cluster-store-opt config-file \
    containerd containerd-namespace containerd-plugins-namespace cpu-rt-period cpu-rt-runtime cri-containerd data-root debug \
    default-address-pool default-cgroupns-mode default-gateway default-gateway-v6 default-ipc-mode default-network-opt \
    default-runtime default-shm-size default-stop-timeout default-ulimit deprecated-key-path dns dns-opt dns-search exec-opt \
    exec-root experimental feature firewall-backend fixed-cidr fixed-cidr-v6 group host host-gateway-ip http-proxy https-proxy icc \
    init init-path insecure-registry ip ip-forward ip-forward-no-drop ip-masq ip6tables iptables ipv6 label live-restore \
    log-driver log-format log-level log-opt max-concurrent-downloads max-concurrent-uploads max-download-attempts metrics-addr mtu \
    network-control-plane-mtu network-diagnostic-port no-new-privileges no-proxy node-generic-resource nri-opts oom-score-adjust \
    pidfile raw-logs registry-mirror restart rootless seccomp-profile selinux-enabled shutdown-timeout storage-driver storage-opt \
    swarm-default-advertise-addr tls tlscacert tlscert tlskey tlsverify userland-proxy userland-proxy-path userns-remap validate version";
const DOCKERD_SHORT: &str = "b D G g H l p r s v";
/// The keys of its file that are not named like their flag, or have none.
const DOCKERD_KEYS: &str = "allow-nondistributable-artifacts authorization-plugins builder cdi-spec-dirs cluster-store-opts \
    containerd-plugin-namespace default-address-pools default-init default-network-opts default-ulimits dns-opts exec-opts features \
    host-gateway-ip host-gateway-ips hosts insecure-registries labels log-opts min-api-version node-generic-resources proxies \
    registry-mirrors resolv-conf runtimes storage-opts swarm-raft-election-tick swarm-raft-heartbeat-tick";

#[test]
fn nothing_that_dockerd_knows_is_unknown() {
    let flags = DOCKERD_FLAGS.split_whitespace().map(|f| format!("--{f}"));
    for flag in flags.chain(DOCKERD_SHORT.split_whitespace().map(|s| format!("-{s}"))) {
        // A flag with a value comes to the value's shape; a boolean needs none.
        let understood =
            [&[flag.as_str()][..], &[flag.as_str(), "x"]].map(|args| Flags::parse(std::iter::once("wharfd").chain(args.iter().copied())));
        assert!(understood.iter().any(|flags| !matches!(flags, Err(Rejected::Usage(_)))), "{flag}");
    }
    for key in DOCKERD_KEYS.split_whitespace() {
        let answer = load(&[], json!({key: null}));
        assert!(answer.as_ref().is_err_and(|e| e.contains(&format!("{key:?}"))), "{key}: {answer:?}");
    }
}

#[test]
fn options_about_containerd_are_accepted_with_a_warning() {
    let config = load(&["--containerd-plugins-namespace", "x"], json!({"containerd": "/run/c.sock"})).unwrap();
    assert_eq!(config.warnings.len(), 2);
    assert_eq!(config.warnings[0], "the option \"containerd\" has no effect: Wharf runs containers without containerd");
}

#[test]
fn tls_and_what_it_implies() {
    let tls = |args: &[&str], vars: &[(&'static str, &'static str)]| {
        let flags = Flags::parse(std::iter::once("wharfd").chain(args.iter().copied())).unwrap();
        let config = Config::load(&flags, &Fake { file: None, vars: vars.to_vec() }).unwrap();
        (config.tls, config.hosts, config.warnings)
    };
    let files = |dir: &str, verify: bool| {
        let file = |name: &str| Path::new(dir).join(name);
        Some(Tls { clients: verify.then(|| file("ca.pem")), cert: file("cert.pem"), key: file("key.pem") })
    };
    let port = |port| vec![Host::Tcp("localhost".into(), port)];
    assert_eq!(tls(&["--tls"], &[("HOME", "/h")]), (files("/h/.docker", true), port(2376), vec![]));
    assert_eq!(tls(&["--tlsverify=false"], &[("DOCKER_CONFIG", "/c")]), (files("/c", false), port(2376), vec![]));
    let vars = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/p"), ("DOCKER_CONFIG", "/c")];
    assert_eq!(tls(&["-H", "localhost"], &vars), (files("/p", true), port(2376), vec![]));
    assert_eq!(tls(&["--tlsverify=false"], &vars).0, files("/p", false));
    let (none, hosts, warnings) = tls(&["--tls=false", "--tlskey=/k", "-H", "localhost"], &[]);
    assert_eq!((none, hosts), (None, port(2375)));
    assert_eq!(warnings, ["the option \"tlskey\" has no effect without \"tls\" or \"tlsverify\""]);
}

#[test]
fn the_environment_overrides() {
    let flags = Flags::parse(["wharfd", "-s", "overlay2"]).unwrap();
    let fake = Fake { file: None, vars: vec![("DOCKER_DRIVER", "vfs"), ("DOCKER_MIN_API_VERSION", "1.40")] };
    let config = Config::load(&flags, &fake).unwrap();
    assert_eq!((config.storage_driver, config.min_api_version), (Some(StorageDriver::Vfs), ApiVersion::new(1, 40)));
}

#[test]
fn meaningless_values_are_refused() {
    for (file, text) in [
        (json!({"hosts": []}), "invalid value for \"hosts\": at least one address is needed"),
        (json!({"hosts": ["npipe://"]}), "the option \"hosts\" with npipe:// is not supported by this version of wharfd: npipe://"),
        (json!({"tls": true, "tlskey": "key.pem"}), "invalid value for \"tlskey\": \"key.pem\" is not an absolute path"),
        (json!({"log-level": "loud"}), "invalid logging level: loud"),
        (json!({"log-format": "xml"}), "invalid log format: xml"),
        (json!({"data-root": "wharf"}), "invalid value for \"data-root\": \"wharf\" is not an absolute path"),
        (json!({"shutdown-timeout": -2}), "invalid value for \"shutdown-timeout\": -2 is neither a number of seconds nor -1"),
        (json!({"min-api-version": "1.2"}), "invalid value for \"min-api-version\": minimum supported API version is 1.19: 1.2"),
        (json!({"min-api-version": "9.9"}), "invalid value for \"min-api-version\": maximum supported API version is 1.55: 9.9"),
        (json!({"min-api-version": "x"}), "invalid value for \"min-api-version\": invalid API version: \"x\""),
        (json!({"storage-driver": "btrfs"}), "driver not supported: btrfs"),
        (
            json!({"exec-opts": ["native.cgroupdriver=systemd"]}),
            "the option \"exec-opts\" with native.cgroupdriver=systemd is not supported by this version of wharfd",
        ),
        (json!({"exec-opts": ["a=b"]}), "invalid option a=b"),
        (json!({"cgroup-parent": "/a/../b"}), "invalid value for \"cgroup-parent\": \"/a/../b\" must not contain \"..\""),
        (json!({"labels": ["a=1", "a=2"]}), "conflict labels for a=1 and a=2"),
        (json!({"labels": ["a"]}), "bad attribute format: a"),
        (json!({"labels": ["=2"]}), "invalid label \"=2\": empty name"),
        (json!({"default-runtime": "kata"}), "specified default runtime 'kata' does not exist"),
        (json!({"runtimes": {"runc": {"path": "/x"}}}), "runtime name 'runc' is reserved"),
        (json!({"runtimes": {"x": {"path": ""}}}), "runtime x: the path must not be empty"),
        (json!({"default-shm-size": "64X"}), "invalid value for \"default-shm-size\": invalid size: \"64X\""),
        (json!({"default-shm-size": 0}), "invalid value for \"default-shm-size\": invalid size: 0"),
        (json!({"default-ipc-mode": "host"}), "default IPC mode setting (host) is invalid; use \"shareable\" or \"private\""),
        (json!({"default-cgroupns-mode": "x"}), "default cgroup namespace mode (x) is invalid; use \"host\" or \"private\""),
        (json!({"default-ulimits": {"files": {"Soft": 1, "Hard": 1}}}), "invalid ulimit type: files"),
        (
            json!({"default-ulimits": {"nofile": {"Soft": 5, "Hard": 3}}}),
            "ulimit soft limit must be less than or equal to hard limit: 5 > 3",
        ),
        (
            json!({"default-ulimits": {"nofile": {"Name": "core", "Soft": 5, "Hard": 3}}}),
            "invalid value for \"default-ulimits\": \"nofile\" is named \"core\" inside",
        ),
    ] {
        assert_eq!(refusal(file.clone()), text, "{file}");
    }
}

#[test]
fn network_relations() {
    for (file, text) in [
        (json!({"bridge": "br0", "bip": "10.0.0.1/8"}), "You specified -b & --bip, mutually exclusive options. Please specify only one"),
        (
            json!({"icc": false, "iptables": false}),
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true",
        ),
        (json!({"bridge": "a-name-of-16-chars"}), "invalid bridge name: \"a-name-of-16-chars\""),
        (json!({"bip": "10.0.0.0/8"}), "invalid value for \"bip\": 10.0.0.0/8 is not the address of a host in its network"),
        (json!({"bip": "fe80::1/64"}), "invalid value for \"bip\": invalid CIDR address: fe80::1/64 (expected IPv4)"),
        (
            json!({"bip": "10.1.0.1/16", "fixed-cidr": "10.2.0.0/24"}),
            "the option \"fixed-cidr\" 10.2.0.0/24 is not inside the bridge's network 10.1.0.0/16",
        ),
        (
            json!({"bip": "10.1.0.1/16", "default-gateway": "10.2.0.9"}),
            "the option \"default-gateway\" 10.2.0.9 is not inside the bridge's network 10.1.0.0/16",
        ),
        (json!({"mtu": -1}), "invalid default MTU: -1"),
        (json!({"mtu": 67}), "invalid default MTU: 67"),
        (json!({"dns": ["1.1.1"]}), "invalid value for \"dns\": IP address is not correctly formatted: 1.1.1"),
        (json!({"dns-search": ["a..b"]}), "invalid value for \"dns-search\": a..b is not a valid domain"),
        (
            json!({"host-gateway-ips": ["1.1.1.1", "2.2.2.2"]}),
            "invalid value for \"host-gateway-ips\": only one IPv4 and one IPv6 address are allowed",
        ),
        (
            json!({"host-gateway-ips": ["1.1.1.1"], "host-gateway-ip": "1.1.1.1"}),
            "conflicting options: host-gateway-ip and host-gateway-ips; use host-gateway-ips only",
        ),
        (
            json!({"default-address-pools": [{"base": "10.0.0.0/16", "size": 8}]}),
            "invalid value for \"default-address-pools\": invalid size 8 for pool 10.0.0.0/16 (from /16 to /30)",
        ),
        (
            json!({"default-address-pools": [{"base": "x", "size": 8}]}),
            "invalid value for \"default-address-pools\": invalid base pool \"x\"",
        ),
    ] {
        assert_eq!(refusal(file.clone()), text, "{file}");
    }
    assert_eq!(load(&["-b", "none"], json!({})).unwrap().network.bridge, Bridge::None);
    assert!(!load(&["--iptables=false"], json!({})).unwrap().network.ip_masq);
    assert_eq!(load(&[], json!({"host-gateway-ip": "::1"})).unwrap().network.host_gateway_ips.len(), 1);
}

#[test]
fn a_full_file_is_understood() {
    let config = load(
        &["-l", "warn", "-D", "--default-ulimit", "nofile=1024:-1"],
        json!({
            "bip": "172.20.0.1/16", "fixed-cidr": "172.20.1.0/24", "dns": ["1.1.1.1", "::1"], "dns-search": ["example.org", "."],
            "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}], "log-driver": "local", "log-opts": {"max-size": "1m"},
            "default-shm-size": 1024, "live-restore": true, "shutdown-timeout": -1, "seccomp-profile": "/etc/p.json",
            "default-cgroupns-mode": "private", "labels": ["a=1", "a=1"], "exec-opts": ["native.cgroupdriver=cgroupfs"]
        }),
    )
    .unwrap();
    assert_eq!((config.log.level, config.shutdown_timeout), (tracing::Level::DEBUG, None));
    assert_eq!(config.containers.ulimits, [Ulimit { name: "nofile".into(), soft: 1024, hard: -1 }]);
    assert_eq!(config.containers.seccomp, Seccomp::File("/etc/p.json".into()));
    assert_eq!(config.network.address_pools, [Pool { base: "10.0.0.0/8".parse().unwrap(), size: 24 }]);
}
