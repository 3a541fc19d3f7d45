//! A root file system as its container sees it: with what is mounted on it, but out of everybody's sight.
//!
//! Mounts are made in a mount namespace of their own that holds nothing else, so they cannot get in the way of the container or
//! the host, and they end with the [`View`], also when the daemon is killed.

use crate::apply::path::join;
use nix::sched::{CloneFlags, unshare};
use rustix::{
    fs::{self, Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxFlags},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_change, mount_remount, move_mount, open_tree,
        unmount,
    },
    process::{fchdir, pivot_root},
};
use std::{
    collections::VecDeque,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    thread,
};
use wharf_types::{Error, Result, error::Context};

/// Something mounted on the root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// The directory or file of the host, by a path without links.
    pub source: PathBuf,
    /// Where it is seen, resolved inside the root.
    pub target: PathBuf,
    /// Whether it cannot be changed there.
    pub read_only: bool,
}

/// The root file system, open.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    /// Keeps the mounts; the last descriptor of a namespace undoes them.
    _namespace: Option<OwnedFd>,
}

pub(crate) const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl View {
    /// Opens `rootfs` with `mounts` on it. Mount points that are missing are made, as a start of the container would.
    ///
    /// # Errors
    /// `InvalidParameter` for a source that is not there, `System` when the kernel refuses.
    pub fn open(rootfs: &Path, mounts: &[Mounted], read_only: bool) -> Result<Self> {
        if mounts.is_empty() && !read_only {
            let root = fs::open(rootfs, PATH_ONLY | OFlags::DIRECTORY, Mode::empty()).context(format_args!("open {}", rootfs.display()))?;
            return Ok(Self { root, _namespace: None });
        }
        // Taken where the host's paths still mean something.
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let clone_all = |path: &Path| {
            // Whoever can put a link into the path does not choose what is shown.
            let place = wharf_store::open_in(CWD, path, PATH_ONLY, Mode::empty(), ResolveFlags::NO_SYMLINKS)?;
            open_tree(&place, "", clone | OpenTreeFlags::AT_RECURSIVE | OpenTreeFlags::AT_EMPTY_PATH)
        };
        let mut trees = Vec::new();
        for mount in mounts {
            let tree = clone_all(&mount.source).map_err(|e| match e {
                Errno::NOENT => Error::invalid(format!("bind source path does not exist: {}", mount.source.display())),
                e => Error::system(format!("mount {}: {e}", mount.source.display())),
            })?;
            trees.push((tree, mount));
        }
        // Parents before what lies in them.
        trees.sort_by_key(|(_, mount)| mount.target.components().count());
        let root = open_tree(CWD, rootfs, clone).context(format_args!("open {}", rootfs.display()))?;
        let assembled = thread::scope(|scope| {
            // A thread that changed its namespace must not serve anything else.
            let thread = thread::Builder::new().name("view".to_owned()).spawn_scoped(scope, || assemble(rootfs, root, trees, read_only))?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        });
        let (root, namespace) = assembled.context(format_args!("show {}", rootfs.display()))?;
        Ok(Self { root, _namespace: Some(namespace) })
    }

    /// The root directory.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// Refuses a place that cannot be written to.
    ///
    /// # Errors
    /// `InvalidParameter`, saying whether it is the root or a mount that is read-only.
    pub(crate) fn check_writable(&self, place: &OwnedFd) -> Result<()> {
        if !fs::fstatvfs(place).context("statfs")?.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Ok(());
        }
        let mount_id = |fd: &OwnedFd| fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|st| st.stx_mnt_id).context("stat");
        let which = if mount_id(place)? == mount_id(&self.root)? { "container rootfs" } else { "mounted volume" };
        Err(Error::invalid(format!("{which} is marked read-only")))
    }
}

fn assemble(rootfs: &Path, root: OwnedFd, trees: Vec<(OwnedFd, &Mounted)>, read_only: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let namespace = fs::open("/proc/thread-self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    move_mount(&root, "", CWD, rootfs, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    fchdir(&root)?;
    // Everything of the host goes: what is copied here would keep file systems busy that somebody unmounts meanwhile.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    let root = fs::open("/", PATH_ONLY | OFlags::DIRECTORY, Mode::empty())?;
    for (tree, mount) in trees {
        let is_dir = FileType::from_raw_mode(fs::fstat(&tree)?.st_mode) == FileType::Directory;
        let target = mount_point(&root, mount.target.as_os_str().as_bytes(), is_dir)?;
        let onto = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&tree, "", &target, "", onto)?;
        if mount.read_only {
            make_read_only(&root, &mount.target)?;
        }
    }
    if read_only {
        make_read_only(&root, Path::new("."))?;
    }
    Ok((root, namespace))
}

/// Opens the directory or file that something will be mounted on; what is missing is made.
fn mount_point(root: &OwnedFd, target: &[u8], is_dir: bool) -> io::Result<OwnedFd> {
    let open = |path: &[u8]| wharf_store::open_in(root, path, PATH_ONLY, Mode::empty(), IN_ROOT);
    let mut path = Vec::new();
    let followed = follow(root, target)?;
    let mut parts = followed.split(|b| *b == b'/').filter(|p| !p.is_empty()).peekable();
    while let Some(name) = parts.next() {
        let above = open(&[b"/", path.as_slice()].concat())?;
        path = join(&path, name);
        if !matches!(fs::accessat(&above, name, Access::EXISTS, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT)) {
            continue;
        }
        if is_dir || parts.peek().is_some() {
            fs::mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            fs::openat(&above, name, flags, Mode::from_raw_mode(0o644))?;
        }
    }
    Ok(open(&[b"/", path.as_slice()].concat())?)
}

/// How many links may lead from one to the next (the kernel's number).
const MAX_LINKS: usize = 40;

/// Follows every link of a path inside `root`, as far as there is something. Without a slash at its beginning.
///
/// # Errors
/// `ELOOP` for links that lead in circles.
pub fn follow(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<Vec<u8>> {
    let split = |path: &[u8]| path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (mut done, mut todo, mut links): (Vec<Vec<u8>>, VecDeque<_>, _) = (Vec::new(), split(path).into(), 0);
    while let Some(part) = todo.pop_front() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                done.pop();
                continue;
            }
            _ => {}
        }
        let above = [b"/", done.join(&b'/').as_slice()].concat();
        let dir = wharf_store::open_in(root, above.as_slice(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), IN_ROOT);
        match dir.and_then(|dir| fs::readlinkat(dir, part.as_slice(), Vec::new())) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                if target.as_bytes().starts_with(b"/") {
                    done.clear();
                }
                split(target.as_bytes()).into_iter().rev().for_each(|p| todo.push_front(p));
            }
            Err(_) => done.push(part),
        }
    }
    Ok(done.join(&b'/'))
}

/// Makes the mount at `target` read-only, for this view only.
fn make_read_only(root: &OwnedFd, target: &Path) -> io::Result<()> {
    let mount = wharf_store::open_in(root, target, PATH_ONLY, Mode::empty(), IN_ROOT)?;
    let is_dir = FileType::from_raw_mode(fs::fstat(&mount)?.st_mode) == FileType::Directory;
    let how = MountFlags::BIND | MountFlags::RDONLY;
    if is_dir {
        fchdir(mount.as_fd())?;
        return Ok(mount_remount(".", how, "")?);
    }
    // The root of this namespace is the view's, so links in the path lead within it.
    Ok(mount_remount(Path::new("/").join(target), how, "")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(view: &View, path: &str) -> String {
        let file = wharf_store::open_in(view.root(), path, OFlags::RDONLY, Mode::empty(), IN_ROOT).unwrap();
        io::read_to_string(std::fs::File::from(file)).unwrap()
    }
    fn write(view: &View, path: &str) -> rustix::io::Result<OwnedFd> {
        wharf_store::open_in(view.root(), path, OFlags::WRONLY | OFlags::CREATE, Mode::RUSR, IN_ROOT)
    }

    #[test]
    fn mounts_are_seen_here_and_nowhere_else() {
        let tmp = tempfile::tempdir().unwrap();
        let (root, data) = (tmp.path().join("root"), tmp.path().join("data"));
        for dir in [&root, &data] {
            std::fs::create_dir(dir).unwrap();
        }
        std::fs::write(data.join("f"), "of the host").unwrap();
        std::fs::write(root.join("hosts"), "of the image").unwrap();
        // A mount point that leads out of the root for everybody else.
        std::os::unix::fs::symlink("/elsewhere", root.join("link")).unwrap();
        let mount = |source: PathBuf, target: &str, read_only| Mounted { source, target: target.into(), read_only };
        let mounts = [
            mount(data.clone(), "/deep/er", false),
            mount(data.join("f"), "/hosts", true),
            mount(data.clone(), "/deep", true),
            mount(data.clone(), "/link/x", false),
        ];
        let view = View::open(&root, &mounts[1..], false).unwrap();
        assert_eq!((read(&view, "/deep/f"), read(&view, "/hosts"), read(&view, "elsewhere/x/f")), {
            let text = || "of the host".to_owned();
            (text(), text(), text())
        });
        assert!(!Path::new("/elsewhere").exists());
        assert_eq!(write(&view, "/deep/new").unwrap_err(), Errno::ROFS);
        assert_eq!(write(&view, "/hosts").unwrap_err(), Errno::ROFS);
        write(&view, "/link/x/new").unwrap();
        assert!(data.join("new").exists() && !root.join("deep/f").exists());
        assert_eq!(std::fs::read_to_string(root.join("hosts")).unwrap(), "of the image");
        drop(view);
        assert!(!std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(root.to_str().unwrap()));
    }

    #[test]
    fn a_read_only_root_says_so() {
        let tmp = tempfile::tempdir().unwrap();
        let view = View::open(tmp.path(), &[], true).unwrap();
        assert_eq!(view.check_writable(view.root()).unwrap_err().message(), "container rootfs is marked read-only");
        assert!(View::open(tmp.path(), &[], false).is_ok_and(|v| v.check_writable(v.root()).is_ok()));
        let refusal = |source: &str| {
            let mount = Mounted { source: tmp.path().join(source), target: "/x".into(), read_only: false };
            View::open(tmp.path(), &[mount], false).unwrap_err().message().to_owned()
        };
        assert!(refusal("none").contains("bind source path does not exist"));
        std::os::unix::fs::symlink("/etc", tmp.path().join("link")).unwrap();
        assert!(refusal("link").contains("symbolic links") && refusal("link/hosts").contains("symbolic links"));
    }
}
