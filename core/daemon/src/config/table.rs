//! The one table of options. Flags, `daemon.json` keys, `--help`, the generated reference, the JSON schema and the refusals
//! of what Wharf does not do yet are all read from these rows; adding an option is adding a row here, a field in
//! [`super::raw`] and a line in [`super::resolve`].

use super::kind::Kind::{self, Any, Bool, Int, List, Map, Plugins, Pools, Runtimes, Size, Text, Ulimits};
use serde_json::{Map as JsonMap, Value};

/// How far Wharf does what an option asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Fully.
    Yes,
    /// Accepted because it only names a component that Wharf does not have; logged as having no effect.
    NoEffect,
    /// Only this value (JSON) is true of Wharf; any other is refused.
    Only(&'static str),
    /// Refused by name.
    Refused,
}

/// The heading under which an option is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The process itself.
    Daemon,
    /// Where the API is served.
    Listening,
    /// Files and layers.
    Storage,
    /// OCI runtimes and the monitor.
    Runtime,
    /// What a container gets when its creation does not say.
    Containers,
    /// The default bridge and names.
    Network,
    /// Where images come from.
    Registry,
    /// Known to Docker, refused or without effect here.
    Unsupported,
}

impl Section {
    /// Every section in the order of the reference.
    pub const ALL: [Self; 8] =
        [Self::Daemon, Self::Listening, Self::Storage, Self::Runtime, Self::Containers, Self::Network, Self::Registry, Self::Unsupported];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Daemon => "Daemon",
            Self::Listening => "Listening",
            Self::Storage => "Storage",
            Self::Runtime => "Runtimes",
            Self::Containers => "Container defaults",
            Self::Network => "Networking",
            Self::Registry => "Registries",
            Self::Unsupported => "Not supported",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// The name: the `daemon.json` key, unless `in_file` is false.
    pub key: &'static str,
    /// Whether `daemon.json` may hold it.
    pub in_file: bool,
    /// The long flag.
    pub flag: Option<&'static str>,
    /// The short flag.
    pub short: Option<char>,
    /// The environment variable that overrides both.
    pub env: Option<&'static str>,
    /// The shape of the value.
    pub kind: Kind,
    /// The default as one would write it on the command line; empty for none.
    pub default: &'static str,
    /// Where it is listed.
    pub section: Section,
    /// How far it is done.
    pub support: Support,
    /// Whether a running daemon takes over a change.
    pub reload: bool,
    /// One sentence.
    pub help: &'static str,
}

impl Opt {
    const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }
    const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
    const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }
    const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }
    const fn reload(mut self) -> Self {
        self.reload = true;
        self
    }
    const fn flag_only(mut self) -> Self {
        self.in_file = false;
        self
    }
    const fn file_only(mut self) -> Self {
        self.flag = None;
        self
    }
    const fn only(mut self, value: &'static str, help: &'static str) -> Self {
        self.support = Support::Only(value);
        self.help = help;
        self
    }
    const fn no_effect(mut self, help: &'static str) -> Self {
        self.support = Support::NoEffect;
        self.help = help;
        self
    }
}

const fn opt(section: Section, key: &'static str, kind: Kind, help: &'static str) -> Opt {
    Opt {
        key,
        in_file: true,
        flag: Some(key),
        short: None,
        env: None,
        kind,
        default: "",
        section,
        support: Support::Yes,
        reload: false,
        help,
    }
}

const fn refused(key: &'static str, kind: Kind) -> Opt {
    let row = opt(Section::Unsupported, key, kind, "");
    Opt { support: Support::Refused, ..row }
}

use Section::{Containers, Daemon, Listening, Network, Registry, Runtime, Storage};

/// The names of the flags that direct the start itself instead of configuring the daemon.
pub const CONFIG_FILE: &str = "config-file";
/// See [`CONFIG_FILE`].
pub const VALIDATE: &str = "validate";
/// See [`CONFIG_FILE`].
pub const VERSION: &str = "version";

/// Every option that `dockerd` knows, and Wharf's own.
#[rustfmt::skip]
pub static TABLE: &[Opt] = &[
    opt(Daemon, CONFIG_FILE, Text, "The configuration file; only the default one may be missing").flag_only().default("/etc/wharf/daemon.json"),
    opt(Daemon, VALIDATE, Bool, "Check the configuration and exit").flag_only(),
    opt(Daemon, VERSION, Bool, "Print the version and exit").flag_only().short('v'),
    opt(Daemon, "debug", Bool, "Log at level debug and serve the debug endpoints").short('D').default("false").reload(),
    opt(Daemon, "log-level", Text, "Lowest level that is logged: trace, debug, info, warn, error or fatal").short('l').default("info").reload(),
    opt(Daemon, "log-format", Text, "Form of the daemon's own log on standard error: text or json").default("text"),
    opt(Daemon, "pidfile", Text, "File that holds the daemon's process id").short('p').default("/run/wharf.pid"),
    opt(Daemon, "shutdown-timeout", Int, "Seconds that containers get to stop when the daemon stops; -1 for no limit").default("15").reload(),
    opt(Daemon, "live-restore", Bool, "Leave containers running when the daemon stops, and adopt them when it starts").default("false").reload(),
    opt(Daemon, "labels", List, "Label `name=value` of this daemon, shown by `docker info`").flag("label").reload(),

    opt(Listening, "hosts", List, "Address to serve the API on: unix:///path, tcp://host:port, or fd:// for the sockets of the service manager; tcp://localhost:2376 when only TLS is asked for").flag("host").short('H').default("unix:///run/wharf.sock"),
    opt(Listening, "group", Text, "Group (name or number) that may use the unix socket").short('G').default("docker"),
    opt(Listening, "tls", Bool, "Serve TCP addresses with TLS; on when tlsverify is given").default("false"),
    opt(Listening, "tlsverify", Bool, "Refuse clients without a certificate of tlscacert; true with TLS when not given, and when the environment has DOCKER_TLS_VERIFY"),
    opt(Listening, "tlscacert", Text, "Authorities of client certificates (PEM); else ca.pem in DOCKER_CERT_PATH, DOCKER_CONFIG or ~/.docker"),
    opt(Listening, "tlscert", Text, "The daemon's certificate chain (PEM); else cert.pem there"),
    opt(Listening, "tlskey", Text, "Its private key (PEM); else key.pem there"),
    opt(Listening, "min-api-version", Text, "Oldest API version that is served").file_only().env("DOCKER_MIN_API_VERSION").default("1.19"),

    opt(Storage, "data-root", Text, "Directory of everything that outlives a reboot").default("/var/lib/wharf"),
    opt(Storage, "exec-root", Text, "Directory of everything about running containers").default("/run/wharf"),
    opt(Storage, "storage-driver", Text, "How image layers are put together: overlay2 or vfs; chosen by the file system when not given").short('s').env("DOCKER_DRIVER"),

    opt(Runtime, "default-runtime", Text, "Runtime of containers that name none: builtin, runc or one of `runtimes`").default("builtin").reload(),
    opt(Runtime, "runtimes", Runtimes, "Further OCI runtimes by name").flag("add-runtime").reload(),
    opt(Runtime, "shim-path", Text, "The wharf-shim binary; else the one beside wharfd, else ../libexec/wharf/wharf-shim from there"),
    opt(Runtime, "exec-opts", List, "Runtime option; native.cgroupdriver=cgroupfs is the only one").flag("exec-opt"),
    opt(Runtime, "cgroup-parent", Text, "Parent cgroup of all containers"),

    opt(Containers, "default-stop-timeout", Int, "Seconds between the stop signal and SIGKILL; -1 for no limit").default("10").reload(),
    opt(Containers, "default-shm-size", Size, "Size of /dev/shm").default("64M").reload(),
    opt(Containers, "default-ipc-mode", Text, "IPC namespace: private or shareable").default("private").reload(),
    opt(Containers, "default-cgroupns-mode", Text, "Cgroup namespace: host or private; private on cgroup v2 and host on v1 when not given").reload(),
    opt(Containers, "default-ulimits", Ulimits, "Resource limit").flag("default-ulimit"),
    opt(Containers, "init", Bool, "Run an init process that forwards signals and reaps orphans").default("false"),
    opt(Containers, "init-path", Text, "The init binary; else the built-in one"),
    opt(Containers, "seccomp-profile", Text, "System call filter: builtin, unconfined or the path of a profile").default("builtin"),
    opt(Containers, "no-new-privileges", Bool, "Processes can not gain privileges through set-id programs").default("false"),
    opt(Containers, "log-driver", Text, "Where output goes").default("json-file"),
    opt(Containers, "log-opts", Map, "Option of the log driver").flag("log-opt"),

    opt(Network, "bridge", Text, "Existing bridge to attach containers to instead of wharf0; none for no default network").short('b'),
    opt(Network, "bip", Text, "Address and prefix of the default bridge, such as 172.20.0.1/16"),
    opt(Network, "fixed-cidr", Text, "Part of the bridge's network from which containers get addresses"),
    opt(Network, "default-gateway", Text, "Gateway of containers on the default bridge; else the bridge"),
    opt(Network, "mtu", Int, "MTU of the default bridge's interfaces; 0 for 1500").default("0"),
    opt(Network, "icc", Bool, "Let containers on the default bridge reach each other").default("true"),
    opt(Network, "ip-forward", Bool, "Turn on net.ipv4.ip_forward").default("true"),
    opt(Network, "ip-masq", Bool, "Masquerade what containers send to the outside").default("true"),
    opt(Network, "iptables", Bool, "Manage the host's packet filter (nftables)").default("true"),
    opt(Network, "dns", List, "Name server of containers"),
    opt(Network, "dns-opts", List, "Resolver option of containers").flag("dns-opt"),
    opt(Network, "dns-search", List, "Search domain of containers"),
    opt(Network, "host-gateway-ips", List, "Address that `host-gateway` stands for; else the default bridge's").flag("host-gateway-ip"),
    opt(Network, "host-gateway-ip", Text, "Older form of host-gateway-ips, with one address").file_only(),
    opt(Network, "default-address-pools", Pools, "Address pool that networks are cut from").flag("default-address-pool"),
    opt(Registry, "insecure-registries", List, "Registry (host, host:port or network) that may answer without TLS, or with any certificate; those of this host always may").flag("insecure-registry").reload(),
    opt(Daemon, "authorization-plugins", List, "Plugin that judges every request, in this order; one that cannot answer denies").flag("authorization-plugin").reload(),
    opt(Daemon, "metrics-addr", Text, "Address (host:port) where /metrics is served in the clear, in the text format of Prometheus"),
    opt(Daemon, "authorization-monitor", List, "One of authorization-plugins that is asked and not obeyed: what it would deny is logged").file_only().reload(),
    opt(Daemon, "authorization-log", Text, "File to which decisions of authorization are appended, one JSON object in a line; SIGHUP opens it anew").reload(),
    opt(Daemon, "authorization-log-level", Text, "Which decisions: denied, or all").default("denied").reload(),
    opt(Daemon, "plugins", Plugins, "Plugins in directories of their own, which nobody can change through the API").file_only(),
    opt(Daemon, "allow-native-plugins", Bool, "Load Docker's own plugins that are native libraries into the daemon; only root may be able to change them").default("false"),

    refused("userland-proxy", Bool).only("false", "No proxy process stands behind published ports"),

    refused("containerd", Text).no_effect("Wharf runs containers without containerd"),
    refused("containerd-namespace", Text).no_effect("Wharf runs containers without containerd"),
    refused("containerd-plugin-namespace", Text).flag("containerd-plugins-namespace").no_effect("Wharf runs containers without containerd"),
    refused("cri-containerd", Bool).no_effect("Wharf runs containers without containerd"),

    refused("raw-logs", Bool).only("false", "Log texts are always escaped"),
    refused("experimental", Bool).only("false", "There are no experimental features"),
    refused("selinux-enabled", Bool).only("false", "No SELinux labels are set"),
    refused("ipv6", Bool).only("false", "The default bridge has IPv4 only"),
    refused("ip6tables", Bool).only("false", "The default bridge has IPv4 only"),
    refused("ip-forward-no-drop", Bool).only("true", "The policy of the FORWARD chain is left alone"),
    refused("firewall-backend", Text).only("\"nftables\"", "Packet filter rules are nftables ones"),
    refused("restart", Bool).short('r').only("true", "Restart policies are honoured at every start"),
    refused("rootless", Bool).only("false", "The daemon runs as root"),

    refused("registry-mirrors", List).flag("registry-mirror"),
    refused("storage-opts", List).flag("storage-opt"),
    refused("max-concurrent-downloads", Int),
    refused("max-concurrent-uploads", Int),
    refused("max-download-attempts", Int),
    refused("default-init", Bool).file_only(),
    refused("userns-remap", Text),
    refused("cpu-rt-period", Int),
    refused("cpu-rt-runtime", Int),
    refused("bip6", Text),
    refused("fixed-cidr-v6", Text),
    refused("default-gateway-v6", Text),
    refused("ip", Text),
    refused("userland-proxy-path", Text),
    refused("allow-direct-routing", Bool),
    refused("bridge-accept-fwmark", Text),
    refused("default-network-opts", Map).flag("default-network-opt"),
    refused("network-control-plane-mtu", Int),
    refused("network-diagnostic-port", Int),
    refused("features", Map).flag("feature"),
    refused("cdi-spec-dirs", List).flag("cdi-spec-dir"),
    refused("nri-opts", Any),
    refused("proxies", Any).file_only(),
    refused("http-proxy", Text),
    refused("https-proxy", Text),
    refused("no-proxy", Text),
    refused("node-generic-resources", List).flag("node-generic-resource"),
    refused("swarm-default-advertise-addr", Text),
    refused("swarm-raft-heartbeat-tick", Int).file_only(),
    refused("swarm-raft-election-tick", Int).file_only(),
    refused("builder", Any).file_only(),
    refused("resolv-conf", Text).file_only(),
    refused("deprecated-key-path", Text),
    refused("allow-nondistributable-artifacts", List),
    refused("cluster-store", Text),
    refused("cluster-store-opts", Map).flag("cluster-store-opt"),
    refused("cluster-advertise", Text),
    refused("graph", Text).short('g'),
    refused("api-cors-header", Text),
    refused("api-enable-cors", Bool),
    refused("oom-score-adjust", Int),
    refused("disable-legacy-registry", Bool),
];

/// The row whose `daemon.json` key is `key`.
pub fn by_key(key: &str) -> Option<&'static Opt> {
    TABLE.iter().find(|o| o.in_file && o.key == key)
}

/// The options that differ between two configurations and that a running daemon can not take over.
pub fn needing_restart(old: &JsonMap<String, Value>, new: &JsonMap<String, Value>) -> Vec<&'static str> {
    TABLE.iter().filter(|o| o.in_file && !o.reload && old.get(o.key) != new.get(o.key)).map(|o| o.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        for o in TABLE {
            assert!(seen.insert(format!("key {}", o.key)), "{}", o.key);
            assert!(o.flag.is_none_or(|f| seen.insert(format!("flag {f}"))), "{:?}", o.flag);
            assert!(o.short.is_none_or(|s| seen.insert(format!("short {s}"))), "{:?}", o.short);
            assert!(o.in_file || o.flag.is_some(), "{} can not be given at all", o.key);
        }
    }

    #[test]
    fn defaults_have_the_shape_of_their_option() {
        for o in TABLE.iter().filter(|o| !o.default.is_empty()) {
            let value = o.kind.read_flag(&[o.default.to_owned()]).unwrap();
            assert!(jsonschema::is_valid(&o.kind.schema(), &value), "{}", o.key);
        }
    }

    #[test]
    fn supported_options_are_explained() {
        for o in TABLE.iter().filter(|o| o.support == Support::Yes) {
            assert!(!o.help.is_empty() && !o.help.ends_with('.'), "{}", o.key);
        }
    }
}
