//! The files that Docker manages in a container: `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf`. They lie in the
//! container's directory, are written at each start and bound into the root file system.

use super::{ContainerSpec, plan::Joined, shared::Shared};
use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};
use wharf_network::{
    Endpoint,
    files::{HostsInput, ResolvInput, extra_hosts, host_resolv_conf, hosts, hosts_of_host, resolv_conf},
};
use wharf_types::{ContainerId, Result, error::Context as _};

/// Names of the files in a container's directory, and where the container sees them.
pub const MANAGED: [(&str, &str); 3] = [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// Where a managed file of a container lies; those of a container that shares another one's network are the other one's.
pub fn path(shared: &Shared, own: &ContainerId, joined: &Joined, name: &str) -> PathBuf {
    shared.dir(joined.network.as_ref().map_or(own, |n| &n.container)).join(name)
}

/// The address behind `host-gateway`.
pub fn host_gateway(shared: &Shared) -> Option<IpAddr> {
    let bridge = || shared.network.as_ref().map(|n| IpAddr::V4(n.bridge_address()));
    shared.config.host_gateway_ips.first().copied().or_else(bridge)
}

/// Writes the files of a container with its own or the host's network. Blocks.
///
/// # Errors
/// When the container's directory cannot be written.
pub fn write(shared: &Shared, spec: &ContainerSpec, endpoint: Option<&Endpoint>, joined: &Joined) -> Result<()> {
    if joined.network.is_some() {
        return Ok(());
    }
    let host = &spec.host_config;
    let host_network = host.network_mode == "host";
    let dir = shared.dir(&spec.id);
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).context(dir.join(name).display());

    put("hostname", &format!("{}\n", spec.config.hostname))?;

    let extra = extra_hosts(host.extra_hosts.as_deref().unwrap_or_default(), host_gateway(shared))?;
    let hosts = if host_network {
        hosts_of_host(&std::fs::read_to_string("/etc/hosts").unwrap_or_default(), &extra)
    } else {
        hosts(&HostsInput {
            hostname: spec.config.hostname.clone(),
            domainname: spec.config.domainname.clone(),
            addresses: endpoint.map(|e| IpAddr::from(e.address)).into_iter().collect(),
            extra_hosts: extra,
            ipv6: Path::new("/proc/net/if_inet6").exists(),
        })
    };
    put("hosts", &hosts)?;

    let chosen =
        |own: &Option<Vec<String>>, default: &Vec<String>| own.clone().filter(|v| !v.is_empty()).unwrap_or_else(|| default.clone());
    let dns = chosen(&host.dns, &shared.config.dns);
    let input = ResolvInput {
        dns: dns.iter().filter_map(|d| d.parse().ok()).collect(),
        search: chosen(&host.dns_search, &shared.config.dns_search),
        options: chosen(&host.dns_options, &shared.config.dns_options),
        loopback_ok: host_network,
    };
    put("resolv.conf", &resolv_conf(&host_resolv_conf(Path::new("/"), host_network)?, &input))
}

/// Checks at create what [`write`] will need: DNS servers and extra hosts.
///
/// # Errors
/// 400 that names the entry.
pub fn validate(host: &wharf_api_types::container::HostConfig) -> Result<()> {
    for server in host.dns.iter().flatten() {
        server.parse::<IpAddr>().map_err(|_| wharf_types::Error::invalid(format!("{server} is not an ip address")))?;
    }
    // Whether there is a gateway is known at start only.
    extra_hosts(host.extra_hosts.as_deref().unwrap_or_default(), Some(Ipv4Addr::LOCALHOST.into())).map(drop)
}
