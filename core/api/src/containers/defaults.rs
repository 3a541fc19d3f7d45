//! How the meaning of a create body depends on the API version of its client. Afterwards the body means what it means in the
//! newest version.

use serde_json::Value;
use wharf_api_types::{
    ApiVersion,
    container::{ContainerCreate, HostConfig, Misplaced},
    mount::{BindOptions, Mount},
};
use wharf_types::{Error, Result};

/// Shapes `body`.
///
/// # Errors
/// 400 for what a client of that version may not ask.
pub fn apply(body: &mut ContainerCreate, version: ApiVersion, cgroup2: bool) -> Result<()> {
    let misplaced = std::mem::take(&mut body.misplaced);
    if version.before(24) {
        place(misplaced, &mut body.host_config);
    }
    if version.since(52) && !body.config.mac_address.is_empty() {
        return Err(Error::invalid("container-wide MacAddress no longer supported; use endpoint-specific MacAddress instead"));
    }
    host_config(&mut body.host_config, version, cgroup2);
    if version.before(44) {
        if let Some(check) = &mut body.config.healthcheck {
            check.start_interval = 0;
        }
        let endpoints = &body.networking_config.endpoints_config;
        if endpoints.len() > 1 {
            let names = endpoints.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!("Container cannot be connected to network endpoints: {names}")));
        }
    }
    for endpoint in body.networking_config.endpoints_config.values_mut().flatten() {
        if version.before(44) {
            endpoint.mac_address.clear();
        }
        if version.before(48) {
            endpoint.gw_priority = 0;
        }
    }
    body.host_config.mounts.iter_mut().try_for_each(|m| mount(m, version))
}

/// The host configuration in a start (API before 1.24): its fields are the body's own, or those of `HostConfig` in it.
///
/// # Errors
/// 400 for what is none, and for what a client of that version may not ask.
pub fn at_start(body: Option<Value>, version: ApiVersion) -> Result<Option<HostConfig>> {
    let Some(mut body) = body else { return Ok(None) };
    let member = |body: &Value, name: &str| {
        let mut members = body.as_object()?.iter();
        members.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let cpuset = member(&body, "Cpuset").and_then(|cpus| cpus.as_str().map(str::to_owned)).unwrap_or_default();
    if let Some(inner) = member(&body, "HostConfig").filter(|inner| !inner.is_null()) {
        body = inner;
    }
    let mut config: HostConfig = serde_json::from_value(body).map_err(|e| Error::invalid(format!("invalid JSON: {e}")))?;
    place(Misplaced { cpuset, ..Misplaced::default() }, &mut config);
    config.pids_limit = config.pids_limit.filter(|n| *n > 0);
    config.mounts.iter_mut().try_for_each(|m| mount(m, version))?;
    Ok(Some(config))
}

/// What is said in both places counts as `HostConfig` has it.
fn place(misplaced: Misplaced, config: &mut HostConfig) {
    let Misplaced { memory, memory_swap, cpu_shares, cpuset_cpus, cpuset, volume_driver } = misplaced;
    for (own, other) in [(&mut config.memory, memory), (&mut config.memory_swap, memory_swap), (&mut config.cpu_shares, cpu_shares)] {
        if *own == 0 {
            *own = other;
        }
    }
    let cpus = if cpuset_cpus.is_empty() { cpuset } else { cpuset_cpus };
    for (own, other) in [(&mut config.cpuset_cpus, cpus), (&mut config.volume_driver, volume_driver)] {
        if own.is_empty() {
            *own = other;
        }
    }
}

fn host_config(config: &mut HostConfig, version: ApiVersion, cgroup2: bool) {
    if version.before(25) {
        // Such a client removes the container itself.
        config.auto_remove = false;
    }
    if version.before(40) {
        config.kernel_memory_tcp = 0;
        if config.ipc_mode.is_empty() {
            "shareable".clone_into(&mut config.ipc_mode);
        }
    }
    if version.before(41) && !cgroup2 && config.cgroupns_mode.is_empty() {
        "host".clone_into(&mut config.cgroupns_mode);
    }
    if version.before(42) {
        config.console_size = [0, 0];
    } else {
        config.kernel_memory = 0;
    }
    if version.before(43) {
        config.annotations.clear();
    }
    // 0 and every negative number have always meant no limit.
    config.pids_limit = config.pids_limit.filter(|n| *n > 0);
}

fn mount(mount: &mut Mount, version: ApiVersion) -> Result<()> {
    if version.before(40) {
        bind(mount, |b| b.non_recursive = false);
    }
    if version.before(42) {
        bind(mount, |b| b.create_mountpoint = false);
        // Options of another type of mount were dropped without a word.
        match mount.kind.as_str() {
            "bind" => (mount.volume_options, mount.tmpfs_options) = (None, None),
            "volume" => (mount.bind_options, mount.tmpfs_options) = (None, None),
            "tmpfs" => (mount.bind_options, mount.volume_options) = (None, None),
            _ => {}
        }
    }
    if version.before(44) {
        if mount.bind_options.as_ref().is_some_and(|b| b.read_only_force_recursive) {
            return Err(Error::invalid("BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"));
        }
        if mount.kind == "bind" && mount.read_only {
            mount.bind_options.get_or_insert_with(BindOptions::default).read_only_non_recursive = true;
        } else {
            bind(mount, |b| b.read_only_non_recursive = false);
        }
    }
    if version.before(45) && mount.volume_options.as_ref().is_some_and(|v| !v.subpath.is_empty()) {
        return Err(Error::invalid("VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    if version.before(48) && mount.kind == "image" {
        return Err(Error::invalid("Mount type \"Image\" needs API v1.48 or newer"));
    }
    Ok(())
}

fn bind(mount: &mut Mount, change: impl FnOnce(&mut BindOptions)) {
    if let Some(options) = &mut mount.bind_options {
        change(options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(body: &str, minor: u16) -> Result<ContainerCreate> {
        let mut body = serde_json::from_str(body).unwrap();
        apply(&mut body, ApiVersion::new(1, minor), false).map(|()| body)
    }

    #[test]
    fn defaults_of_old_clients() {
        let body = r#"{"HostConfig":{"AutoRemove":true,"PidsLimit":-1,"KernelMemory":5,"ConsoleSize":[1,2],"Annotations":{"a":"b"}}}"#;
        let at = |minor| shaped(body, minor).unwrap().host_config;
        assert_eq!((at(24).auto_remove, at(25).auto_remove), (false, true));
        assert_eq!((at(39).ipc_mode.as_str(), at(40).ipc_mode.as_str()), ("shareable", ""));
        assert_eq!((at(40).cgroupns_mode.as_str(), at(41).cgroupns_mode.as_str()), ("host", ""));
        assert_eq!((at(41).console_size, at(42).console_size), ([0, 0], [1, 2]));
        assert_eq!((at(41).kernel_memory, at(42).kernel_memory), (5, 0));
        assert_eq!((at(42).annotations.len(), at(43).annotations.len()), (0, 1));
        assert_eq!(at(55).pids_limit, None);
    }

    #[test]
    fn a_start_brings_a_host_configuration() {
        let read = |body: &str| at_start(serde_json::from_str(body).unwrap(), ApiVersion::new(1, 19));
        let own = read(r#"{"Memory":5,"Cpuset":"0","PidsLimit":-1}"#).unwrap().unwrap();
        assert_eq!((own.memory, own.cpuset_cpus.as_str(), own.pids_limit), (5, "0", None));
        let inner = read(r#"{"Memory":5,"HostConfig":{"Memory":7,"CpusetCpus":"1"},"Cpuset":"0"}"#).unwrap().unwrap();
        assert_eq!((inner.memory, inner.cpuset_cpus.as_str()), (7, "1"));
        assert!(read("null").unwrap().is_none() && read(r#"{"Memory":"much"}"#).is_err());
    }

    #[test]
    fn limits_of_the_oldest_clients() {
        let body = r#"{"Memory":5,"CpuShares":7,"Cpuset":"0","HostConfig":{"CpuShares":9}}"#;
        let at = |minor| shaped(body, minor).unwrap().host_config;
        assert_eq!((at(23).memory, at(23).cpu_shares, at(23).cpuset_cpus.as_str()), (5, 9, "0"));
        assert_eq!((at(24).memory, at(24).cpu_shares), (0, 9));
        let mac = r#"{"MacAddress":"02:42:ac:11:00:99"}"#;
        assert!(shaped(mac, 51).is_ok() && shaped(mac, 52).unwrap_err().message().starts_with("container-wide MacAddress"));
    }

    #[test]
    fn mounts_of_old_clients() {
        let body =
            r#"{"HostConfig":{"Mounts":[{"Type":"bind","Source":"/a","Target":"/b","ReadOnly":true,"VolumeOptions":{"NoCopy":true}}]}}"#;
        let at = |minor| shaped(body, minor).unwrap().host_config.mounts.remove(0);
        assert!(at(41).volume_options.is_none() && at(42).volume_options.is_some());
        assert!(at(43).bind_options.unwrap().read_only_non_recursive && at(44).bind_options.is_none());
    }

    #[test]
    fn what_old_clients_may_not_ask() {
        let message = |body, minor| shaped(body, minor).map(|_| ()).unwrap_err().message().to_owned();
        let two = r#"{"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":null}}}"#;
        assert_eq!(message(two, 43), "Container cannot be connected to network endpoints: a, b");
        assert!(shaped(two, 44).is_ok());
        let image = r#"{"HostConfig":{"Mounts":[{"Type":"image","Target":"/x"}]}}"#;
        assert_eq!(message(image, 47), "Mount type \"Image\" needs API v1.48 or newer");
        let subpath = r#"{"HostConfig":{"Mounts":[{"Type":"volume","Target":"/x","VolumeOptions":{"Subpath":"s"}}]}}"#;
        assert_eq!(message(subpath, 44), "VolumeOptions.Subpath needs API v1.45 or newer");
    }
}
