//! What a plugin's process gets, by its `config.json` and its settings. The rules are Docker's: default capabilities and those that
//! it asks for, no system call filter, a root file system that it may change, an environment of `PATH` and its settings.

use super::{Processes, Spec};
use std::path::{Path, PathBuf};
use wharf_api_types::plugin::{PluginMount, PluginUser};
use wharf_runtime::spec::{
    BindPlan, DevicePlan, IpcNs, LaunchPlan, MountPlan, Namespaces, NetworkNs, PidNs, ProcessPlan, RawMount, SeccompChoice,
    mounts::Propagation,
};
use wharf_types::{Error, Result};

/// Where a plugin's sockets are, seen by itself.
const SOCKETS: &str = "/run/docker/plugins";
/// Files of the host that a plugin with a network sees.
const NAMES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];
/// Bytes of `/dev/shm`; Docker's number.
const SHM: u64 = 64 << 20;

/// The plan of a start.
///
/// # Errors
/// For what a setting has to say first, and for a socket's name that is a path.
pub fn plan(on: &Processes, spec: &Spec) -> Result<LaunchPlan> {
    let (config, settings) = (&spec.config, &spec.settings);
    socket(on, spec)?;
    let mut mounts = settings.mounts.iter().map(mount).collect::<Result<Vec<_>>>()?;
    mounts.push(bind(on.socket_dir(&spec.id), SOCKETS));
    if !config.network.kind.is_empty() {
        let there = NAMES.into_iter().filter(|name| Path::new(name).exists() && !mounts.iter().any(|m| m.target() == Path::new(name)));
        let names: Vec<_> = there.map(|name| read_only(bind(name.into(), name))).collect();
        mounts.extend(names);
    }
    if !config.propagated_mount.is_empty() {
        let bind = BindPlan {
            source: on.propagated(&spec.id),
            target: absolute(&config.propagated_mount)?,
            propagation: Some(Propagation::RShared),
            ..BindPlan::default()
        };
        mounts.push(MountPlan::Bind(bind));
    }
    let device = |d: &wharf_api_types::plugin::PluginDevice| match d.path.as_deref() {
        None | Some("") => Err(Error::system(format!("device path is not specified: {:?}", d.name))),
        Some(path) => Ok(DevicePlan { host: path.into(), container: path.into(), permissions: String::new() }),
    };
    Ok(LaunchPlan {
        id: spec.id.to_string(),
        rootfs: spec.rootfs.clone(),
        process: ProcessPlan {
            args: config.entrypoint.iter().chain(&settings.args).cloned().collect(),
            // A name alone takes away what containers have.
            env: std::iter::once("HOSTNAME".to_owned()).chain(settings.env.iter().cloned()).collect(),
            cwd: config.work_dir.clone(),
            user: user(&config.user),
            ..ProcessPlan::default()
        },
        cap_add: config.linux.capabilities.clone(),
        seccomp: SeccompChoice::Unconfined,
        namespaces: Namespaces {
            network: if config.network.kind == "host" { NetworkNs::Host } else { NetworkNs::New },
            pid: if config.pid_host { PidNs::Host } else { PidNs::Private },
            ipc: if config.ipc_host { IpcNs::Host } else { IpcNs::Private },
            ..Namespaces::default()
        },
        mounts,
        shm_size: SHM,
        devices: settings.devices.iter().map(device).collect::<Result<_>>()?,
        device_cgroup_rules: config.linux.allow_all_devices.then(|| "a *:* rwm".to_owned()).into_iter().collect(),
        cgroup_path: format!("{}/{}", on.cgroup_parent.trim_end_matches('/'), spec.id),
        ..LaunchPlan::default()
    })
}

/// Where the engine finds a plugin's socket.
///
/// # Errors
/// 400 when its name could be somewhere else.
pub fn socket(on: &Processes, spec: &Spec) -> Result<PathBuf> {
    let name = spec.config.interface.socket.as_str();
    if name.contains('/') || ["", ".", ".."].contains(&name) {
        return Err(Error::invalid(format!("invalid socket {name:?}: it has to be the name of a file in {SOCKETS}")));
    }
    Ok(on.socket_dir(&spec.id).join(name))
}

fn user(user: &PluginUser) -> String {
    if *user == PluginUser::default() { String::new() } else { format!("{}:{}", user.uid, user.gid) }
}

fn mount(own: &PluginMount) -> Result<MountPlan> {
    let named = || if own.name.is_empty() { &own.destination } else { &own.name };
    let source = own.source.as_deref().filter(|s| !s.is_empty());
    let source = source.ok_or_else(|| Error::system(format!("mount source is not specified: {:?}", named())))?;
    let mut options = own.options.clone();
    if own.kind == "bind" {
        if !Path::new(source).exists() {
            return Err(Error::system(format!("mount source does not exist: {:?} of mount {:?}", source, named())));
        }
        if !options.iter().any(|o| o == "bind" || o == "rbind") {
            options.push("rbind".to_owned());
        }
    }
    let target = absolute(&own.destination)?;
    Ok(MountPlan::Raw(RawMount { source: source.into(), target, kind: own.kind.clone(), options }))
}

fn absolute(path: &str) -> Result<PathBuf> {
    let found = Some(PathBuf::from(path)).filter(|p| p.is_absolute());
    found.ok_or_else(|| Error::invalid(format!("invalid mount path: '{path}' mount path must be absolute")))
}

fn bind(source: PathBuf, target: &str) -> MountPlan {
    MountPlan::Bind(BindPlan { source, target: target.into(), ..BindPlan::default() })
}

fn read_only(plan: MountPlan) -> MountPlan {
    match plan {
        MountPlan::Bind(bind) => MountPlan::Bind(BindPlan { read_only: true, ..bind }),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn own(mount: serde_json::Value) -> Result<MountPlan> {
        super::mount(&serde_json::from_value(mount).unwrap())
    }

    #[test]
    fn mounts_are_taken_as_they_are_said() {
        let Ok(MountPlan::Raw(bind)) = own(json!({"Source": "/tmp", "Destination": "/a", "Type": "bind", "Options": ["ro", "rshared"]}))
        else {
            panic!()
        };
        assert_eq!((bind.source.as_path(), bind.options.join(",")), (Path::new("/tmp"), "ro,rshared,rbind".to_owned()));
        let Ok(MountPlan::Raw(tmpfs)) = own(json!({"Source": "tmpfs", "Destination": "/a", "Type": "tmpfs", "Options": ["size=1m"]}))
        else {
            panic!()
        };
        assert_eq!((tmpfs.kind.as_str(), tmpfs.options.join(",")), ("tmpfs", "size=1m".to_owned()));
    }

    #[test]
    fn mounts_that_cannot_be() {
        for (mount, why) in [
            (json!({"Name": "data", "Destination": "/a", "Type": "bind"}), "mount source is not specified: \"data\""),
            (json!({"Name": "data", "Source": "", "Destination": "/a", "Type": "bind"}), "mount source is not specified: \"data\""),
            (
                json!({"Source": "/there/is/none", "Destination": "/a", "Type": "bind"}),
                "mount source does not exist: \"/there/is/none\" of mount \"/a\"",
            ),
            (json!({"Source": "/tmp", "Destination": "a", "Type": "bind"}), "invalid mount path: 'a' mount path must be absolute"),
        ] {
            assert_eq!(own(mount).unwrap_err().message(), why);
        }
    }

    #[test]
    fn users() {
        assert_eq!(user(&PluginUser::default()), "");
        assert_eq!(user(&PluginUser { uid: 1, ..PluginUser::default() }), "1:0");
    }
}
