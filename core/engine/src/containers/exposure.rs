//! What a container could do to the host, for authorizers: policies get it wrong when they have to find it out themselves.

use super::Containers;
use std::path::{Component, Path, PathBuf};
use wharf_api_types::container::HostConfig;
use wharf_runtime::spec::{
    MASKED_PATHS, READONLY_PATHS,
    capabilities::{CapSet, effective},
    mounts::{BindSource, parse_bind},
};
use wharf_spi::authz::{Bind, Exposure};

/// Capabilities that are as good as being root of the host.
const ROOT_CAPABILITIES: [&str; 7] = ["SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "MAC_ADMIN", "BPF"];
/// Whoever has these directories, what is in them, or what they are in, has the host: its programs and settings, what is run as root
/// sooner or later, and other engines.
const SYSTEM: [&str; 48] = [
    "/bin",
    "/boot",
    "/dev",
    "/efi",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix",
    "/proc",
    "/root",
    "/run/buildkit",
    "/run/containerd",
    "/run/credentials",
    "/run/crio",
    "/run/dbus",
    "/run/docker",
    "/run/initramfs",
    "/run/k3s",
    "/run/libvirt",
    "/run/podman",
    "/run/snapd.socket",
    "/run/systemd",
    "/run/udev",
    "/run/wharf",
    "/sbin",
    "/snap",
    "/sys",
    "/usr",
    "/var/lib/cloud",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/etcd",
    "/var/lib/incus",
    "/var/lib/kubelet",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/rancher",
    "/var/lib/snapd",
    "/var/lib/systemd",
    "/var/lib/wharf",
    "/var/snap",
    "/var/spool/anacron",
    "/var/spool/at",
    "/var/spool/cron",
];
/// Sockets of engines, which run containers for whoever speaks to them.
const SOCKETS: [&str; 6] = ["buildkitd.sock", "containerd.sock", "crio.sock", "docker.sock", "podman.sock", "wharf.sock"];
/// How many containers may join each other's namespaces in a row. More are a circle.
const MAX_JOINED: usize = 64;

/// What the answer depends on beside the host configuration.
struct Around<'a> {
    /// By which the engine itself is ruled.
    own: Vec<PathBuf>,
    /// The host configuration of another container.
    other: &'a dyn Fn(&str) -> Option<HostConfig>,
}

impl Containers {
    /// What a container with this host configuration, as it will be in force, could do to the host. Its binds were looked at before.
    pub fn exposure(&self, host: &HostConfig, binds: Vec<Bind>) -> Exposure {
        let (config, live) = (&self.shared.config, self.shared.live.load());
        let runtimes = live.runtimes.values().map(|runtime| &runtime.path);
        let own = [&config.data_root, &config.exec_root].into_iter().chain(&config.own_paths).chain(runtimes).cloned().collect();
        let other = |name: &str| Some(self.get(name).ok()?.spec.host_config.clone());
        of(host, binds, &Around { own, other: &other })
    }
}

fn of(host: &HostConfig, binds: Vec<Bind>, around: &Around<'_>) -> Exposure {
    let mut exposure = Exposure { binds, ports: ports(host), ..Exposure::default() };
    let (add, drop) = (host.cap_add.clone().unwrap_or_default(), host.cap_drop.clone().unwrap_or_default());
    // What cannot be read is refused later.
    let capabilities = effective(host.privileged, &add, &drop, CapSet::ALL).unwrap_or(CapSet::ALL);
    exposure.capabilities = capabilities.iter().map(|(name, _)| name.trim_start_matches("CAP_").to_owned()).collect();
    exposure.host_root = reasons(host, &exposure, around);
    exposure
}

/// Of a process with all privileges in a container that need not have them.
pub fn of_privileged() -> Exposure {
    let host = HostConfig { privileged: true, ..HostConfig::default() };
    of(&host, Vec::new(), &Around { own: Vec::new(), other: &|_| None })
}

fn reasons(host: &HostConfig, exposure: &Exposure, around: &Around<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut when = |condition: bool, reason: &str| {
        if condition {
            reasons.push(reason.to_owned());
        }
    };
    when(host.privileged, "privileged");
    let namespaces: [(Mode, &str); 5] = [
        (|host| &host.pid_mode, "pid=host"),
        (|host| &host.ipc_mode, "ipc=host"),
        (|host| &host.network_mode, "network=host"),
        (|host| &host.userns_mode, "userns=host"),
        (|host| &host.uts_mode, "uts=host"),
    ];
    for (mode, reason) in namespaces {
        when(is_hosts(host, mode, around), reason);
    }
    for option in host.security_opt.iter().flatten() {
        let option = option.replacen(':', "=", 1);
        when(["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"].contains(&option.as_str()), &option);
        // A profile of one's own may allow everything.
        when(option.strip_prefix("seccomp=").is_some_and(|profile| !["builtin", "unconfined"].contains(&profile)), "seccomp=custom");
    }
    for (name, given, defaults) in
        [("masked-paths", &host.masked_paths, MASKED_PATHS.as_slice()), ("readonly-paths", &host.readonly_paths, &READONLY_PATHS)]
    {
        let Some(given) = given else { continue };
        // It takes the place of the defaults.
        let lacks = defaults.iter().any(|path| !given.iter().any(|own| own == path));
        when(lacks, &format!("{name}={}", if given.is_empty() { "none" } else { "custom" }));
    }
    for device in host.devices.iter().flatten() {
        when(true, &format!("device={}", device.path_on_host));
    }
    when(host.device_cgroup_rules.as_ref().is_some_and(|rules| !rules.is_empty()), "device-cgroup-rule");
    for capability in &exposure.capabilities {
        when(ROOT_CAPABILITIES.contains(&capability.as_str()), &format!("capability={capability}"));
    }
    if !exposure.binds.is_empty() {
        let system = system(&around.own);
        for bind in &exposure.binds {
            when(is_system(Path::new(&bind.source), &system), &format!("bind={}", bind.source));
        }
    }
    reasons
}

/// One of the namespaces in a host configuration.
type Mode = fn(&HostConfig) -> &String;

/// Whether a namespace is the host's: of the container itself, or of the one that it joins.
fn is_hosts(host: &HostConfig, mode: Mode, around: &Around<'_>) -> bool {
    let mut present = mode(host).clone();
    for _ in 0..MAX_JOINED {
        match present.strip_prefix("container:").map(around.other) {
            None => return present == "host",
            // It cannot be joined either.
            Some(None) => return false,
            Some(Some(other)) => present.clone_from(mode(&other)),
        }
    }
    true
}

/// The system's directories and the engine's own. Where one is a link, there is what it leads to, and whoever can lead it elsewhere.
fn system(own: &[PathBuf]) -> Vec<PathBuf> {
    let named = SYSTEM.iter().map(PathBuf::from).chain(own.iter().cloned());
    named.flat_map(|dir| [real(&dir), dir]).collect()
}

fn is_system(source: &Path, system: &[PathBuf]) -> bool {
    let socket = SOCKETS.iter().any(|name| source.ends_with(name) || source.join(name).exists());
    socket || system.iter().any(|dir| source.starts_with(dir) || dir.starts_with(source))
}

/// Where the binds of a host configuration lead now.
pub fn binds(host: &HostConfig) -> Vec<Bind> {
    let short = host.binds.iter().flatten().filter_map(|raw| {
        let bind = parse_bind(raw).ok()?;
        match bind.source {
            BindSource::Host(source) => Some((source, bind.target.display().to_string(), bind.mode.read_only)),
            _ => None,
        }
    });
    let long = host.mounts.iter().filter(|m| m.kind == "bind").map(|m| (PathBuf::from(&m.source), m.target.clone(), m.read_only));
    let bind =
        |(source, target, read_only): (PathBuf, String, bool)| Bind { source: real(&source).display().to_string(), target, read_only };
    short.chain(long).map(bind).collect()
}

/// With links followed as far as there is something.
pub(super) fn real(source: &Path) -> PathBuf {
    let mut path = PathBuf::new();
    for part in source.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        if let Ok(real) = path.canonicalize() {
            path = real;
        }
    }
    path
}

fn ports(host: &HostConfig) -> Vec<String> {
    let all = host.port_bindings.iter().flat_map(|(port, bindings)| bindings.iter().flatten().map(move |b| (port, b)));
    all.map(|(port, b)| {
        let protocol = port.split_once('/').map_or("tcp", |(_, protocol)| protocol);
        let ip = if b.host_ip.is_empty() { "0.0.0.0" } else { &b.host_ip };
        format!("{ip}:{}/{protocol}", b.host_port)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostConfig {
        serde_json::from_str(text).unwrap()
    }

    fn reasons_among(text: &str, own: &[PathBuf], others: &[(&str, &str)]) -> Vec<String> {
        let other = |name: &str| others.iter().find(|(own, _)| *own == name).map(|(_, text)| host(text));
        of(&host(text), binds(&host(text)), &Around { own: own.to_vec(), other: &other }).host_root
    }

    fn reasons(text: &str) -> Vec<String> {
        reasons_among(text, &[], &[])
    }

    fn bind(source: impl std::fmt::Display) -> String {
        serde_json::json!({"Binds": [format!("{source}:/x:ro")]}).to_string()
    }

    #[test]
    fn ways_to_the_host() {
        assert!(reasons("{}").is_empty());
        assert!(reasons(r#"{"Binds": ["/srv/data:/data"], "CapAdd": ["NET_ADMIN"], "NetworkMode": "bridge"}"#).is_empty());
        assert_eq!(reasons(r#"{"PidMode": "host", "SecurityOpt": ["seccomp:unconfined"]}"#), ["pid=host", "seccomp=unconfined"]);
        assert_eq!(reasons(r#"{"CapAdd": ["sys_admin"], "MaskedPaths": []}"#), ["masked-paths=none", "capability=SYS_ADMIN"]);
        for source in
            ["/", "/etc/shadow", "/var", "/tmp/../etc", "/srv/docker.sock", "/var/spool/cron/root", "/var/spool", "/run/udev/rules.d"]
        {
            assert_eq!(reasons(&bind(source)).len(), 1, "{source}");
            assert_eq!(
                reasons(&format!(r#"{{"Mounts": [{{"Type": "bind", "Source": "{source}", "Target": "/x"}}]}}"#)).len(),
                1,
                "{source}"
            );
        }
    }

    #[test]
    fn system_directories_are_below_what_is_bound() {
        for dir in SYSTEM {
            for above in Path::new(dir).ancestors() {
                assert_eq!(reasons(&bind(above.display())).len(), 1, "{dir} in {}", above.display());
            }
        }
    }

    #[test]
    fn paths_of_ones_own_replace_the_defaults() {
        let asound = r#"{"ReadonlyPaths": ["/proc/asound"], "MaskedPaths": ["/proc/asound"]}"#;
        assert_eq!(reasons(asound), ["masked-paths=custom", "readonly-paths=custom"]);
        let (readonly, masked) = ([&READONLY_PATHS[..], &["/proc/more"]].concat(), [&MASKED_PATHS[..], &["/proc/more"]].concat());
        let host = serde_json::json!({"ReadonlyPaths": readonly, "MaskedPaths": masked});
        assert!(reasons(&host.to_string()).is_empty());
    }

    #[test]
    fn namespaces_of_others_count_as_what_they_are() {
        let others = [
            ("donor", r#"{"NetworkMode": "host", "PidMode": "container:second"}"#),
            ("second", r#"{"NetworkMode": "bridge", "PidMode": "host", "IpcMode": "host"}"#),
            ("circle", r#"{"NetworkMode": "container:circle"}"#),
        ];
        let among = |text: &str| reasons_among(text, &[], &others);
        assert_eq!(among(r#"{"NetworkMode": "container:donor"}"#), ["network=host"]);
        assert_eq!(among(r#"{"PidMode": "container:donor", "IpcMode": "container:second"}"#), ["pid=host", "ipc=host"]);
        assert_eq!(among(r#"{"NetworkMode": "container:circle"}"#), ["network=host"]);
        assert!(among(r#"{"NetworkMode": "container:second", "PidMode": "container:nobody"}"#).is_empty());
    }

    #[test]
    fn the_engines_own_files_are_the_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["data/containers", "beside", "sockets"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        std::os::unix::fs::symlink("data", at("root")).unwrap();
        std::fs::write(at("sockets/docker.sock"), "").unwrap();
        let own = [at("root"), at("served/api.sock")];
        let exposed = |path: &Path| !reasons_among(&bind(path.display()), &own, &[]).is_empty();
        for path in ["root/containers", "data", "", "served", "served/api.sock", "sockets"] {
            assert!(exposed(&at(path)), "{path}");
        }
        assert!(!exposed(&at("beside")) && !exposed(&at("served/other.sock")));
    }

    #[test]
    fn links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("innocent")).unwrap();
        assert_eq!(reasons(&bind(format!("{}/innocent/new", dir.path().display()))), ["bind=/etc/new"]);
        // What is not there is no directory that would have another parent.
        let mount = serde_json::json!({"Mounts": [{"Type": "bind", "Source": "/srv/none/../../etc/new", "Target": "/x"}]});
        assert_eq!(reasons(&mount.to_string()), ["bind=/etc/new"]);
    }

    #[test]
    fn published_ports() {
        let host = host(r#"{"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}"#);
        assert_eq!(ports(&host), ["0.0.0.0:8080/tcp"]);
    }
}
