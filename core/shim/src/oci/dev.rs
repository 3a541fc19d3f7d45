//! A bind on `/dev`. libcontainer makes nodes and links in whatever is mounted there, which would be the host's directory. Here it
//! makes them in an empty file system that covers the bind, and a hook takes that away before the container gets its root.

use super::failed;
use oci_spec::runtime::{HookBuilder, Linux, Mount, MountBuilder, Spec};
use rustix::mount::{UnmountFlags, unmount};
use std::path::Path;
use wharf_types::{Error, Result, error::Context};

/// The command of the hook, whose argument is a path.
pub const UNCOVER: &str = "uncover";
const DEV: &str = "/dev";
/// The same to the kernel. From a mount that is called `/dev`, libcontainer takes `ro` away.
const UNNAMED: &str = "/dev/../dev";

/// Covers a bind on `/dev`, if there is one.
///
/// # Errors
/// [`wharf_types::ErrorKind::NotImplemented`] when mounts on it would be seen on the host: so would the one that covers it.
pub fn cover(spec: &mut Spec) -> Result<()> {
    let Some(bind) = spec.mounts_mut().iter_mut().flatten().find(|mount| is_bind(mount) && mount.destination() == Path::new(DEV)) else {
        return Ok(());
    };
    bind.set_destination(UNNAMED.into());
    let propagation = spec.linux().as_ref().and_then(|linux: &Linux| linux.rootfs_propagation().clone());
    if propagation.as_deref() == Some("shared") {
        return Err(Error::not_implemented("a bind on /dev beside a shared mount is not supported by the built-in runtime"));
    }
    let root = spec.root().as_ref().ok_or_else(|| Error::invalid("the spec has no root"))?;
    let args = ["wharf-shim".to_owned(), UNCOVER.to_owned(), format!("{}{DEV}", root.path().display())];
    let hook = HookBuilder::default().path("/proc/self/exe").args(args).build().map_err(failed)?;
    let options = ["nosuid".to_owned(), "mode=755".to_owned()];
    let cover = MountBuilder::default().destination(DEV).typ("tmpfs").source("tmpfs").options(options).build().map_err(failed)?;
    spec.mounts_mut().get_or_insert_default().push(cover);
    let mut hooks = spec.hooks().clone().unwrap_or_default();
    hooks.set_create_container(Some([hooks.create_container().clone().unwrap_or_default(), vec![hook]].concat()));
    spec.set_hooks(Some(hooks));
    Ok(())
}

fn is_bind(mount: &Mount) -> bool {
    mount.typ().as_deref() == Some("bind") || mount.options().iter().flatten().any(|option| option == "bind" || option == "rbind")
}

/// What the hook does, in the container's mount namespace.
pub fn uncover(path: &Path) -> Result<()> {
    unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).context(path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(destination: &str, propagation: &str) -> Spec {
        let spec = serde_json::json!({
            "ociVersion": "1.0.0",
            "root": {"path": "/r"},
            "mounts": [{"destination": destination, "type": "bind", "source": "/dev", "options": ["rbind", "ro"]}],
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
        assert_eq!(serde_json::to_value(mounts).unwrap(), serde_json::json!([["/dev/../dev", "bind"], ["/dev", "tmpfs"]]));
        let hooks = &covered["hooks"]["createContainer"];
        assert_eq!((&hooks[0]["path"], &hooks[1]["args"]), (&"/first".into(), &serde_json::json!(["wharf-shim", "uncover", "/r/dev"])));
    }

    #[test]
    fn others_stay_as_they_are() {
        let mut below = spec("/dev/snd", "shared");
        cover(&mut below).unwrap();
        assert_eq!(below, spec("/dev/snd", "shared"));
        assert!(cover(&mut spec("/dev", "shared")).unwrap_err().message().contains("shared"));
    }
}
