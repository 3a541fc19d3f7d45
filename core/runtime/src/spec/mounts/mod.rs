//! What is mounted in a container: the defaults of every one, then the plan's own, parents first.
//!
//! [`parse_bind`] and [`tmpfs_options`] read Docker's strings; [`list`] makes the OCI mounts of a plan;
//! [`rootfs_propagation`] and [`check_propagation`] are for binds that share mounts with the host.

mod bind;
mod propagation;
mod tmpfs;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};
use wharf_types::error::Context;
use wharf_types::{Error, Result};

use super::host::{HostFacts, KernelVersion};
use super::plan::{BindPlan, IpcNs, LaunchPlan, MountPlan, PidNs, RecursiveReadOnly};

pub use bind::{BindMode, BindSource, BindSpec, Relabel, parse_bind, parse_mode};
pub use propagation::{Propagation, check_propagation, rootfs_propagation};
pub use tmpfs::tmpfs_options;

/// Where the init binary of `--init` appears; Docker's path, which tools look for.
pub const INIT_PATH: &str = "/sbin/docker-init";

/// Kernel that has `mount_setattr(AT_RECURSIVE)`.
const RECURSIVE_READ_ONLY: KernelVersion = KernelVersion(5, 12);

/// The mounts of `plan`, in the order in which they are made.
pub fn list(plan: &LaunchPlan, host: &HostFacts) -> Result<Vec<Mount>> {
    let mut own: Vec<MountPlan> = plan.mounts.clone();
    if let Some(shm) = shm(plan)?
        && !own.iter().any(|m| m.target() == shm.target)
    {
        own.push(MountPlan::Bind(shm));
    }
    own.sort_by_key(|m| m.target().components().count());

    let is_own = |path: &str| own.iter().any(|m| m.target() == Path::new(path));
    // A bind over /dev brings its own pts, shm and mqueue.
    let replaced = |path: &str| is_own(path) || (is_own("/dev") && path.starts_with("/dev/"));
    let mut mounts = Vec::with_capacity(own.len() + 8);
    for (target, kind, source, options) in defaults(plan) {
        if !replaced(target) {
            mounts.push(mount(Path::new(target), kind, Path::new(source), options)?);
        }
    }
    for planned in &own {
        mounts.push(match planned {
            MountPlan::Bind(bind) => mount(&bind.target, "bind", &bind.source, bind_options(bind, host)?)?,
            MountPlan::Tmpfs(tmpfs) => mount(&tmpfs.target, "tmpfs", Path::new("tmpfs"), tmpfs::oci_options(tmpfs)?)?,
            MountPlan::Raw(raw) => mount(&raw.target, &raw.kind, &raw.source, raw.options.clone())?,
        });
    }
    if let (Some(init), PidNs::Private) = (&plan.init, &plan.namespaces.pid) {
        mounts.push(mount(Path::new(INIT_PATH), "bind", init, words("bind ro"))?);
    }
    Ok(mounts)
}

/// Target, type, source and options of the mounts that every container has.
fn defaults(plan: &LaunchPlan) -> Vec<(&'static str, &'static str, &'static str, Vec<String>)> {
    let sys = if plan.privileged { "nosuid noexec nodev" } else { "nosuid noexec nodev ro" };
    let mut mounts = vec![
        ("/proc", "proc", "proc", words("nosuid noexec nodev")),
        ("/dev", "tmpfs", "tmpfs", words("nosuid strictatime mode=755 size=65536k")),
        ("/dev/pts", "devpts", "devpts", words("nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5")),
        ("/sys", "sysfs", "sysfs", words(sys)),
        ("/sys/fs/cgroup", "cgroup", "cgroup", words(sys)),
        ("/dev/mqueue", "mqueue", "mqueue", words("nosuid noexec nodev")),
    ];
    if plan.namespaces.ipc == IpcNs::Private {
        let options = format!("nosuid noexec nodev mode=1777 size={}", plan.shm_size);
        mounts.push(("/dev/shm", "tmpfs", "shm", words(&options)));
    }
    mounts
}

/// The `/dev/shm` that other containers, or the host, see too.
fn shm(plan: &LaunchPlan) -> Result<Option<BindPlan>> {
    let source = match (&plan.namespaces.ipc, &plan.shm_path) {
        (IpcNs::Private | IpcNs::None, _) => return Ok(None),
        (IpcNs::Host, _) => Path::new("/dev/shm"),
        (IpcNs::Shareable | IpcNs::Path(_), Some(path)) => path.as_path(),
        (IpcNs::Shareable | IpcNs::Path(_), None) => {
            return Err(Error::system(format!("container {}: its IPC mode needs a /dev/shm that was not prepared", plan.id)));
        }
    };
    Ok(Some(BindPlan { source: source.into(), target: "/dev/shm".into(), ..BindPlan::default() }))
}

fn bind_options(bind: &BindPlan, host: &HostFacts) -> Result<Vec<String>> {
    let recursive = host.kernel >= RECURSIVE_READ_ONLY;
    let access = match (bind.read_only, bind.recursive_read_only) {
        (false, _) => None,
        (true, RecursiveReadOnly::No) => Some("ro"),
        (true, RecursiveReadOnly::Require) if !recursive => {
            let target = bind.target.display();
            return Err(Error::invalid(format!("mount {target}: recursive read-only mounts need kernel 5.12 or newer")));
        }
        (true, _) => Some(if recursive { "rro" } else { "ro" }),
    };
    let mut options = words(if bind.non_recursive { "bind" } else { "rbind" });
    options.extend(access.map(str::to_owned));
    options.push(bind.propagation.unwrap_or(Propagation::RPrivate).as_str().to_owned());
    Ok(options)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn mount(target: &Path, kind: &str, source: &Path, options: Vec<String>) -> Result<Mount> {
    let built = MountBuilder::default().destination(target).typ(kind).source(PathBuf::from(source)).options(options).build();
    built.context(format_args!("mount {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::super::test_host;
    use super::*;
    use crate::spec::plan::TmpfsPlan;

    fn bind(source: &str, target: &str) -> MountPlan {
        MountPlan::Bind(BindPlan { source: source.into(), target: target.into(), ..BindPlan::default() })
    }

    fn made(plan: &LaunchPlan) -> Vec<(String, String)> {
        let text = |m: &Mount| (m.destination().display().to_string(), m.options().as_ref().unwrap().join(","));
        list(plan, &test_host()).unwrap().iter().map(text).collect()
    }

    fn targets(plan: &LaunchPlan) -> Vec<String> {
        made(plan).into_iter().map(|(target, _)| target).collect()
    }

    #[test]
    fn own_mounts_come_after_the_defaults_parents_first() {
        let plan = LaunchPlan { mounts: vec![bind("/1", "/a/b/c"), bind("/2", "/a"), bind("/3", "/a/b")], ..LaunchPlan::default() };
        assert_eq!(targets(&plan)[7..], ["/a", "/a/b", "/a/b/c"]);
    }

    #[test]
    fn own_mounts_replace_defaults() {
        let plan = LaunchPlan { mounts: vec![bind("/1", "/dev/shm"), bind("/2", "/sys")], ..LaunchPlan::default() };
        assert_eq!(targets(&plan), ["/proc", "/dev", "/dev/pts", "/sys/fs/cgroup", "/dev/mqueue", "/sys", "/dev/shm"]);
        let plan = LaunchPlan { mounts: vec![bind("/dev", "/dev")], ..LaunchPlan::default() };
        assert_eq!(targets(&plan), ["/proc", "/sys", "/sys/fs/cgroup", "/dev"]);
    }

    #[test]
    fn dev_shm_follows_the_ipc_mode() {
        let shm = |ipc: IpcNs, path: Option<&str>| {
            let mut plan = LaunchPlan { shm_path: path.map(PathBuf::from), shm_size: 1 << 20, ..LaunchPlan::default() };
            plan.namespaces.ipc = ipc;
            let mounts = list(&plan, &test_host())?;
            let found = mounts.into_iter().find(|m| m.destination() == Path::new("/dev/shm"));
            Ok::<_, Error>(found.map(|m| (m.source().clone().unwrap().display().to_string(), m.options().clone().unwrap().join(","))))
        };
        assert_eq!(shm(IpcNs::Private, None).unwrap().unwrap(), ("shm".into(), "nosuid,noexec,nodev,mode=1777,size=1048576".into()));
        assert_eq!(shm(IpcNs::Shareable, Some("/s")).unwrap().unwrap(), ("/s".into(), "rbind,rprivate".into()));
        assert_eq!(shm(IpcNs::Path("/proc/1/ns/ipc".into()), Some("/o")).unwrap().unwrap().0, "/o");
        assert_eq!(shm(IpcNs::Host, None).unwrap().unwrap().0, "/dev/shm");
        assert_eq!(shm(IpcNs::None, None).unwrap(), None);
        assert!(shm(IpcNs::Shareable, None).is_err());
    }

    #[test]
    fn read_only_binds() {
        let options = |recursive_read_only, kernel| {
            let bind = BindPlan { read_only: true, recursive_read_only, non_recursive: true, ..BindPlan::default() };
            bind_options(&bind, &HostFacts { kernel, ..test_host() }).map(|o| o.join(","))
        };
        assert_eq!(options(RecursiveReadOnly::No, KernelVersion(6, 1)).unwrap(), "bind,ro,rprivate");
        assert_eq!(options(RecursiveReadOnly::Prefer, KernelVersion(6, 1)).unwrap(), "bind,rro,rprivate");
        assert_eq!(options(RecursiveReadOnly::Prefer, KernelVersion(5, 10)).unwrap(), "bind,ro,rprivate");
        assert!(options(RecursiveReadOnly::Require, KernelVersion(5, 10)).is_err());
    }

    #[test]
    fn tmpfs_keeps_safe_defaults() {
        let tmpfs = TmpfsPlan { target: "/t".into(), options: vec!["exec".into()], size: Some(4096), mode: Some(0o1777), read_only: true };
        let plan = LaunchPlan { mounts: vec![MountPlan::Tmpfs(tmpfs)], ..LaunchPlan::default() };
        assert_eq!(made(&plan)[7].1, "nosuid,nodev,rprivate,ro,mode=1777,size=4096,exec");
    }
}
