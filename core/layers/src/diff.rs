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
        Walk { changes: &mut changes }.tree(open(&self.changed)?, below, self.whole)?;
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

/// A directory on the way down.
struct Level {
    changed: OwnedFd,
    /// What the layers below have of it, top first.
    below: Vec<OwnedFd>,
    path: Vec<u8>,
    /// Whether what is not in `changed` was deleted.
    whole: bool,
    here: Vec<CString>,
    /// How many of `here` were looked at.
    seen: usize,
    /// The directory itself, which is judged last; none of the root.
    own: Option<Seen>,
}

/// A file and what was seen of it.
struct Seen {
    name: CString,
    path: Vec<u8>,
    now: Stat,
    /// In which of the directories below it is too, and as what.
    before: Option<(usize, Stat)>,
    managed: bool,
    /// How many changes were known before what is in it.
    at: usize,
}

/// How deep a tree is looked at: every level holds a descriptor for each layer that has it.
const MAX_DEPTH: usize = 512;

struct Walk<'a> {
    changes: &'a mut Vec<Change>,
}

impl Walk<'_> {
    /// A list instead of recursion: how deep the tree is, its owner decides.
    fn tree(&mut self, changed: OwnedFd, below: Vec<OwnedFd>, whole: bool) -> io::Result<()> {
        let mut levels = vec![Level::new(changed, below, Vec::new(), whole, None)?];
        while let Some(level) = levels.last_mut() {
            if let Some(name) = level.here.get(level.seen).cloned() {
                level.seen += 1;
                if let Some(below) = self.one(level, name)? {
                    if levels.len() > MAX_DEPTH {
                        return Err(Errno::NAMETOOLONG.into());
                    }
                    levels.push(below);
                }
                continue;
            }
            self.deleted(level)?;
            let own = levels.pop().and_then(|done| done.own);
            if let (Some(above), Some(own)) = (levels.last(), own) {
                self.judge(above, own, true)?;
            }
        }
        Ok(())
    }

    /// Looks at one name; a directory is returned, to be looked into.
    fn one(&mut self, level: &Level, name: CString) -> io::Result<Option<Level>> {
        let now = match fs::statat(&level.changed, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let path = child_path(&level.path, name.to_bytes());
        let before = find(&level.below, &name)?;
        if !level.whole && whiteout::is_mark(&now) {
            if before.is_some() {
                self.add(path, ChangeKind::Deleted);
            }
            return Ok(None);
        }
        let is_dir = FileType::from_raw_mode(now.st_mode) == FileType::Directory;
        let managed = before.is_none() && MANAGED.contains(&path.as_slice());
        if managed && !is_dir && now.st_size == 0 {
            return Ok(None);
        }
        let own = Seen { name, path, now, before, managed, at: self.changes.len() };
        if !is_dir {
            self.judge(level, own, false)?;
            return Ok(None);
        }
        let changed = match fs::openat(&level.changed, &own.name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            other => other?,
        };
        let below = directories(&level.below, &own.name)?;
        Level::new(changed, below, own.path.clone(), level.whole, Some(own)).map(Some)
    }

    /// Decides what happened to a file once everything in it is known.
    fn judge(&mut self, level: &Level, file: Seen, is_dir: bool) -> io::Result<()> {
        let inside = self.changes.len() > file.at;
        let kind = match file.before {
            None if file.managed && !inside => return Ok(()),
            None => ChangeKind::Added,
            // In the tree that overlayfs keeps, a file is a file that was written.
            Some(_) if !is_dir && !level.whole => ChangeKind::Modified,
            Some((dir, then)) => {
                let below = level.below.get(dir).ok_or(Errno::NOENT)?;
                let same =
                    !inside && !differs(&file.now, &then) && attributes(&level.changed, &file.name)? == attributes(below, &file.name)?;
                if same {
                    return Ok(());
                }
                ChangeKind::Modified
            }
        };
        self.add(file.path, kind);
        Ok(())
    }

    /// What the layers below have in a directory and the changed tree has not.
    fn deleted(&mut self, level: &Level) -> io::Result<()> {
        if !level.whole {
            return Ok(());
        }
        let mut there = BTreeSet::new();
        for dir in &level.below {
            there.extend(names(dir)?);
        }
        for name in there {
            if level.here.binary_search(&name).is_err() && find(&level.below, &name)?.is_some() {
                self.add(child_path(&level.path, name.to_bytes()), ChangeKind::Deleted);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: Vec<u8>, kind: ChangeKind) {
        self.changes.push(Change { path, kind });
    }
}

impl Level {
    fn new(changed: OwnedFd, below: Vec<OwnedFd>, path: Vec<u8>, whole: bool, own: Option<Seen>) -> io::Result<Self> {
        let whole = whole || is_opaque(&changed)?;
        let here = names(&changed)?;
        Ok(Self { changed, below, path, whole, here, seen: 0, own })
    }
}

/// What the layers below show as `name`, and in which of their directories it lies.
fn find(below: &[OwnedFd], name: &CStr) -> io::Result<Option<(usize, Stat)>> {
    for (index, dir) in below.iter().enumerate() {
        match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            found => return Ok(Some((index, found?)).filter(|(_, st)| !whiteout::is_mark(st))),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// On the small stack of a thread: an overflow would end the process.
    #[test]
    fn depth_costs_no_stack() {
        let (changed, below) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dig = |tree: &tempfile::TempDir, levels: usize| {
            let mut at = fs::open(tree.path(), DIRECTORY, Mode::empty()).unwrap();
            for _ in 0..levels {
                fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
                at = fs::openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
            }
        };
        let changes = || {
            let difference = Difference { changed: changed.path().to_owned(), whole: true, below: vec![below.path().to_owned()] };
            let run = move || difference.changes();
            std::thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap()
        };
        dig(&below, 3);
        dig(&changed, MAX_DEPTH - 10);
        let found = changes().unwrap();
        assert_eq!(found.len(), MAX_DEPTH - 10);
        assert_eq!((found[2].kind, found[3].kind), (ChangeKind::Modified, ChangeKind::Added));
        let deepest = found.last().unwrap().path.clone();
        let dir = open_below(&fs::open(changed.path(), DIRECTORY, Mode::empty()).unwrap(), &deepest).unwrap().unwrap();
        let mut at = dir;
        for _ in 0..20 {
            fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = fs::openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        assert_eq!(changes().unwrap_err().raw_os_error(), Some(Errno::NAMETOOLONG.raw_os_error()));
    }
}
