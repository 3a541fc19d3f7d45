//! Files of the host that a plugin may read, as they were when one generation of its instances first read them.
//!
//! Every instance of a generation sees the same content, however late it is made: a file that turned bad while the plugin runs can
//! keep a new generation from starting, but not the last good one from growing.

use super::grant::{Grant, Grants};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, Stat, fstat, openat};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use wharf_store::open_in;

/// Bytes of one file.
const FILE_MAX: u64 = 16 << 20;
/// Bytes of all files of a plugin, with their paths and what else is kept of them.
const ALL_MAX: usize = 64 << 20;
/// Bytes of a path; Linux knows no longer ones.
const PATH_MAX: usize = 4096;
/// Files and directories that are kept, also those that are not there.
const SEEN_MAX: usize = 1_000;
/// Names in a directory.
const NAMES_MAX: usize = 10_000;

/// How a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Content,
    Names,
}

/// Device, inode, size, and the times of its content and itself.
type Identity = (u64, u64, i64, i64, u64, i64, u64);

#[derive(Clone)]
enum Found {
    Content(Arc<[u8]>),
    Names(Arc<[String]>),
}

struct Seen {
    identity: Option<Identity>,
    found: Result<Found, String>,
}

pub(super) struct Files {
    allowed: Vec<PathBuf>,
    seen: Mutex<BTreeMap<(PathBuf, Form), Seen>>,
    /// What there was when [`Files::changed`] was asked last.
    last: Mutex<Vec<Option<Identity>>>,
}

impl Files {
    pub fn new(grants: &Grants) -> Self {
        let allowed = grants.iter().filter_map(|grant| if let Grant::Files(path) = grant { Some(path.clone()) } else { None }).collect();
        Self { allowed, seen: Mutex::default(), last: Mutex::default() }
    }

    /// The whole file. Blocks.
    pub fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        match self.look(path, Form::Content)? {
            Found::Content(content) => Ok(content),
            Found::Names(_) => Err(format!("{path}: is a directory")),
        }
    }

    /// Size and SHA-256. Blocks.
    pub fn stat(&self, path: &str) -> Result<(u64, String), String> {
        self.read(path).map(|content| (content.len() as u64, hex::encode(Sha256::digest(&content))))
    }

    /// The names in a directory, sorted. Blocks.
    pub fn list(&self, path: &str) -> Result<Vec<String>, String> {
        match self.look(path, Form::Names)? {
            Found::Names(names) => Ok(names.to_vec()),
            Found::Content(_) => Err(format!("{path}: is not a directory")),
        }
    }

    /// Whether something that was read is not as it was, and all is as it was when this was asked before: who is still writing a file
    /// is waited for. Blocks.
    pub fn changed(&self) -> bool {
        let (places, then): (Vec<_>, Vec<_>) =
            self.lock().iter().map(|((path, form), seen)| ((path.clone(), *form), seen.identity)).unzip();
        let identity = |(path, form): &(PathBuf, Form)| Some(identify(&fstat(self.open(path, *form).ok()?).ok()?));
        let now: Vec<_> = places.iter().map(identity).collect();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = *last == now;
        let changed = now != then;
        *last = now;
        changed && settled
    }

    fn look(&self, path: &str, form: Form) -> Result<Found, String> {
        if path.len() > PATH_MAX {
            return Err(format!("a path of {} bytes, more than {PATH_MAX}", path.len()));
        }
        let key = (PathBuf::from(path), form);
        if !self.allows(&key.0) {
            return Err(format!("{path}: no permission files:PATH allows it"));
        }
        let used: usize = {
            let seen = self.lock();
            match seen.get(&key) {
                Some(seen) => return seen.found.clone(),
                None if seen.len() >= SEEN_MAX => {
                    return Err(format!("{path}: the plugin has looked at {SEEN_MAX} files, and that is all"));
                }
                None => seen.iter().map(|((path, _), seen)| path.as_os_str().len() + seen.size()).sum(),
            }
        };
        let (identity, found) = match self.open(&key.0, form) {
            Ok(fd) => {
                // Before it is read: a change that comes while it is read is one afterwards, too.
                let stat = fstat(&fd).map_err(|e| format!("{path}: {e}"))?;
                (Some(identify(&stat)), take(fd, &stat, form, ALL_MAX - used.min(ALL_MAX)))
            }
            Err(e) => (None, Err(e.to_string())),
        };
        let found = found.map_err(|e| format!("{path}: {e}"));
        self.lock().entry(key).or_insert(Seen { identity, found }).found.clone()
    }

    fn allows(&self, path: &Path) -> bool {
        let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        plain && self.allowed.iter().any(|allowed| path.starts_with(allowed))
    }

    /// Links are followed as long as they stay below what was allowed.
    fn open(&self, path: &Path, form: Form) -> rustix::io::Result<OwnedFd> {
        // A FIFO must not wait for its other end.
        let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        if form == Form::Names {
            flags |= OFlags::DIRECTORY;
        }
        let below = self.allowed.iter().filter_map(|allowed| path.strip_prefix(allowed).ok().map(|below| (allowed, below)));
        match below.min_by_key(|(_, below)| below.as_os_str().len()) {
            Some((allowed, below)) if below.as_os_str().is_empty() => openat(CWD, allowed, flags, Mode::empty()),
            Some((allowed, below)) => {
                let root = openat(CWD, allowed, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
                open_in(root.as_fd(), below, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
            }
            None => Err(rustix::io::Errno::ACCESS),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(PathBuf, Form), Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn size(&self) -> usize {
        match &self.found {
            Ok(Found::Content(content)) => content.len(),
            Ok(Found::Names(names)) => names.iter().map(|name| name.len() + size_of::<String>()).sum(),
            Err(why) => why.len(),
        }
    }
}

fn take(fd: OwnedFd, stat: &Stat, form: Form, left: usize) -> Result<Found, String> {
    if form == Form::Names {
        let (mut names, mut size) = (Vec::new(), 0);
        for entry in rustix::fs::Dir::read_from(&fd).map_err(|e| e.to_string())? {
            let entry = entry.map_err(|e| e.to_string())?;
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) => {
                    size += name.len() + size_of::<String>();
                    names.push(name.to_owned());
                }
                Err(_) => return Err("a name in it is not UTF-8".to_owned()),
            }
            if names.len() > NAMES_MAX || size > left {
                return Err(format!(
                    "more than {NAMES_MAX} names are in it, or all that the plugin has read is larger than {ALL_MAX} bytes"
                ));
            }
        }
        names.sort();
        return Ok(Found::Names(names.into()));
    }
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err("is not a regular file".to_owned());
    }
    let limit = FILE_MAX.min(left as u64);
    let mut content = Vec::new();
    File::from(fd).take(limit + 1).read_to_end(&mut content).map_err(|e| e.to_string())?;
    if content.len() as u64 > limit {
        return Err(format!("is larger than {limit} bytes, or all files that the plugin has read are larger than {ALL_MAX}"));
    }
    Ok(Found::Content(content.into()))
}

fn identify(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn files(grant: &Path) -> Files {
        Files::new(&Grants::from_iter([Grant::Files(grant.to_owned())]))
    }

    #[test]
    fn only_what_is_below_the_grant_is_read() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("allowed");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("policy"), "p").unwrap();
        std::fs::write(tmp.path().join("secret"), "s").unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("policy", root.join("in")).unwrap();
        rustix::fs::mkfifoat(CWD, root.join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        let files = files(&root);
        let at = |name: &str| format!("{}/{name}", root.display());
        assert_eq!(*files.read(&at("policy")).unwrap(), *b"p");
        assert_eq!(*files.read(&at("in")).unwrap(), *b"p");
        assert_eq!(files.stat(&at("policy")).unwrap().0, 1);
        assert_eq!(files.list(&at("")).unwrap(), ["fifo", "in", "out", "policy"]);
        for bad in ["out", "../secret", "fifo", "", "nothing"] {
            assert!(files.read(&at(bad)).is_err(), "{bad}");
        }
        for bad in ["/etc/passwd", "etc/passwd", "", &at("../secret"), &format!("{}x", root.display())] {
            assert!(files.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("policy"), "p").unwrap();
        let files = files(tmp.path());
        let at = |name: &str| format!("{}/{name}", tmp.path().display());
        let text = files.read(&at(&"x/".repeat(5_000))).unwrap_err();
        assert!(text.len() < 100 && files.lock().is_empty(), "{text}");
        files.list(&at("")).unwrap();
        let kept = |files: &Files| files.lock().iter().map(|((path, _), seen)| path.as_os_str().len() + seen.size()).sum::<usize>();
        assert!(kept(&files) > tmp.path().as_os_str().len() + "policy".len());
        for n in 1..SEEN_MAX {
            assert!(files.read(&at(&n.to_string())).unwrap_err().contains("No such file"), "{n}");
        }
        assert!(kept(&files) > SEEN_MAX * tmp.path().as_os_str().len());
        assert!(files.read(&at("policy")).unwrap_err().contains("1000 files"));
        assert!(files.read(&at("1")).unwrap_err().contains("No such file"));
    }

    #[test]
    fn content_stays_and_changes_are_seen() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("policy");
        let name = path.to_str().unwrap();
        std::fs::write(&path, "old").unwrap();
        let files = files(tmp.path());
        assert!(files.read(&format!("{name}2")).is_err());
        assert_eq!(*files.read(name).unwrap(), *b"old");
        assert!(!files.changed() && !files.changed());
        std::fs::write(tmp.path().join("new"), "new!").unwrap();
        std::fs::rename(tmp.path().join("new"), &path).unwrap();
        assert!(!files.changed(), "it may go on");
        std::fs::write(&path, "newer").unwrap();
        assert!(!files.changed(), "it went on");
        assert!(files.changed(), "it is as it was a look ago");
        assert_eq!(*files.read(name).unwrap(), *b"old");
        let files = self::files(tmp.path());
        assert!(files.read(&format!("{name}2")).is_err());
        std::fs::write(format!("{name}2"), "").unwrap();
        assert!(!files.changed() && files.changed(), "a file that was missing has come");
    }
}
