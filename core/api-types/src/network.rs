//! Endpoints of containers in networks.

use std::collections::BTreeMap;

wire! {
    /// `NetworkingConfig` of container create.
    NetworkingConfig {
        "EndpointsConfig" endpoints_config: BTreeMap<String, Option<EndpointSettings>>,
    }
}
wire! {
    /// One endpoint: what was asked for, and (in inspect) what it got. Unset addresses are `""`.
    EndpointSettings {
        "IPAMConfig" ipam_config: Option<EndpointIpamConfig>,
        "Links" links: Option<Vec<String>>,
        "Aliases" aliases: Option<Vec<String>>,
        "DriverOpts" driver_opts: Option<BTreeMap<String, String>>,
        "GwPriority" gw_priority: i64,
        "NetworkID" network_id: String,
        "EndpointID" endpoint_id: String,
        "Gateway" gateway: String,
        "IPAddress" ip_address: String,
        "MacAddress" mac_address: String,
        "IPPrefixLen" ip_prefix_len: u8,
        "IPv6Gateway" ipv6_gateway: String,
        "GlobalIPv6Address" global_ipv6_address: String,
        "GlobalIPv6PrefixLen" global_ipv6_prefix_len: u8,
        "DNSNames" dns_names: Option<Vec<String>>,
    }
}
wire! {
    /// Addresses that the caller asked for.
    EndpointIpamConfig {
        ? "IPv4Address" ipv4_address: String,
        ? "IPv6Address" ipv6_address: String,
        ? "LinkLocalIPs" link_local_ips: Vec<String>,
    }
}
wire! {
    /// A published port on the host.
    PortBinding {
        "HostIp" host_ip: String,
        "HostPort" host_port: String,
    }
}
