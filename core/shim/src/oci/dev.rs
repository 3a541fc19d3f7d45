//! A bind on `/dev`. libcontainer makes nodes and links in whatever is mounted there, which would be the host's directory. Here it
//! makes them in an empty file system that covers the bind, and a hook takes that away before the container gets its root. The hook also
//! makes the bind read-only, which libcontainer never does on `/dev`, and gives a container with a terminal the `ptmx` of its `pts`:
//! libcontainer makes terminals with no other, and a host's is often a node beside it. (Its mode may leave further terminals to root.)

use super::failed;
use libcontainer::{
    rootfs::utils::is_bind,
    syscall::{
        linux::{AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, MountAttr},
        syscall::create_syscall,
    },
};
use oci_spec::runtime::{HookBuilder, Mount, MountBuilder, Spec};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{UnmountFlags, mount_bind, unmount},
};
use std::{
    ffi::OsString,
    os::{fd::AsFd, unix::fs::FileTypeExt},
    path::Path,
};
use wharf_types::{Error, Result, error::Context};

/// The command of the hook. Its arguments are a path and options.
pub const UNCOVER: &str = "uncover";
const READ_ONLY: &str = "ro";
const TERMINAL: &str = "tty";
const DEV: &str = "/dev";

/// Covers a bind on `/dev`, if there is one.
///
/// # Errors
/// [`wharf_types::ErrorKind::NotImplemented`] when mounts on it would be seen on the host: so would the one that covers it.
pub fn cover(spec: &mut Spec) -> Result<()> {
    let on_dev = |mount: &&Mount| is_bind(mount) && mount.destination() == Path::new(DEV);
    let Some(bind) = spec.mounts().iter().flatten().find(on_dev) else { return Ok(()) };
    let read_only = bind.options().iter().flatten().any(|option| option == READ_ONLY);
    let terminal = spec.process().as_ref().is_some_and(|process| process.terminal() == Some(true));
    let propagation = spec.linux().as_ref().and_then(|linux| linux.rootfs_propagation().clone());
    if propagation.as_deref() == Some("shared") {
        return Err(Error::not_implemented("a bind on /dev beside a shared mount is not supported by the built-in runtime"));
    }
    let root = spec.root().as_ref().ok_or_else(|| Error::invalid("the spec has no root"))?;
    let mut args = vec!["wharf-shim".to_owned(), UNCOVER.to_owned(), format!("{}{DEV}", root.path().display())];
    args.extend(terminal.then(|| TERMINAL.to_owned()));
    args.extend(read_only.then(|| READ_ONLY.to_owned()));
    let hook = HookBuilder::default().path("/proc/self/exe").args(args).build().map_err(failed)?;
    let options = ["nosuid".to_owned(), "mode=755".to_owned()];
    let cover = MountBuilder::default().destination(DEV).typ("tmpfs").source("tmpfs").options(options).build().map_err(failed)?;
    spec.mounts_mut().get_or_insert_default().push(cover);
    let mut hooks = spec.hooks().clone().unwrap_or_default();
    hooks.set_create_container(Some([hooks.create_container().clone().unwrap_or_default(), vec![hook]].concat()));
    spec.set_hooks(Some(hooks));
    Ok(())
}

/// What the hook does, in the container's mount namespace.
pub fn uncover(args: &[OsString]) -> Result<()> {
    let (dev, options) = args.split_first().ok_or_else(|| Error::invalid("no mount point given"))?;
    let dev = Path::new(dev);
    unmount(dev, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).context(dev.display())?;
    let wants = |what: &str| options.iter().any(|option| option == what);
    let ptmx = dev.join("ptmx");
    if wants(TERMINAL) && ptmx.symlink_metadata().is_ok_and(|node| node.file_type().is_char_device()) {
        mount_bind(dev.join("pts/ptmx"), &ptmx).context(ptmx.display())?;
    }
    if wants(READ_ONLY) {
        let mount = openat(CWD, dev, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).context(dev.display())?;
        let attr = MountAttr { attr_set: MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
        create_syscall().mount_setattr(mount.as_fd(), Path::new(""), AT_EMPTY_PATH, &attr, size_of::<MountAttr>()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(destination: &str, propagation: &str) -> Spec {
        let spec = serde_json::json!({
            "ociVersion": "1.0.0",
            "root": {"path": "/r"},
            "mounts": [{"destination": destination, "type": "bind", "source": "/dev", "options": ["rbind", "ro"]}],
            "process": {"terminal": true, "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "hooks": {"createContainer": [{"path": "/first"}]},
            "linux": {"rootfsPropagation": propagation},
        });
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_bind_is_covered_last_and_uncovered_by_a_hook() {
        let mut covered = spec("/dev", "private");
        cover(&mut covered).unwrap();
        let covered = serde_json::to_value(covered).unwrap();
        let mounts: Vec<_> = covered["mounts"].as_array().unwrap().iter().map(|m| (&m["destination"], &m["type"])).collect();
        assert_eq!(serde_json::to_value(mounts).unwrap(), serde_json::json!([["/dev", "bind"], ["/dev", "tmpfs"]]));
        let hooks = &covered["hooks"]["createContainer"];
        assert_eq!(
            (&hooks[0]["path"], &hooks[1]["args"]),
            (&"/first".into(), &serde_json::json!(["wharf-shim", "uncover", "/r/dev", "tty", "ro"]))
        );
    }

    #[test]
    fn others_stay_as_they_are() {
        let mut below = spec("/dev/snd", "shared");
        cover(&mut below).unwrap();
        assert_eq!(below, spec("/dev/snd", "shared"));
        assert!(cover(&mut spec("/dev", "shared")).unwrap_err().message().contains("shared"));
    }
}
