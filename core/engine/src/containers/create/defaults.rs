//! What a request leaves open and neither the image nor the user says: the daemon's defaults. Those that depend on the API
//! version are filled in before, where the request is decoded.

use crate::{
    EngineConfig, Reloadable,
    containers::{health, restart},
};
use wharf_api_types::{
    container::{Config, HostConfig},
    network::NetworkingConfig,
};
use wharf_network::Mac;
use wharf_runtime::spec::{HostFacts, ResourcesPlan, default_masked_paths, default_readonly_paths};
use wharf_types::{ContainerId, Error, Result, Signal};

/// The longest host name that Linux takes, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Fills `host`.
///
/// # Errors
/// 400 for modes and policies that do not exist.
pub fn fill(config: &EngineConfig, live: &Reloadable, host: &mut HostConfig) -> Result<()> {
    if matches!(host.network_mode.as_str(), "" | "default") {
        "bridge".clone_into(&mut host.network_mode);
    }
    restart::validate(&mut host.restart_policy)?;
    if host.auto_remove && host.restart_policy.name != "no" {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    if host.runtime.is_empty() {
        host.runtime.clone_from(&live.default_runtime);
    }
    if host.shm_size == 0 {
        host.shm_size = live.default_shm_size;
    }
    if host.ipc_mode.is_empty() {
        host.ipc_mode.clone_from(&live.default_ipc_mode);
    }
    if host.cgroupns_mode.is_empty() {
        host.cgroupns_mode.clone_from(&live.default_cgroupns_mode);
    }
    fill_log(config, host);
    check_modes(host)
}

/// The daemon's driver, with its options where the same driver is meant.
fn fill_log(config: &EngineConfig, host: &mut HostConfig) {
    let log = &mut host.log_config;
    if log.kind.is_empty() {
        log.kind.clone_from(&config.log_driver);
    }
    if log.kind == config.log_driver {
        for (key, value) in &config.log_opts {
            log.config.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

fn check_modes(host: &HostConfig) -> Result<()> {
    let joins = |mode: &str| mode.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    let check = |mode: &str, known: &[&str], text: &str| {
        if known.contains(&mode) || (text != "UTS" && text != "cgroup namespace" && joins(mode)) {
            Ok(())
        } else {
            Err(Error::invalid(format!("invalid {text} mode: {mode}")))
        }
    };
    check(&host.pid_mode, &["", "host"], "PID")?;
    check(&host.ipc_mode, &["private", "shareable", "host", "none"], "IPC")?;
    check(&host.uts_mode, &["", "host"], "UTS")?;
    check(&host.cgroupns_mode, &["private", "host"], "cgroup namespace")
}

/// Fills what depends on the id and the host: the host name; and checks what only a start would notice.
///
/// # Errors
/// 400 in Docker's words.
pub fn config(id: &ContainerId, config: &mut Config, host: &HostConfig) -> Result<()> {
    if config.hostname.len() > MAX_HOSTNAME {
        return Err(Error::invalid(format!("invalid hostname: {} is longer than {MAX_HOSTNAME} bytes", config.hostname)));
    }
    if config.hostname.is_empty() {
        let of_host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|h| h.trim().to_owned()).ok();
        config.hostname = match host.network_mode.as_str() {
            "host" => of_host().unwrap_or_else(|| id.short().to_owned()),
            _ => id.short().to_owned(),
        };
    }
    if !config.stop_signal.is_empty() {
        config.stop_signal.parse::<Signal>()?;
    }
    for entry in config.env.iter().flatten() {
        if entry.is_empty() || entry.starts_with('=') {
            return Err(Error::invalid(format!("invalid environment variable: {entry}")));
        }
    }
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        return Err(Error::invalid(format!("the working directory '{}' is invalid, it needs to be an absolute path", config.working_dir)));
    }
    if let Some(health) = &config.healthcheck {
        health::validate(health)?;
    }
    if host.annotations.contains_key("") {
        return Err(Error::invalid("invalid Annotations: the empty string is not permitted as an annotation key"));
    }
    Ok(())
}

/// Takes over the MAC address that the endpoint asks for: there is one endpoint.
///
/// # Errors
/// 400 for none, for two different ones, and for one in a network that is not the container's own.
pub fn mac_address(config: &mut Config, host: &HostConfig, networking: &NetworkingConfig) -> Result<()> {
    let endpoint = networking.endpoints_config.values().flatten().map(|e| &e.mac_address).find(|mac| !mac.is_empty());
    if let Some(mac) = endpoint {
        if !config.mac_address.is_empty() && config.mac_address != *mac {
            return Err(Error::invalid(
                "the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty",
            ));
        }
        config.mac_address.clone_from(mac);
    }
    if config.mac_address.is_empty() {
        return Ok(());
    }
    config.mac_address.parse::<Mac>()?;
    match host.network_mode.as_str() {
        "bridge" => Ok(()),
        _ => Err(Error::invalid("conflicting options: mac-address and the network mode")),
    }
}

/// Takes away limits that no kernel enforces any more, and says so.
pub fn discard(host: &mut HostConfig) -> Vec<String> {
    let mut gone = Vec::new();
    for (limit, what) in [(&mut host.kernel_memory, "kernel memory limit"), (&mut host.kernel_memory_tcp, "kernel memory TCP limit")] {
        if std::mem::take(limit) > 0 {
            gone.push(format!("Your kernel does not support {what} capabilities or the cgroup is not mounted. Limitation discarded."));
        }
    }
    gone
}

/// Writes the effective values back, so that inspect shows what is in force.
pub fn settle(host: &mut HostConfig, resources: &ResourcesPlan, facts: &HostFacts) {
    if let Some(swap) = resources.memory_swap.filter(|_| host.memory > 0 && host.memory_swap == 0) {
        host.memory_swap = swap;
    }
    if host.oom_kill_disable.is_none() {
        host.oom_kill_disable = Some(false);
    }
    host.links = host.links.take().filter(|links| !links.is_empty());
    host.memory_swappiness = host.memory_swappiness.filter(|n| *n != -1);
    unlabel(host);
    // A privileged container has none unless it names them.
    if !host.privileged {
        host.masked_paths.get_or_insert_with(|| default_masked_paths(facts));
        host.readonly_paths.get_or_insert_with(default_readonly_paths);
    }
}

/// Says that no security label separates what shares the host's processes or memory, or everything; as dockerd does, unless the
/// user labelled it.
fn unlabel(host: &mut HostConfig) {
    let own = host.security_opt.iter().flatten().any(|opt| opt.starts_with("label=") || opt.starts_with("label:"));
    if !own && (host.privileged || host.pid_mode == "host" || host.ipc_mode == "host") {
        host.security_opt.get_or_insert_default().push("label=disable".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_endpoint_has_one_mac_address() {
        let check = |own: &str, endpoint: &str, mode: &str| {
            let mut config = Config { mac_address: own.to_owned(), ..Config::default() };
            let host = HostConfig { network_mode: mode.to_owned(), ..HostConfig::default() };
            let settings = wharf_api_types::network::EndpointSettings { mac_address: endpoint.to_owned(), ..Default::default() };
            let networking = NetworkingConfig { endpoints_config: [("bridge".to_owned(), Some(settings))].into() };
            mac_address(&mut config, &host, &networking).map(|()| config.mac_address).map_err(|e| e.message().to_owned())
        };
        let (a, b) = ("02:42:ac:11:00:01", "02:42:ac:11:00:02");
        assert_eq!((check("", a, "bridge"), check(a, a, "bridge"), check("", "", "host")), (Ok(a.into()), Ok(a.into()), Ok(String::new())));
        assert!(check(a, b, "bridge").unwrap_err().starts_with("the container-wide MAC address must match"));
        assert_eq!(check(a, "", "none").unwrap_err(), "conflicting options: mac-address and the network mode");
        assert!(check("02:42", "", "bridge").unwrap_err().starts_with("invalid MAC address"));
    }

    #[test]
    fn limits_of_old_kernels_are_discarded_aloud() {
        let mut host = HostConfig { kernel_memory: 1, ..HostConfig::default() };
        assert_eq!((discard(&mut host).len(), host.kernel_memory, discard(&mut host).len()), (1, 0, 0));
    }

    #[test]
    fn modes_are_checked_in_dockers_words() {
        let host = |f: fn(&mut HostConfig)| {
            let mut h = HostConfig { ipc_mode: "private".into(), cgroupns_mode: "host".into(), ..HostConfig::default() };
            f(&mut h);
            check_modes(&h).map_err(|e| e.message().to_owned())
        };
        assert!(host(|_| {}).is_ok());
        assert!(host(|h| h.pid_mode = "container:x".into()).is_ok());
        assert_eq!(host(|h| h.pid_mode = "x".into()).unwrap_err(), "invalid PID mode: x");
        assert_eq!(host(|h| h.ipc_mode = "container:".into()).unwrap_err(), "invalid IPC mode: container:");
        assert_eq!(host(|h| h.uts_mode = "container:x".into()).unwrap_err(), "invalid UTS mode: container:x");
    }
}
