//! Options that a later issue brings. Each is refused by its name: nothing is accepted and ignored.

use wharf_api_types::{
    container::{Config, HostConfig},
    network::NetworkingConfig,
};
use wharf_types::{Error, Result};

fn unsupported(option: &str, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{option} is not supported by this version of Wharf yet: {what}"))
}

/// Refuses what cannot be honoured yet.
///
/// # Errors
/// 400 that names the option and the value.
pub fn unsupported_options(config: &Config, host: &HostConfig) -> Result<()> {
    if let Some((port, _)) = host.port_bindings.iter().next() {
        return Err(unsupported("publishing ports", port));
    }
    if host.publish_all_ports {
        return Err(unsupported("PublishAllPorts", "ports cannot be published"));
    }
    if let Some(path) = config.volumes.iter().flatten().map(|(path, _)| path).next() {
        return Err(unsupported("volumes", path));
    }
    if !host.volume_driver.is_empty() {
        return Err(unsupported("VolumeDriver", &host.volume_driver));
    }
    let lists = [("VolumesFrom", &host.volumes_from), ("Links", &host.links)];
    for (option, values) in lists {
        if let Some(first) = values.iter().flatten().next() {
            return Err(unsupported(option, first));
        }
    }
    if let Some(first) = host.device_requests.iter().flatten().next() {
        return Err(unsupported("DeviceRequests", first));
    }
    if let Some((key, value)) = host.storage_opt.iter().next() {
        return Err(unsupported("StorageOpt", format!("{key}={value}")));
    }
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return Err(Error::invalid(format!("invalid USER mode: {}", host.userns_mode)));
    }
    if !host.cgroup.is_empty() {
        return Err(unsupported("Cgroup", &host.cgroup));
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        return Err(Error::invalid(format!("invalid isolation ({}): linux only supports 'default'", host.isolation)));
    }
    for (option, value) in [("CpuCount", host.cpu_count), ("CpuPercent", host.cpu_percent)] {
        if value != 0 {
            return Err(Error::invalid(format!("invalid option: {option} is only supported on Windows")));
        }
    }
    if host.io_maximum_bandwidth != 0 || host.io_maximum_iops != 0 {
        return Err(Error::invalid("invalid option: IOMaximumIOps and IOMaximumBandwidth are only supported on Windows"));
    }
    Ok(())
}

/// Checks the network mode: the default bridge, `none`, `host`, or another container's.
///
/// # Errors
/// 400 for a user-defined network, and Docker's conflicts of `container:` and `host` with other options.
pub fn network_mode(config: &Config, host: &HostConfig, named_hostname: bool) -> Result<()> {
    let conflict = |what: &str, mode: &str| Err(Error::invalid(format!("conflicting options: {what} and the {mode}")));
    match host.network_mode.as_str() {
        "bridge" | "none" => Ok(()),
        "host" => {
            if named_hostname && host.uts_mode == "host" {
                return conflict("hostname", "UTS mode");
            }
            Ok(())
        }
        mode if mode.starts_with("container:") => {
            let filled = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
            if mode.len() == "container:".len() {
                return Err(Error::invalid(format!("invalid container format {mode}")));
            }
            if named_hostname {
                return conflict("hostname", "network mode");
            }
            if filled(&host.dns) {
                return conflict("dns", "network mode");
            }
            if filled(&host.extra_hosts) {
                return conflict("custom host-to-IP mapping", "network mode");
            }
            if !config.mac_address.is_empty() {
                return conflict("mac-address", "network mode");
            }
            Ok(())
        }
        other => Err(unsupported("user-defined networks", other)),
    }
}

/// Checks the endpoints: the one network that a container can be in is the mode's own, and takes no settings of its own.
///
/// # Errors
/// 400 in Docker's words.
pub fn endpoints(host: &HostConfig, networking: &NetworkingConfig) -> Result<()> {
    for (name, settings) in &networking.endpoints_config {
        let same = *name == host.network_mode || (name == "default" && host.network_mode == "bridge");
        if !same {
            return Err(unsupported("user-defined networks", name));
        }
        let Some(settings) = settings else { continue };
        let wrong = |what: &str| Err(Error::invalid(format!("invalid config for network {name}: invalid endpoint settings:\n{what}")));
        if settings.ipam_config.as_ref().is_some_and(|i| !i.ipv4_address.is_empty() || !i.ipv6_address.is_empty()) {
            return wrong("user-specified IP address is supported on user-defined networks only");
        }
        if let Some(address) = settings.ipam_config.iter().flat_map(|i| &i.link_local_ips).next() {
            return Err(unsupported("LinkLocalIPs", address));
        }
        if settings.aliases.as_ref().is_some_and(|a| !a.is_empty()) {
            return wrong("network-scoped aliases are only supported for user-defined networks");
        }
        if let Some(link) = settings.links.iter().flatten().next() {
            return Err(unsupported("Links", link));
        }
        if let Some(option) = settings.driver_opts.iter().flatten().map(|(k, _)| k).next() {
            return Err(unsupported("DriverOpts", option));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_the_option() {
        let host = |f: fn(&mut HostConfig)| {
            let mut h = HostConfig::default();
            f(&mut h);
            unsupported_options(&Config::default(), &h).unwrap_err().message().to_owned()
        };
        assert!(host(|h| drop(h.port_bindings.insert("80/tcp".into(), None))).contains("publishing ports is not supported"));
        assert!(host(|h| h.links = Some(vec!["a:b".into()])).contains("Links"));
        assert!(host(|h| h.isolation = "hyperv".into()).contains("invalid isolation (hyperv)"));
        assert!(unsupported_options(&Config::default(), &HostConfig::default()).is_ok());
    }

    #[test]
    fn network_modes() {
        let check =
            |mode: &str| network_mode(&Config::default(), &HostConfig { network_mode: mode.into(), ..HostConfig::default() }, false);
        assert!(check("bridge").is_ok() && check("container:x").is_ok());
        assert!(check("mynet").unwrap_err().message().contains("mynet"));
        assert!(check("container:").is_err());
    }
}
