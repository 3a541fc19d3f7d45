//! Mounting and unmounting overlays.

use rustix::{
    fs::{self, CWD, Mode, OFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount,
        fsopen, mount, move_mount, unmount,
    },
};
use std::{
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

/// What to mount where.
pub(crate) struct OverlayMount<'a> {
    pub(crate) target: &'a Path,
    pub(crate) upper: &'a Path,
    pub(crate) work: &'a Path,
    /// Top first, at least one.
    pub(crate) lowers: &'a [PathBuf],
    /// Further options as `key=value`.
    pub(crate) options: &'a [(&'static str, &'static str)],
}

/// The longest string that fsconfig(2) takes, in bytes.
const MAX_STRING: usize = 255;

impl OverlayMount<'_> {
    /// Mounts with the new mount API, or with mount(2) where that cannot: kernels before 6.5 do not know `lowerdir+` and say EINVAL,
    /// and paths may be too long.
    pub(crate) fn mount(&self) -> rustix::io::Result<()> {
        let short = self.lowers.iter().map(PathBuf::as_path).chain([self.upper, self.work]);
        if short.into_iter().all(|p| p.as_os_str().len() <= MAX_STRING) {
            match self.mount_by_descriptor() {
                Err(Errno::INVAL | Errno::NOSYS) => {}
                other => return other,
            }
        }
        self.mount_by_links()
    }

    pub(crate) fn mount_by_descriptor(&self) -> rustix::io::Result<()> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        // Only a name, but programs that list mounts look for it.
        fsconfig_set_string(&context, "source", "overlay")?;
        for lower in self.lowers {
            fsconfig_set_string(&context, "lowerdir+", lower)?;
        }
        fsconfig_set_string(&context, "upperdir", self.upper)?;
        fsconfig_set_string(&context, "workdir", self.work)?;
        for (key, value) in self.options {
            fsconfig_set_string(&context, *key, *value)?;
        }
        fsconfig_create(&context)?;
        let made = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        move_mount(&made, "", CWD, self.target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    }

    /// mount(2) takes one page of options. Symbolic links in a directory of their own, named through its descriptor, make every path
    /// short enough for 128 layers; the kernel follows them at once, so they can go afterwards.
    pub(crate) fn mount_by_links(&self) -> rustix::io::Result<()> {
        let links = self.work.with_file_name("links");
        let outcome = self.link_and_mount(&links);
        let _ = std::fs::remove_dir_all(&links);
        outcome
    }

    fn link_and_mount(&self, links: &Path) -> rustix::io::Result<()> {
        let _ = std::fs::remove_dir_all(links);
        fs::mkdir(links, Mode::RWXU)?;
        let dir = fs::open(links, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let at = format!("/proc/self/fd/{}", dir.as_raw_fd());
        fs::symlinkat(self.upper, &dir, "u")?;
        fs::symlinkat(self.work, &dir, "w")?;
        let mut lowers = Vec::new();
        for (n, lower) in self.lowers.iter().enumerate() {
            fs::symlinkat(lower, &dir, n.to_string())?;
            lowers.push(format!("{at}/{n}"));
        }
        let mut options = format!("lowerdir={},upperdir={at}/u,workdir={at}/w", lowers.join(":"));
        for (key, value) in self.options {
            options.push_str(&format!(",{key}={value}"));
        }
        let options = std::ffi::CString::new(options).map_err(|_| Errno::INVAL)?;
        mount("overlay", self.target, "overlay", MountFlags::empty(), options.as_c_str())
    }
}

/// Takes the mount at `target` out of the tree at once. The descriptor keeps the file system alive: whoever closes it pays for the
/// sync of the upper layer that overlayfs does at its end. `None` when nothing is mounted.
pub(crate) fn detach(target: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    let mut last = None;
    loop {
        let handle = match fs::open(target, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(last),
            other => other?,
        };
        match unmount(target.as_os_str().as_bytes(), UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Several on top of each other cannot come from us, but nothing may be left.
            Ok(()) => last = Some(handle),
            Err(Errno::INVAL | Errno::NOENT) => return Ok(last),
            Err(e) => return Err(e),
        }
    }
}
