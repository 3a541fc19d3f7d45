//! The verbs of a container that exists.

use super::{bundle_dir, failed, state_dir};
use crate::{
    cgroup::Cgroup,
    runtime::{Invocation, Verb},
};
use libcgroups::common::{CgroupConfig, CgroupManager, ControllerOpt, create_cgroup_manager};
use libcontainer::{
    config::YoukiConfig,
    container::{Container, ContainerStatus},
};
use oci_spec::runtime::LinuxResources;
use rustix::process::{Pid, kill_process};
use std::{fs, path::Path};
use wharf_types::{Error, Result, Signal, error::Context};

pub fn run(call: &Invocation, verb: &Verb) -> Result<()> {
    match verb {
        Verb::Start => start(call),
        Verb::Pause => load(call)?.pause().map_err(failed),
        Verb::Resume => resume(call),
        Verb::Kill { signal, all } => kill(call, signal.parse()?, *all),
        Verb::Update { resources } => update(call, resources),
        Verb::Delete { force } => delete(call, *force),
        Verb::State => state(call),
        Verb::Create { .. } | Verb::Exec { .. } => Err(Error::invalid("not a verb of an existing container")),
    }
}

pub fn load(call: &Invocation) -> Result<Container> {
    let dir = state_dir(call);
    if !dir.exists() {
        return Err(Error::not_found("container does not exist"));
    }
    Container::load(dir).map_err(failed)
}

fn cgroup(call: &Invocation) -> Result<Cgroup> {
    Ok(Cgroup::named(&YoukiConfig::load(state_dir(call)).map_err(failed)?.cgroup_path))
}

/// Thaws. Not libcontainer's way, which makes the cgroup again when the container ended and was deleted meanwhile.
fn resume(call: &Invocation) -> Result<()> {
    let mut container = load(call)?;
    if container.status() != ContainerStatus::Paused {
        return Err(Error::conflict("cannot resume a container that is not paused"));
    }
    cgroup(call)?.thaw();
    container.set_status(ContainerStatus::Running).save().map_err(failed)
}

fn start(call: &Invocation) -> Result<()> {
    let mut container = load(call)?;
    match container.status() {
        ContainerStatus::Created => container.start().map_err(failed),
        ContainerStatus::Stopped => Err(Error::conflict("cannot start a container that has stopped")),
        ContainerStatus::Running => Err(Error::conflict("cannot start an already running container")),
        other => Err(Error::conflict(format!("cannot start a container in the {} state", name(other)))),
    }
}

fn name(status: ContainerStatus) -> String {
    status.to_string().to_lowercase()
}

/// Not libcontainer's, which marks the container as stopped whatever the signal was.
fn kill(call: &Invocation, signal: Signal, all: bool) -> Result<()> {
    let container = load(call)?;
    let number = crate::sys::signal(signal.number());
    let signal = number.ok_or_else(|| Error::invalid(format!("invalid signal: {signal}")))?;
    if all {
        return cgroup(call)?.signal_all(signal);
    }
    let pid = container.pid().filter(|_| container.status() != ContainerStatus::Stopped).and_then(|p| Pid::from_raw(p.as_raw()));
    kill_process(pid.ok_or_else(|| Error::not_found("container not running"))?, signal).context("kill")
}

fn update(call: &Invocation, resources: &Path) -> Result<()> {
    let container = load(call)?;
    let resources: LinuxResources = serde_json::from_slice(&fs::read(resources).context(resources.display())?)?;
    let config = YoukiConfig::load(state_dir(call)).map_err(failed)?;
    let manager = create_cgroup_manager(CgroupConfig {
        cgroup_path: config.cgroup_path,
        systemd_cgroup: container.systemd(),
        container_name: call.id.clone(),
    })
    .map_err(failed)?;
    // Not said means switched on: libcgroups writes this setting with every other one of memory.
    let disable_oom_killer = resources.memory().as_ref().and_then(|m| m.disable_oom_killer()).unwrap_or(false);
    manager.apply(&ControllerOpt { resources: &resources, disable_oom_killer, oom_score_adj: None, freezer_state: None }).map_err(failed)
}

/// Processes are killed and cgroups removed here: libcontainer sleeps where that takes a moment, and reads the mount table once for
/// each controller. What it alone knows (hooks, resctrl groups) is left to it.
fn delete(call: &Invocation, force: bool) -> Result<()> {
    let state_dir = state_dir(call);
    let container = match load(call) {
        Ok(container) if !force && !matches!(container.status(), ContainerStatus::Stopped | ContainerStatus::Created) => {
            let status = name(container.status());
            return Err(Error::conflict(format!("cannot delete container {} that is not stopped: {status}", call.id)));
        }
        Err(e) if !force => return Err(e),
        other => other,
    };
    let config = YoukiConfig::load(&state_dir).ok();
    if let Some(config) = &config {
        let cgroup = Cgroup::named(&config.cgroup_path);
        cgroup.kill_all()?;
        cgroup.remove()?;
    }
    let hooks = config.and_then(|c| c.hooks).and_then(|h| h.poststop().clone()).is_some_and(|h| !h.is_empty());
    let removed = match container {
        Err(e) if e.kind() == wharf_types::ErrorKind::NotFound => Ok(()),
        Ok(mut container) if hooks || container.intel_rdt_dir().is_some() || container.intel_rdt_monitoring_dir().is_some() => {
            container.delete(true).map_err(failed)
        }
        // A create that was cut off leaves a directory without state.
        _ => fs::remove_dir_all(&state_dir).context(state_dir.display()),
    };
    match fs::remove_dir_all(bundle_dir(call)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(bundle_dir(call).display()),
        _ => removed,
    }
}

fn state(call: &Invocation) -> Result<()> {
    let container = load(call)?;
    let pid = container.pid().filter(|_| container.status() != ContainerStatus::Stopped).map_or(0, |p| p.as_raw());
    let bundle = fs::read_link(bundle_dir(call).join("origin")).context("bundle")?;
    let annotations = &container.state.annotations;
    let text = serde_json::json!({
        "ociVersion": container.state.oci_version, "id": call.id, "status": name(container.status()), "pid": pid,
        "bundle": bundle, "annotations": annotations,
    });
    println!("{text:#}");
    Ok(())
}
