//! Where mounts land: links on the way to a mount point are the image's, so they are followed inside of its root file system before
//! the runtime sees the path. No process of the container runs yet that could change them.

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, open, statfs};
use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};
use wharf_layers::view::follow;
use wharf_runtime::spec::{MountPlan, mounts::rootfs_propagation};
use wharf_shim_proto::RuntimeKind;
use wharf_types::{Error, Result, error::Context as _};

/// What may be mounted on in `/proc` (runc's list): files that tell about the machine. Everything else tells the kernel who a process
/// is or what it may do.
const MOUNTABLE: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Replaces every target by the path that it leads to in `rootfs`.
///
/// # Errors
/// 400 for a target in `/proc`, and for links that lead in circles.
pub fn settle(rootfs: &Path, mounts: &mut [MountPlan]) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(rootfs, flags, Mode::empty()).context(rootfs.display())?;
    for mount in mounts {
        let (source, target) = match mount {
            MountPlan::Bind(bind) => (bind.source.as_path(), &mut bind.target),
            MountPlan::Tmpfs(tmpfs) => (Path::new("tmpfs"), &mut tmpfs.target),
            MountPlan::Raw(raw) => (raw.source.as_path(), &mut raw.target),
        };
        let path = follow(&root, target.as_os_str().as_bytes())
            .map_err(|e| Error::invalid(format!("invalid mount target {}: {e}", target.display())))?;
        let place = Path::new("/").join(PathBuf::from(OsString::from_vec(path)));
        check(source, &place)?;
        *target = place;
    }
    Ok(())
}

/// A bind on `/dev` beside a shared mount is for other runtimes only: what the built-in one mounts on `/dev` for a moment would be
/// mounted on the host's.
///
/// # Errors
/// 501.
pub fn refuse_shared_dev(runtime: &RuntimeKind, mounts: &[MountPlan]) -> Result<()> {
    let bind = |mount: &MountPlan| match mount {
        MountPlan::Bind(_) => true,
        MountPlan::Raw(raw) => raw.kind == "bind" || raw.options.iter().any(|option| option == "bind" || option == "rbind"),
        MountPlan::Tmpfs(_) => false,
    };
    let on_dev = mounts.iter().any(|mount| bind(mount) && mount.target() == Path::new("/dev"));
    if *runtime == RuntimeKind::Builtin && on_dev && rootfs_propagation(mounts) == Some("shared") {
        let refusal = "a bind on /dev beside a shared mount is not supported by the built-in runtime: choose another one";
        return Err(Error::not_implemented(refusal));
    }
    Ok(())
}

fn check(source: &Path, target: &Path) -> Result<()> {
    let refused = |why: &str| {
        let (source, target) = (source.display(), target.display());
        Err(Error::invalid(format!(
            "error mounting \"{source}\" to rootfs at \"{target}\": \"{target}\" cannot be mounted because it is {why}"
        )))
    };
    if target == Path::new("/") {
        return refused("the root");
    }
    if target == Path::new("/proc") {
        let is_proc = statfs(source).is_ok_and(|fs| fs.f_type == PROC_SUPER_MAGIC);
        return if is_proc { Ok(()) } else { refused("not of type proc") };
    }
    let mountable = MOUNTABLE.iter().any(|file| target == Path::new(file));
    if target.starts_with("/proc") && !mountable { refused("inside /proc") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use wharf_runtime::spec::{BindPlan, mounts::Propagation};

    fn settled(root: &Path, source: &str, target: &str) -> Result<PathBuf> {
        let mut mounts = [MountPlan::Bind(BindPlan { source: source.into(), target: target.into(), ..BindPlan::default() })];
        settle(root, &mut mounts).map(|()| mounts[0].target().to_owned())
    }

    #[test]
    fn links_lead_within_the_root() {
        let tmp = tempfile::tempdir().unwrap();
        for (link, to) in [("abs", "/somewhere"), ("up", "../../../../x"), ("all", "/"), ("p", "/proc"), ("a", "b"), ("b", "a")] {
            symlink(to, tmp.path().join(link)).unwrap();
        }
        for (target, place) in [
            ("/plain/dir", "/plain/dir"),
            ("/abs/made", "/somewhere/made"),
            ("/up/deep/er", "/x/deep/er"),
            ("/all/etc", "/etc"),
            ("/../../d/../e/", "/e"),
            ("/p/meminfo", "/proc/meminfo"),
        ] {
            assert_eq!(settled(tmp.path(), "/nowhere", target).unwrap(), Path::new(place), "{target}");
        }
        assert!(settled(tmp.path(), "/nowhere", "/a/x").is_err());
    }

    #[test]
    fn proc_is_nobodys_mount_point() {
        let tmp = tempfile::tempdir().unwrap();
        symlink("/proc", tmp.path().join("p")).unwrap();
        for target in ["/proc", "/proc/self", "/p/sys", "/proc/self/attr/exec", "/x/../proc/1", "/"] {
            assert!(settled(tmp.path(), "/nowhere", target).is_err(), "{target}");
        }
        assert_eq!(
            settled(tmp.path(), "/s", "/p/self").unwrap_err().message(),
            "error mounting \"/s\" to rootfs at \"/proc/self\": \"/proc/self\" cannot be mounted because it is inside /proc"
        );
        assert!(settled(tmp.path(), "/proc", "/proc").is_ok());
        assert!(settled(tmp.path(), "/nowhere", "/process").is_ok());
    }

    #[test]
    fn dev_is_not_mounted_on_beside_shared_mounts() {
        let bind = |target: &str, propagation| MountPlan::Bind(BindPlan { target: target.into(), propagation, ..BindPlan::default() });
        let (dev, shared) = (bind("/dev", None), bind("/x", Some(Propagation::RShared)));
        let refused = |mounts: &[&MountPlan], runtime| {
            refuse_shared_dev(&runtime, &mounts.iter().map(|mount| (*mount).clone()).collect::<Vec<_>>()).is_err()
        };
        assert!(refused(&[&dev, &shared], RuntimeKind::Builtin));
        assert!(!refused(&[&dev], RuntimeKind::Builtin) && !refused(&[&shared], RuntimeKind::Builtin));
        assert!(!refused(&[&dev, &shared], RuntimeKind::External { path: "/usr/bin/runc".into(), args: Vec::new() }));
    }
}
