//! `PropagatedMount`: a directory of the host where a plugin mounts what containers shall see. It is mounted on itself and shared,
//! so that whatever the plugin mounts in it appears on the host.

use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount as detach};
use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};
use wharf_runtime::mountinfo;
use wharf_types::{Result, error::Context as _};

/// Makes the directory, and the mount when it is not there yet.
///
/// # Errors
/// When the kernel refuses.
pub fn mount(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir).context(dir.display())?;
    let shown = || format!("mount {}", dir.display());
    if !below(dir)?.iter().any(|point| point == dir) {
        mount_bind(dir, dir).map_err(io::Error::from).context(shown())?;
    }
    let flags = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    mount_change(dir, flags).map_err(io::Error::from).context(shown())
}

/// Unmounts it with all that is mounted in it, whoever uses it.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount(dir: &Path) -> Result<()> {
    for point in below(dir)?.iter().rev() {
        match detach(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // It went with the one that it was mounted in.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(e) => return Err(io::Error::from(e)).context(format!("unmount {}", point.display())),
        }
    }
    Ok(())
}

/// The mount points at and below `dir`, in the order in which they were mounted.
fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    Ok(mountinfo::mounts(&table).map(|mount| mount.point).filter(|point| point.starts_with(dir)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_once_and_unmounted_with_all_in_it() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().canonicalize().unwrap().join("propagated mount");
        mount(&dir).unwrap();
        mount(&dir).unwrap();
        assert_eq!(below(&dir).unwrap(), std::slice::from_ref(&dir));
        fs::create_dir(dir.join("volume")).unwrap();
        rustix::mount::mount("tmpfs", dir.join("volume"), "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        assert_eq!(below(&dir).unwrap().len(), 2);
        unmount(&dir).unwrap();
        assert!(below(&dir).unwrap().is_empty() && dir.join("volume").is_dir());
        unmount(&tmp.path().join("nothing")).unwrap();
    }
}
