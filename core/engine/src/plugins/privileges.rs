//! What a plugin may do, in the form that `docker plugin install` shows and asks about.

use super::settings;
use wharf_api_types::plugin::{PluginConfig, PluginPrivilege, PluginSettings};
use wharf_spi::plugin::PluginKind;

/// The privileges of a plugin, as Docker computes them, and a component's permissions.
pub fn of(config: &PluginConfig, own: &PluginSettings) -> Vec<PluginPrivilege> {
    let one = |name: &str, description: &str, value: Vec<String>| PluginPrivilege {
        name: name.to_owned(),
        description: description.to_owned(),
        value,
    };
    let mut all = Vec::new();
    let network = &config.network.kind;
    if !["", "null", "bridge"].contains(&network.as_str()) {
        all.push(one("network", "permissions to access a network", vec![network.clone()]));
    }
    if config.ipc_host {
        all.push(one("host ipc namespace", "allow access to host ipc namespace", vec!["true".to_owned()]));
    }
    if config.pid_host {
        all.push(one("host pid namespace", "allow access to host pid namespace", vec!["true".to_owned()]));
    }
    for source in config.mounts.iter().filter_map(|m| m.source.clone()) {
        all.push(one("mount", "host path to mount", vec![source]));
    }
    for path in config.linux.devices.iter().filter_map(|d| d.path.clone()) {
        all.push(one("device", "host device to access", vec![path]));
    }
    if config.linux.allow_all_devices {
        all.push(one("allow-all-devices", "allow 'rwm' access to all devices", vec!["true".to_owned()]));
    }
    if !config.linux.capabilities.is_empty() {
        all.push(one("capabilities", "list of additional capabilities required", config.linux.capabilities.clone()));
    }
    for permission in settings::permissions(config, own) {
        let (kind, what) = permission.split_once(':').unwrap_or((&permission, "true"));
        all.push(one(kind, describe(kind), vec![what.to_owned()]));
    }
    all
}

/// What `new` asks for and `agreed` does not have, in words.
pub fn beyond(new: &[PluginPrivilege], agreed: &[PluginPrivilege]) -> Vec<String> {
    let known = |name: &str, value: &String| agreed.iter().any(|a| a.name == name && a.value.contains(value));
    let more = |n: &PluginPrivilege| n.value.iter().filter(|v| !known(&n.name, v)).map(|v| format!("{}={v}", n.name)).collect::<Vec<_>>();
    new.iter().flat_map(more).collect()
}

fn describe(kind: &str) -> &'static str {
    match kind {
        "state" => "keep data of its own",
        "secret" => "use a secret without seeing it",
        "reveal" => "see a secret",
        "files" => "read files of the host",
        "http" => "send HTTP requests to a server",
        "tcp" | "tls" | "udp" | "unix" => "connect to a server",
        "objects" => "look objects of the engine up",
        "events" => "see the engine's events",
        "metrics" => "publish numbers",
        "timers" => "be called later",
        "mount" => "have file systems of this type mounted",
        _ => "a permission of this name",
    }
}

/// The capability of an interface type: `authz` of `docker.authz/1.0`.
pub fn capability(interface: &str) -> Option<&str> {
    let (prefix, rest) = interface.split_once('.')?;
    (prefix == "docker").then(|| rest.split_once('/').map_or(rest, |(name, _)| name))
}

/// The interface type that a kind of component has to declare.
pub fn interface(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Authz => "authz",
        PluginKind::Logging | PluginKind::LogTransform => "logdriver",
        PluginKind::Volume => "volumedriver",
        PluginKind::Metrics => "metricscollector",
        PluginKind::Ipam => "ipamdriver",
    }
}

/// A kind in a word.
pub fn word(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Authz => "authz",
        PluginKind::Logging => "logging",
        PluginKind::LogTransform => "log-transform",
        PluginKind::Volume => "volume",
        PluginKind::Metrics => "metrics",
        PluginKind::Ipam => "ipam",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_privileges_and_a_components_permissions() {
        let config: PluginConfig = serde_json::from_value(serde_json::json!({
            "Network": {"Type": "host"}, "Mounts": [{"Source": "/a"}, {"Name": "unset"}],
            "Linux": {"Capabilities": ["CAP_SYS_ADMIN"]}, "Wharf": {"Permissions": ["state", "http:example.org:443"]},
        }))
        .unwrap();
        let all = of(&config, &PluginSettings::default());
        let shown: Vec<_> = all.iter().map(|p| format!("{}={}", p.name, p.value.join(","))).collect();
        assert_eq!(shown, ["network=host", "mount=/a", "capabilities=CAP_SYS_ADMIN", "state=true", "http=example.org:443"]);
        assert!(beyond(&all[1..3], &all).is_empty());
        assert_eq!(beyond(&all, &all[1..]), ["network=host"]);
        assert_eq!((capability("docker.authz/1.0"), capability("x.authz/1.0")), (Some("authz"), None));
    }
}
