//! From shapes to meaning: a [`Raw`] becomes a [`Config`] or an error that names the option.

use super::host::Host;
use super::network::network;
use super::plugins;
use super::raw::{Raw, RawUlimit};
use super::tls::tls;
use super::{CgroupnsMode, Config, Containers, IpcMode, Log, Runtime, Runtimes, Seccomp, StorageDriver, Ulimit, size};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tracing::Level;
use wharf_api_types::{ApiVersion, MAX_API_VERSION, MIN_API_VERSION};
use wharf_registry::Insecure;
use wharf_types::{Error, Result};

pub(super) fn config(raw: Raw) -> Result<Config> {
    if raw.hosts.is_empty() {
        return Err(invalid("hosts", "at least one address is needed"));
    }
    check_exec_opts(&raw.exec_opts)?;
    let tls = tls(&raw)?;
    Ok(Config {
        log: Log { level: level(&raw.log_level, raw.debug)?, json: json_format(&raw.log_format)? },
        debug: raw.debug,
        pidfile: absolute("pidfile", &raw.pidfile)?,
        shutdown_timeout: timeout("shutdown-timeout", raw.shutdown_timeout)?,
        live_restore: raw.live_restore,
        hosts: raw.hosts.iter().map(|host| Host::parse(host, tls.is_some())).collect::<Result<_>>()?,
        tls,
        min_api_version: api_version(&raw.min_api_version)?,
        data_root: absolute("data-root", &raw.data_root)?,
        exec_root: absolute("exec-root", &raw.exec_root)?,
        storage_driver: raw.storage_driver.as_deref().map(storage_driver).transpose()?,
        shim_path: raw.shim_path.as_deref().map(|path| absolute("shim-path", path)).transpose()?,
        cgroup_parent: raw.cgroup_parent.as_deref().filter(|p| !p.is_empty()).map(cgroup_parent).transpose()?,
        containers: containers(&raw)?,
        network: network(&raw)?,
        insecure_registries: Insecure::parse(raw.insecure_registries)?,
        authorization_monitor: plugins::monitored(raw.authorization_monitor, &raw.authorization_plugins)?,
        authorization_log: plugins::decision_log(raw.authorization_log.as_deref(), &raw.authorization_log_level)?,
        plugins: plugins::placed(raw.plugins)?,
        allow_native_plugins: raw.allow_native_plugins,
        metrics_addr: raw.metrics_addr.as_deref().filter(|a| !a.is_empty()).map(metrics_addr).transpose()?,
        authorization_plugins: raw.authorization_plugins,
        labels: labels(raw.labels)?,
        group: raw.group,
        runtimes: runtimes(raw.default_runtime, raw.runtimes)?,
        warnings: Vec::new(),
        options: serde_json::Map::new(),
    })
}

pub(super) fn invalid(key: &str, why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("invalid value for {key:?}: {why}"))
}

fn level(name: &str, debug: bool) -> Result<Level> {
    let level = match name {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "info" => Level::INFO,
        "warn" => Level::WARN,
        "error" | "fatal" => Level::ERROR,
        _ => return Err(Error::invalid(format!("invalid logging level: {name}"))),
    };
    Ok(if debug { level.max(Level::DEBUG) } else { level })
}

fn json_format(name: &str) -> Result<bool> {
    match name {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(Error::invalid(format!("invalid log format: {name}"))),
    }
}

pub(super) fn absolute(key: &str, path: &str) -> Result<PathBuf> {
    if path.starts_with('/') { Ok(path.into()) } else { Err(invalid(key, format!("{path:?} is not an absolute path"))) }
}

fn timeout(key: &str, seconds: i64) -> Result<Option<Duration>> {
    match u32::try_from(seconds) {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
        Err(_) if seconds == -1 => Ok(None),
        Err(_) => Err(invalid(key, format!("{seconds} is neither a number of seconds nor -1"))),
    }
}

fn api_version(text: &str) -> Result<ApiVersion> {
    let version: ApiVersion = text.parse().map_err(|e| invalid("min-api-version", e))?;
    if version < MIN_API_VERSION {
        return Err(invalid("min-api-version", format!("minimum supported API version is {MIN_API_VERSION}: {version}")));
    }
    if version > MAX_API_VERSION {
        return Err(invalid("min-api-version", format!("maximum supported API version is {MAX_API_VERSION}: {version}")));
    }
    Ok(version)
}

fn storage_driver(name: &str) -> Result<StorageDriver> {
    match name {
        "overlay2" => Ok(StorageDriver::Overlay2),
        "vfs" => Ok(StorageDriver::Vfs),
        _ => Err(Error::invalid(format!("driver not supported: {name}"))),
    }
}

fn check_exec_opts(opts: &[String]) -> Result<()> {
    match opts.iter().find(|o| *o != "native.cgroupdriver=cgroupfs") {
        None => Ok(()),
        Some(opt) if opt == "native.cgroupdriver=systemd" => {
            Err(Error::invalid(format!("the option \"exec-opts\" with {opt} is not supported by this version of wharfd")))
        }
        Some(opt) => Err(Error::invalid(format!("invalid option {opt}"))),
    }
}

fn cgroup_parent(path: &str) -> Result<String> {
    if path.split('/').any(|part| part == "..") {
        return Err(invalid("cgroup-parent", format!("{path:?} must not contain \"..\"")));
    }
    Ok(path.to_owned())
}

/// The same label twice with different values would make its meaning depend on the reader.
fn labels(labels: Vec<String>) -> Result<Vec<String>> {
    let mut seen = BTreeMap::new();
    for label in &labels {
        let (name, value) = label.split_once('=').ok_or_else(|| Error::invalid(format!("bad attribute format: {label}")))?;
        if name.is_empty() {
            return Err(Error::invalid(format!("invalid label {label:?}: empty name")));
        }
        if let Some(other) = seen.insert(name, value).filter(|other| *other != value) {
            return Err(Error::invalid(format!("conflict labels for {name}={other} and {name}={value}")));
        }
    }
    Ok(labels)
}

fn runtimes(default: String, raw: BTreeMap<String, super::raw::RawRuntime>) -> Result<Runtimes> {
    let mut named = BTreeMap::new();
    for (name, runtime) in raw {
        if name == Runtimes::BUILTIN || name == Runtimes::RUNC {
            return Err(Error::invalid(format!("runtime name '{name}' is reserved")));
        }
        if runtime.path.is_empty() {
            return Err(Error::invalid(format!("runtime {name}: the path must not be empty")));
        }
        named.insert(name, Runtime { path: runtime.path.into(), args: runtime.args });
    }
    if default != Runtimes::BUILTIN && default != Runtimes::RUNC && !named.contains_key(&default) {
        return Err(Error::invalid(format!("specified default runtime '{default}' does not exist")));
    }
    Ok(Runtimes { default, named })
}

/// As Go's `net.Listen` takes it: `host:port`, `[v6]:port`, or `:port` for every address.
fn metrics_addr(text: &str) -> Result<(String, u16)> {
    let invalid = |why: &str| invalid("metrics-addr", format!("address {text}: {why}"));
    let (host, port) = text.rsplit_once(':').ok_or_else(|| invalid("missing port in address"))?;
    let port = port.parse().map_err(|_| invalid("invalid port"))?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6,
        None if host.contains(':') => return Err(invalid("too many colons in address")),
        None if host.is_empty() => "::",
        None => host,
    };
    Ok((host.to_owned(), port))
}

fn containers(raw: &Raw) -> Result<Containers> {
    wharf_logs::parse_options(&raw.log_driver, &raw.log_opts)?;
    Ok(Containers {
        stop_timeout: timeout("default-stop-timeout", raw.default_stop_timeout)?,
        shm_size: shm_size(&raw.default_shm_size)?,
        ipc_mode: match raw.default_ipc_mode.as_str() {
            "private" => IpcMode::Private,
            "shareable" => IpcMode::Shareable,
            mode => return Err(Error::invalid(format!("default IPC mode setting ({mode}) is invalid; use \"shareable\" or \"private\""))),
        },
        cgroupns_mode: match raw.default_cgroupns_mode.as_deref() {
            None | Some("") => None,
            Some("host") => Some(CgroupnsMode::Host),
            Some("private") => Some(CgroupnsMode::Private),
            Some(mode) => {
                return Err(Error::invalid(format!("default cgroup namespace mode ({mode}) is invalid; use \"host\" or \"private\"")));
            }
        },
        ulimits: raw.default_ulimits.iter().map(|(name, limit)| ulimit(name, limit)).collect::<Result<_>>()?,
        init: raw.init,
        init_path: raw.init_path.as_deref().map(|path| absolute("init-path", path)).transpose()?,
        seccomp: match raw.seccomp_profile.as_str() {
            "" | "builtin" => Seccomp::Builtin,
            "unconfined" => Seccomp::Unconfined,
            path => Seccomp::File(absolute("seccomp-profile", path)?),
        },
        no_new_privileges: raw.no_new_privileges,
        log_driver: raw.log_driver.clone(),
        log_opts: raw.log_opts.clone(),
    })
}

fn shm_size(value: &Value) -> Result<u64> {
    let bytes = match value {
        Value::String(text) => size::parse(text),
        other => other.as_u64(),
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| invalid("default-shm-size", format!("invalid size: {value}")))
}

/// The limits that Linux knows, as `setrlimit(2)` names them; not `as`, which would hit the runtime before the container.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

fn ulimit(name: &str, raw: &RawUlimit) -> Result<Ulimit> {
    if let Some(inner) = raw.name.as_deref().filter(|inner| *inner != name) {
        return Err(invalid("default-ulimits", format!("{name:?} is named {inner:?} inside")));
    }
    if !ULIMITS.contains(&name) {
        return Err(Error::invalid(format!("invalid ulimit type: {name}")));
    }
    let (soft, hard) = (raw.soft, raw.hard);
    if soft < -1 || hard < -1 {
        return Err(Error::invalid(format!("invalid ulimit argument: {name}={soft}:{hard}")));
    }
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(Error::invalid(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}
