//! `create`: libcontainer sets the container up, with a spec that fits this host.

use super::{
    CONFIG, Log, bundle_dir, dev, devices,
    executor::executor,
    failed, load_spec,
    prepare::Host,
    seccomp::{self, Confinement, Filter},
    state_dir,
};
use crate::{cgroup::Cgroup, runtime::Invocation, sys};
use libcontainer::{container::builder::ContainerBuilder, syscall::syscall::SyscallType};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Process, Spec};
use rustix::{
    fs::{FileType, Gid, Uid, fchown, fstat},
    stdio::{stderr, stdin, stdout},
    thread::{LinkNameSpaceType, move_into_link_name_space, set_thread_groups},
};
use std::{
    fs::{self, File},
    os::fd::AsFd,
    path::Path,
};
use wharf_types::{Error, Result, error::Context};

pub fn create(call: &Invocation, bundle: &Path, pid_file: Option<&Path>, console: Option<&Path>, log: &Log<'_>) -> Result<()> {
    if state_dir(call).exists() {
        return Err(Error::conflict("container with given ID already exists"));
    }
    let mut spec = load_spec(bundle)?;
    spec.canonicalize_rootfs(bundle).map_err(failed)?;
    adapt(&mut spec, log)?;
    dev::cover(&mut spec)?;
    let filter = take_filter(&mut spec, &call.root)?;
    let kept = filter.encode();
    let confinement = confine(&mut spec, filter);
    let result = save(call, bundle, &spec, &kept).and_then(|()| build(call, &spec, confinement, pid_file, console));
    if result.is_err() {
        for dir in [state_dir(call), bundle_dir(call)] {
            // Best effort: the error that matters is the first one.
            let _ = fs::remove_dir_all(dir);
        }
    }
    result
}

fn adapt(spec: &mut Spec, log: &Log<'_>) -> Result<()> {
    let mut process = spec.process().clone().ok_or_else(|| Error::invalid("the spec has no process"))?;
    for warning in Host::detect()?.adapt(&mut process) {
        log.line("warning", &warning);
    }
    // Keeps libcontainer from looking the user up through the C library; the executor finds the directory.
    let mut env = process.env().clone().unwrap_or_default();
    if !env.iter().any(|e| e.starts_with("HOME=")) {
        env.push("HOME=".to_owned());
    }
    process.set_env(Some(env));
    spec.set_process(Some(process));
    Ok(())
}

/// The spec's filter, which libcontainer does not see, unless the profile notifies: then it stays with libcontainer.
fn take_filter(spec: &mut Spec, root: &Path) -> Result<Filter> {
    let Some(linux) = spec.linux_mut() else { return Ok(Filter::default()) };
    match linux.seccomp().clone() {
        None => Ok(Filter::default()),
        Some(mut profile) if seccomp::notifies(&profile) => {
            seccomp::suit_libcontainer(&mut profile)?;
            linux.set_seccomp(Some(profile));
            Ok(Filter::default())
        }
        Some(profile) => {
            linux.set_seccomp(None);
            Filter::of(&profile, root)
        }
    }
}

fn confine(spec: &mut Spec, filter: Filter) -> Confinement {
    match spec.process_mut() {
        Some(process) => Confinement::prepare(filter, process),
        None => Confinement::default(),
    }
}

/// Stores the adapted spec where libcontainer will look for it, now and at later verbs, and the filter for execs.
fn save(call: &Invocation, bundle: &Path, spec: &Spec, filter: &[u8]) -> Result<()> {
    let dir = bundle_dir(call);
    fs::create_dir_all(&dir).context(dir.display())?;
    let origin = dir.join("origin");
    let _ = fs::remove_file(&origin);
    std::os::unix::fs::symlink(bundle.canonicalize().context(bundle.display())?, &origin).context(origin.display())?;
    fs::write(dir.join(seccomp::FILE), filter).context(dir.display())?;
    spec.save(dir.join(CONFIG)).map_err(failed)
}

fn build(call: &Invocation, spec: &Spec, confinement: Confinement, pid_file: Option<&Path>, console: Option<&Path>) -> Result<()> {
    let linux = spec.linux().as_ref().ok_or_else(|| Error::invalid("the spec has no linux section"))?;
    if let Some(process) = spec.process() {
        own_stdio(Some(linux), process)?;
    }
    set_thread_groups(&[]).context("setgroups")?;
    let systemd = linux.cgroups_path().as_ref().is_some_and(|p| p.to_string_lossy().matches(':').count() == 2);
    let (executor, report) = executor(confinement)?;
    let builder = ContainerBuilder::new(call.id.clone(), SyscallType::default())
        .with_executor(executor)
        .with_console_socket(console)
        .with_pid_file(pid_file)
        .and_then(|b| b.with_root_path(&call.root))
        .map_err(failed)?
        .as_init(bundle_dir(call))
        .with_systemd(systemd)
        .with_detach(true);
    let mut container = match builder.build() {
        Ok(container) => container,
        Err(e) => {
            let text = report.read().unwrap_or_else(|| super::explain(&e));
            return Err(Error::system(format!("unable to start container process: {text}")));
        }
    };
    let finished = finish(spec, container.pid().map_or(0, |pid| pid.as_raw()));
    if finished.is_err() {
        let _ = container.delete(true);
    }
    finished
}

/// What runc does and libcontainer does not.
fn finish(spec: &Spec, pid: i32) -> Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    if let Some(resources) = linux.resources() {
        devices::restrict(resources.devices().as_deref().unwrap_or_default(), &Cgroup::of(pid)?)?;
    }
    let fresh_network = |n: &oci_spec::runtime::LinuxNamespace| n.typ() == LinuxNamespaceType::Network && n.path().is_none();
    if linux.namespaces().iter().flatten().any(fresh_network) {
        let path = format!("/proc/{pid}/ns/net");
        let namespace = File::open(&path).context(&path)?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).context(&path)?;
        sys::loopback_up().context("loopback interface")?;
    }
    Ok(())
}

/// Gives those standard streams that are pipes to the container's user, who may want to open `/dev/stdout`.
pub fn own_stdio(linux: Option<&Linux>, process: &Process) -> Result<()> {
    let mapped = |id: u32, maps: Option<&Vec<LinuxIdMapping>>| {
        let map = maps.into_iter().flatten().find(|m| (m.container_id()..m.container_id().saturating_add(m.size())).contains(&id));
        map.map_or(id, |m| m.host_id() + (id - m.container_id()))
    };
    let uid = Uid::from_raw(mapped(process.user().uid(), linux.and_then(|l| l.uid_mappings().as_ref())));
    let gid = Gid::from_raw(mapped(process.user().gid(), linux.and_then(|l| l.gid_mappings().as_ref())));
    for fd in [stdin(), stdout(), stderr()] {
        if fstat(fd).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Fifo) {
            fchown(fd, Some(uid), Some(gid)).context("owner of a standard stream")?;
        }
    }
    Ok(())
}
