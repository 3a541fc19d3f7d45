//! What a container could do to the host, for authorizers: policies get it wrong when they have to find it out themselves.

use std::path::{Path, PathBuf};
use wharf_api_types::container::HostConfig;
use wharf_runtime::spec::{
    capabilities::{CapSet, effective},
    mounts::{BindSource, parse_bind},
};
use wharf_spi::authz::{Bind, Exposure};

/// Capabilities that are as good as being root of the host.
const ROOT_CAPABILITIES: [&str; 7] = ["SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "MAC_ADMIN", "BPF"];
/// Whoever has these directories, what is in them, or what they are in, has the host.
const SYSTEM: [&str; 19] = [
    "/etc",
    "/boot",
    "/dev",
    "/proc",
    "/sys",
    "/root",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/var/lib/wharf",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/run/wharf",
    "/run/docker",
    "/run/containerd",
    "/run/systemd",
];
/// Sockets of engines, which run containers for whoever speaks to them.
const SOCKETS: [&str; 3] = ["wharf.sock", "docker.sock", "containerd.sock"];

/// Of a host configuration as it will be in force.
pub fn of(host: &HostConfig) -> Exposure {
    let mut exposure = Exposure { binds: binds(host), ports: ports(host), ..Exposure::default() };
    let (add, drop) = (host.cap_add.clone().unwrap_or_default(), host.cap_drop.clone().unwrap_or_default());
    // What cannot be read is refused later.
    let capabilities = effective(host.privileged, &add, &drop, CapSet::ALL).unwrap_or(CapSet::ALL);
    exposure.capabilities = capabilities.iter().map(|(name, _)| name.trim_start_matches("CAP_").to_owned()).collect();
    exposure.host_root = reasons(host, &exposure);
    exposure
}

/// Of a process with all privileges in a container that need not have them.
pub fn of_privileged() -> Exposure {
    of(&HostConfig { privileged: true, ..HostConfig::default() })
}

fn reasons(host: &HostConfig, exposure: &Exposure) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut when = |condition: bool, reason: &str| {
        if condition {
            reasons.push(reason.to_owned());
        }
    };
    when(host.privileged, "privileged");
    for (mode, reason) in [
        (&host.pid_mode, "pid=host"),
        (&host.ipc_mode, "ipc=host"),
        (&host.network_mode, "network=host"),
        (&host.userns_mode, "userns=host"),
        (&host.uts_mode, "uts=host"),
    ] {
        when(mode == "host", reason);
    }
    for option in host.security_opt.iter().flatten() {
        let option = option.replacen(':', "=", 1);
        when(["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"].contains(&option.as_str()), &option);
        // A profile of one's own may allow everything.
        when(option.strip_prefix("seccomp=").is_some_and(|profile| !["builtin", "unconfined"].contains(&profile)), "seccomp=custom");
    }
    when(host.masked_paths.as_ref().is_some_and(Vec::is_empty), "masked-paths=none");
    when(host.readonly_paths.as_ref().is_some_and(Vec::is_empty), "readonly-paths=none");
    for device in host.devices.iter().flatten() {
        when(true, &format!("device={}", device.path_on_host));
    }
    when(host.device_cgroup_rules.as_ref().is_some_and(|rules| !rules.is_empty()), "device-cgroup-rule");
    for capability in &exposure.capabilities {
        when(ROOT_CAPABILITIES.contains(&capability.as_str()), &format!("capability={capability}"));
    }
    for bind in &exposure.binds {
        when(is_system(Path::new(&bind.source)), &format!("bind={}", bind.source));
    }
    reasons
}

fn is_system(source: &Path) -> bool {
    let socket = source.file_name().is_some_and(|name| SOCKETS.iter().any(|s| name == *s));
    socket || SYSTEM.iter().map(Path::new).any(|dir| source.starts_with(dir) || dir.starts_with(source))
}

fn binds(host: &HostConfig) -> Vec<Bind> {
    let short = host.binds.iter().flatten().filter_map(|raw| {
        let bind = parse_bind(raw).ok()?;
        match bind.source {
            BindSource::Host(source) => Some((source, bind.target.display().to_string(), bind.mode.read_only)),
            _ => None,
        }
    });
    let long = host.mounts.iter().filter(|m| m.kind == "bind").map(|m| (PathBuf::from(&m.source), m.target.clone(), m.read_only));
    let bind = |(source, target, read_only): (PathBuf, String, bool)| Bind { source: real(&source), target, read_only };
    short.chain(long).map(bind).collect()
}

/// With links followed as far as there is something.
pub(super) fn real(source: &Path) -> String {
    let there = source.ancestors().find_map(|dir| Some((dir, dir.canonicalize().ok()?)));
    let path = there.map_or_else(|| source.to_owned(), |(dir, real)| real.join(source.strip_prefix(dir).unwrap_or(source)));
    path.display().to_string().trim_end_matches('/').to_owned() + if path.parent().is_none() { "/" } else { "" }
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

    fn reasons(text: &str) -> Vec<String> {
        of(&serde_json::from_str(text).unwrap()).host_root
    }

    #[test]
    fn ways_to_the_host() {
        assert!(reasons("{}").is_empty());
        assert!(reasons(r#"{"Binds": ["/srv/data:/data"], "CapAdd": ["NET_ADMIN"], "NetworkMode": "bridge"}"#).is_empty());
        assert_eq!(reasons(r#"{"PidMode": "host", "SecurityOpt": ["seccomp:unconfined"]}"#), ["pid=host", "seccomp=unconfined"]);
        assert_eq!(reasons(r#"{"CapAdd": ["sys_admin"], "MaskedPaths": []}"#), ["masked-paths=none", "capability=SYS_ADMIN"]);
        for bind in ["/", "/etc/shadow", "/var", "/tmp/../etc", "/srv/docker.sock"] {
            assert_eq!(reasons(&format!(r#"{{"Binds": ["{bind}:/x:ro"]}}"#)).len(), 1, "{bind}");
            assert_eq!(reasons(&format!(r#"{{"Mounts": [{{"Type": "bind", "Source": "{bind}", "Target": "/x"}}]}}"#)).len(), 1, "{bind}");
        }
    }

    #[test]
    fn links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("innocent")).unwrap();
        let bind = format!("{}/innocent/new:/x", dir.path().display());
        assert_eq!(reasons(&serde_json::json!({"Binds": [bind]}).to_string()), ["bind=/etc/new"]);
    }

    #[test]
    fn published_ports() {
        let host = serde_json::from_str(r#"{"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}"#).unwrap();
        assert_eq!(of(&host).ports, ["0.0.0.0:8080/tcp"]);
    }
}
