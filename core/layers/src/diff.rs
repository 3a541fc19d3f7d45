//! What a container changed: the difference between its own layer and the layers below, as a list and as a layer tar.
//!
//! The changed tree is either what overlayfs keeps of it (only what was written, with marks for what was deleted) or the whole
//! tree. Below it lie the directories of the layers, top first. Both are walked side by side.

use crate::{
    apply::whiteout,
    pack::{DIRECTORY, Packer, at_path, child_path, names, xattrs},
};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, Stat},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    ffi::{CStr, CString},
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is another than below, or something in it is.
    Modified,
    /// It is not there below.
    Added,
    /// It is there below only.
    Deleted,
}

/// A changed path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Without a slash at its beginning.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: ChangeKind,
}

/// The two sides.
pub(crate) struct Difference {
    /// The directory that the container changes.
    pub(crate) changed: PathBuf,
    /// Whether that holds everything, and not only what was written.
    pub(crate) whole: bool,
    /// The directories below it, top first.
    pub(crate) below: Vec<PathBuf>,
}

/// Mount points that a start makes where the image has none. Docker has them in a layer of its own; they are nobody's change.
const MANAGED: &[&[u8]] = &[
    b".dockerenv",
    b"dev",
    b"dev/console",
    b"dev/mqueue",
    b"dev/pts",
    b"dev/shm",
    b"etc",
    b"etc/hostname",
    b"etc/hosts",
    b"etc/resolv.conf",
    b"proc",
    b"sys",
    b"sys/fs",
    b"sys/fs/cgroup",
];

impl Difference {
    /// Everything that changed, in order.
    pub(crate) fn changes(&self) -> io::Result<Vec<Change>> {
        let open = |path: &Path| fs::open(path, DIRECTORY, Mode::empty());
        let below = self.below.iter().map(|p| open(p)).collect::<rustix::io::Result<Vec<_>>>()?;
        let mut changes = Vec::new();
        Walk { changes: &mut changes }.directory(&open(&self.changed)?, &below, &[], self.whole)?;
        changes.sort();
        Ok(changes)
    }

    /// Writes the layer tar of the changes.
    pub(crate) fn pack(&self, out: impl Write) -> io::Result<()> {
        let root = fs::open(&self.changed, DIRECTORY, Mode::empty())?;
        let mut packer = Packer::new(out);
        let mut parent: Option<(Vec<u8>, OwnedFd)> = None;
        for change in self.changes()? {
            let (dir, name) = crate::apply::path::split(&change.path).unwrap_or_default();
            if change.kind == ChangeKind::Deleted {
                packer.mark(child_path(dir, &[whiteout::PREFIX, name].concat()))?;
                continue;
            }
            if parent.as_ref().is_none_or(|(path, _)| path != dir) {
                parent = open_below(&root, dir)?.map(|fd| (dir.to_vec(), fd));
            }
            // A directory that went away meanwhile takes what was in it along.
            let Some((_, open)) = &parent else { continue };
            packer.one(open, &CString::new(name)?, &change.path)?;
        }
        packer.finish().map(drop)
    }
}

fn open_below(root: &OwnedFd, path: &[u8]) -> io::Result<Option<OwnedFd>> {
    use crate::view::IN_ROOT;
    let path = if path.is_empty() { b"." } else { path };
    match wharf_store::open_in(root, path, DIRECTORY, Mode::empty(), IN_ROOT | fs::ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        other => Ok(Some(other?)),
    }
}

struct Walk<'a> {
    changes: &'a mut Vec<Change>,
}

/// How deep a tree is looked at; with the stack of a thread in mind.
const MAX_DEPTH: usize = 512;

impl Walk<'_> {
    fn directory(&mut self, changed: &OwnedFd, below: &[OwnedFd], path: &[u8], whole: bool) -> io::Result<()> {
        if path.iter().filter(|b| **b == b'/').count() > MAX_DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        let whole = whole || is_opaque(changed)?;
        let here = names(changed)?;
        for name in &here {
            self.one(changed, below, name, path, whole)?;
        }
        if !whole {
            return Ok(());
        }
        let mut there = BTreeSet::new();
        for dir in below {
            there.extend(names(dir)?);
        }
        for name in there {
            if here.binary_search(&name).is_err() && find(below, &name)?.is_some() {
                self.add(child_path(path, name.to_bytes()), ChangeKind::Deleted);
            }
        }
        Ok(())
    }

    fn one(&mut self, changed: &OwnedFd, below: &[OwnedFd], name: &CStr, path: &[u8], whole: bool) -> io::Result<()> {
        let now = match fs::statat(changed, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        let path = child_path(path, name.to_bytes());
        let before = find(below, name)?;
        if !whole && whiteout::is_mark(&now) {
            if before.is_some() {
                self.add(path, ChangeKind::Deleted);
            }
            return Ok(());
        }
        let is_dir = FileType::from_raw_mode(now.st_mode) == FileType::Directory;
        let managed = before.is_none() && MANAGED.contains(&path.as_slice());
        if managed && !is_dir && now.st_size == 0 {
            return Ok(());
        }
        let at = self.changes.len();
        if is_dir {
            let (sub, below) = match fs::openat(changed, name, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
                other => (other?, directories(below, name)?),
            };
            self.directory(&sub, &below, &path, whole)?;
        }
        let inside = self.changes.len() > at;
        let kind = match before {
            None if managed && !inside => return Ok(()),
            None => ChangeKind::Added,
            // In the tree that overlayfs keeps, a file is a file that was written.
            Some(_) if !is_dir && !whole => ChangeKind::Modified,
            Some((dir, then)) if inside || differs(&now, &then) || attributes(changed, name)? != attributes(dir, name)? => {
                ChangeKind::Modified
            }
            Some(_) => return Ok(()),
        };
        self.add(path, kind);
        Ok(())
    }

    fn add(&mut self, path: Vec<u8>, kind: ChangeKind) {
        self.changes.push(Change { path, kind });
    }
}

/// What the layers below show as `name`, and in which of their directories it lies.
fn find<'a>(below: &'a [OwnedFd], name: &CStr) -> io::Result<Option<(&'a OwnedFd, Stat)>> {
    for dir in below {
        match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            found => return Ok(Some((dir, found?)).filter(|(_, st)| !whiteout::is_mark(st))),
        }
    }
    Ok(None)
}

/// The directories that the layers below merge as `name`.
fn directories(below: &[OwnedFd], name: &CStr) -> io::Result<Vec<OwnedFd>> {
    let mut merged = Vec::new();
    for dir in below {
        match fs::openat(dir, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => continue,
            // A deleted directory, or something else of that name.
            Err(Errno::NOTDIR | Errno::LOOP) => break,
            other => merged.push(other?),
        }
        if merged.last().is_some_and(|dir| is_opaque(dir).unwrap_or(false)) {
            break;
        }
    }
    Ok(merged)
}

/// Whether nothing of the layers below shows through.
fn is_opaque(dir: &OwnedFd) -> io::Result<bool> {
    match fs::fgetxattr(dir, "trusted.overlay.opaque", &mut [0u8; 1]) {
        Ok(_) | Err(Errno::RANGE) => Ok(true),
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Docker's rule: times and lengths of directories say nothing.
fn differs(a: &Stat, b: &Stat) -> bool {
    let owner = |s: &Stat| (s.st_mode, s.st_uid, s.st_gid, s.st_rdev);
    let content = |s: &Stat| (s.st_size, s.st_mtime, s.st_mtime_nsec);
    owner(a) != owner(b) || (FileType::from_raw_mode(a.st_mode) != FileType::Directory && content(a) != content(b))
}

/// The attributes of a file, whatever it is.
fn attributes(dir: &OwnedFd, name: &CStr) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    match xattrs(&at_path(dir, name), false) {
        Err(e) if e.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(Vec::new()),
        other => other,
    }
}
