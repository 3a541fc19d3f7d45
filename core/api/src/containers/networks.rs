//! The network part of list and inspect.

use std::{collections::BTreeMap, path::Path};
use wharf_api_types::{
    ApiVersion,
    inspect::NetworkSettings,
    network::{EndpointSettings, PortBinding},
};
use wharf_engine::containers::ContainerView;

/// Names of the networks that every engine has; their containers get no extra aliases.
const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

/// Endpoints by network name: what was asked for, filled with what it got. `bridge` is the id of the default network, which a
/// container knows from its first start on.
pub fn endpoints(view: &ContainerView, bridge: Option<&str>) -> BTreeMap<String, EndpointSettings> {
    let mode = view.spec.host_config.network_mode.as_str();
    if view.spec.network_container().is_some() {
        return BTreeMap::new();
    }
    let main = if matches!(mode, "" | "default") { "bridge" } else { mode };
    let asked = &view.spec.networking.endpoints_config;
    let mut endpoints: BTreeMap<_, _> = asked.iter().map(|(n, e)| (n.clone(), e.clone().unwrap_or_default())).collect();
    if let Some(misnamed) = endpoints.remove("default") {
        endpoints.entry("bridge".to_owned()).or_insert(misnamed);
    }
    let settings = endpoints.entry(main.to_owned()).or_default();
    if let Some(endpoint) = &view.state.endpoint {
        settings.network_id.clone_from(&endpoint.network_id);
        settings.endpoint_id.clone_from(&endpoint.endpoint_id);
        settings.gateway = endpoint.gateway.to_string();
        settings.ip_address = endpoint.address.to_string();
        settings.ip_prefix_len = endpoint.prefix_len;
        settings.mac_address = endpoint.mac.to_string();
    } else if let Some(id) = bridge.filter(|_| main == "bridge" && view.state.was_launched()) {
        id.clone_into(&mut settings.network_id);
    }
    endpoints
}

/// `NetworkSettings` of inspect, as `version` has it.
pub fn settings(view: &ContainerView, sandbox: &Path, bridge: Option<&str>, version: ApiVersion) -> NetworkSettings {
    let mut networks = endpoints(view, bridge);
    if version.before(45) {
        for (_, endpoint) in networks.iter_mut().filter(|(name, _)| !PREDEFINED.contains(&name.as_str())) {
            let aliases = endpoint.aliases.get_or_insert_default();
            for alias in [view.id().short(), &view.spec.config.hostname] {
                if !alias.is_empty() && !aliases.iter().any(|a| a == alias) {
                    aliases.push(alias.to_owned());
                }
            }
        }
    }
    let ports = (version.since(21) || view.state.running && view.spec.network_container().is_none()).then(|| ports(view));
    let mut settings = NetworkSettings { ports, ..NetworkSettings::default() };
    // A network that is another container's is told of there.
    if view.state.pid > 0 && view.spec.network_container().is_none() {
        settings.sandbox_id = view.id().to_string();
        settings.sandbox_key = sandbox.display().to_string();
    }
    if version.before(52) {
        let bridge = networks.get("bridge").cloned().unwrap_or_default();
        settings.bridge = Some(String::new());
        settings.hairpin_mode = Some(false);
        settings.link_local_ipv6_address = Some(String::new());
        settings.link_local_ipv6_prefix_len = Some(0);
        settings.secondary_ip_addresses = Some(serde_json::Value::Null);
        settings.secondary_ipv6_addresses = Some(serde_json::Value::Null);
        settings.endpoint_id = Some(bridge.endpoint_id);
        settings.gateway = Some(bridge.gateway);
        settings.global_ipv6_address = Some(bridge.global_ipv6_address);
        settings.global_ipv6_prefix_len = Some(bridge.global_ipv6_prefix_len);
        settings.ip_address = Some(bridge.ip_address);
        settings.ip_prefix_len = Some(bridge.ip_prefix_len);
        settings.ipv6_gateway = Some(bridge.ipv6_gateway);
        settings.mac_address = Some(bridge.mac_address);
    }
    settings.networks = version.since(21).then_some(networks);
    settings
}

/// Exposed ports while the container has an address; none is published yet.
fn ports(view: &ContainerView) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    if view.state.endpoint.is_none() {
        return BTreeMap::new();
    }
    view.spec.config.exposed_ports.keys().map(|port| (port.clone(), None)).collect()
}

/// A port as `80/tcp`, `80` or a range `80-90/udp`: first, last, protocol.
pub fn parse_port(text: &str) -> Option<(u16, u16, &str)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && ["tcp", "udp", "sctp"].contains(&protocol)).then_some((first, last, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{running, view};
    use wharf_engine::containers::ContainerState;

    #[test]
    fn a_running_container_has_an_address_and_a_stopped_one_has_the_network_only() {
        let up = endpoints(&running(), None);
        assert_eq!((up.len(), up["bridge"].ip_address.as_str(), up["bridge"].ip_prefix_len), (1, "172.17.0.2", 16));
        let down = endpoints(&view(), Some("b"));
        assert_eq!(down["bridge"], EndpointSettings::default());
        let state = ContainerState { started_at: running().state.started_at, ..ContainerState::default() };
        let stopped = ContainerView { state: state.into(), ..view() };
        assert_eq!(endpoints(&stopped, Some("b"))["bridge"].network_id, "b");
    }

    #[test]
    fn older_versions_repeat_the_bridge_at_the_top() {
        let old = settings(&running(), Path::new("/run/wharf/netns/a"), None, ApiVersion::new(1, 51));
        assert_eq!((old.ip_address.as_deref(), old.bridge.as_deref()), (Some("172.17.0.2"), Some("")));
        let v = serde_json::to_value(&old).unwrap();
        assert!(v.as_object().unwrap()["SecondaryIPAddresses"].is_null());
        assert!(settings(&running(), Path::new("/run/wharf/netns/a"), None, ApiVersion::new(1, 52)).ip_address.is_none());
    }

    #[test]
    fn ports_are_read() {
        assert_eq!(parse_port("80"), Some((80, 80, "tcp")));
        assert_eq!(parse_port("80-90/udp"), Some((80, 90, "udp")));
        for bad in ["", "x", "90-80", "80/foo", "70000", "127.0.0.1:80"] {
            assert_eq!(parse_port(bad), None, "{bad}");
        }
    }
}
