//! Turning a layer tar into files below one directory.
//!
//! The tar is hostile until proven otherwise: every path is resolved by the kernel inside the root (`openat2` with
//! `RESOLVE_IN_ROOT`), and the last component is never followed. Start with [`apply`]; [`unpack_into`] does the same for an archive
//! that is no layer.

mod create;
pub(crate) mod path;
pub(crate) mod whiteout;

use crate::tar::{Entry, Kind, TarReader};
use rustix::{
    fs::{self, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid},
    io::Errno,
};
use std::{
    collections::HashSet,
    io::{self, BufReader, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    rc::Rc,
};
use wharf_types::{Error, Result, error::Context};

/// What becomes of the `.wh.` entries by which a layer hides files of the layers below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whiteouts {
    /// They become overlayfs' own marks: character devices 0/0 and `trusted.overlay.opaque`.
    Overlay,
    /// The directory holds the layers below as well: the files are deleted.
    Delete,
    /// The tar is no layer: these are names like others.
    Keep,
}

/// How [`unpack_into`] treats what it finds.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnpackOptions {
    /// Owner and group of everything, instead of those in the tar.
    pub owner: Option<(u32, u32)>,
    /// A directory is not replaced by something else, nor something else by a directory.
    pub keep_kinds: bool,
}

/// Owner and mode that the tar gave the root directory itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RootAttributes {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What was applied.
#[derive(Debug)]
pub struct Applied {
    /// The length of all files in bytes.
    pub size: u64,
    /// `None` when the tar has no entry for the root.
    pub root: Option<RootAttributes>,
}

/// Large enough for few reads and for whole small files.
const BUFFER: usize = 256 << 10;

/// Applies the tar `stream` below the existing directory `root` and reads the stream to its end, so that a stream which checks
/// itself can fail there.
///
/// # Errors
/// `InvalidParameter` naming the entry when the tar is damaged or tries to leave the root, `System` when the disk fails.
pub fn apply(root: &Path, stream: &mut dyn Read, whiteouts: Whiteouts) -> Result<Applied> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = fs::open(root, flags, Mode::empty()).context(format_args!("open {}", root.display()))?;
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, stream));
    let mut applier = Applier::new(root, whiteouts);
    applier.run(&mut tar, "apply layer")?;
    let (size, root) = (applier.size, applier.root_attributes);
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|e| Error::invalid(format!("read layer: {e}")).with_source(e))?;
    Ok(Applied { size, root })
}

/// Unpacks the tar `stream` into the existing directory `dir` (a path inside `root`); links that it meets lead within `root`. The
/// directory itself keeps its attributes.
///
/// # Errors
/// As [`apply`].
pub fn unpack_into(root: OwnedFd, dir: &[u8], stream: &mut dyn Read, options: UnpackOptions) -> Result<()> {
    let invalid = |e: io::Error| Error::invalid(e.to_string());
    let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, stream));
    let base = path::clean(dir).map_err(invalid)?;
    let mut applier = Applier { base, options, ..Applier::new(root, Whiteouts::Keep) };
    applier.run(&mut tar, "unpack")?;
    io::copy(&mut tar.into_inner(), &mut io::sink()).context("read archive").map(drop)
}

fn failed(what: &str, path: &[u8], e: io::Error) -> Error {
    let text = format!("{what}: {}: {e}", String::from_utf8_lossy(path));
    let full = matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT | libc::EIO | libc::EPERM | libc::EROFS | libc::EMFILE));
    if full { Error::system(text) } else { Error::invalid(text) }.with_source(e)
}

struct Applier {
    root: OwnedFd,
    whiteouts: Whiteouts,
    /// Where in the root the tar begins.
    base: Vec<u8>,
    options: UnpackOptions,
    /// The directory of the last entry: the next one is mostly in the same.
    parent: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// Times of directories, set at the end because every new child changes them.
    directories: Vec<(Vec<u8>, Timestamps)>,
    /// What this layer made; only for [`Whiteouts::Delete`], which must tell it from the layers below.
    made: HashSet<Vec<u8>>,
    buffer: Vec<u8>,
    size: u64,
    root_attributes: Option<RootAttributes>,
}

const DIR_FLAGS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Applier {
    fn new(root: OwnedFd, whiteouts: Whiteouts) -> Self {
        Self {
            root,
            whiteouts,
            base: Vec::new(),
            options: UnpackOptions::default(),
            parent: None,
            directories: Vec::new(),
            made: HashSet::new(),
            buffer: vec![0; BUFFER],
            size: 0,
            root_attributes: None,
        }
    }

    /// Applies every entry; `what` is being done, for errors.
    fn run<R: Read>(&mut self, tar: &mut TarReader<R>, what: &str) -> Result<()> {
        while let Some(mut entry) = tar.next_entry().map_err(|e| Error::invalid(format!("{what}: {e}")).with_source(e))? {
            if let Some((uid, gid)) = self.options.owner {
                (entry.uid, entry.gid) = (uid, gid);
            }
            self.entry(&entry, tar).map_err(|e| failed(what, &entry.path, e))?;
        }
        self.finish_directories()
    }

    fn entry<R: Read>(&mut self, entry: &Entry, tar: &mut TarReader<R>) -> io::Result<()> {
        let is_layer = self.whiteouts != Whiteouts::Keep;
        let path = path::join(&self.base, &path::clean(&entry.path)?);
        let Some((dir, name)) = path::split(&path).filter(|_| path != self.base) else {
            return if is_layer { self.root_entry(entry) } else { Ok(()) };
        };
        if is_layer && whiteout::is_bookkeeping(&path) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(whiteout::PREFIX).filter(|_| is_layer) {
            return self.whiteout(dir, hidden);
        }
        let parent = self.parent(dir)?;
        if self.options.keep_kinds {
            create::check_kind(&parent, &path, name, entry)?;
        }
        self.create(entry, &parent, dir, name, tar)?;
        self.note(&path);
        if entry.kind == Kind::Dir {
            self.directories.push((path, times(entry.mtime)));
        }
        Ok(())
    }

    /// The tar's own entry for `/`.
    fn root_entry(&mut self, entry: &Entry) -> io::Result<()> {
        if entry.kind != Kind::Dir {
            return Err(crate::tar::invalid("the root of a layer must be a directory"));
        }
        self.root_attributes = Some(RootAttributes { mode: entry.mode, uid: entry.uid, gid: entry.gid });
        fs::fchown(&self.root, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
        fs::fchmod(&self.root, Mode::from_raw_mode(entry.mode))?;
        create::set_xattrs_of(self.root.as_fd(), b".", entry)?;
        self.directories.push((Vec::new(), times(entry.mtime)));
        Ok(())
    }

    /// Opens the directory `path`, making what is missing on the way (mode 0755, as Docker does).
    fn parent(&mut self, path: &[u8]) -> io::Result<Rc<OwnedFd>> {
        // From the end on, and not by recursion: how deep it goes, the archive decides.
        let (mut there, mut missing) = (path, Vec::new());
        let mut dir = loop {
            if let Some((cached, dir)) = &self.parent
                && cached == there
            {
                break Rc::clone(dir);
            }
            match self.open_dir(there) {
                Err(Errno::NOENT) => {
                    missing.push(there);
                    (there, _) = path::split(there).ok_or(Errno::NOENT)?;
                }
                other => break Rc::new(other?),
            }
        };
        for made in missing.into_iter().rev() {
            let (_, name) = path::split(made).ok_or(Errno::NOENT)?;
            fs::mkdirat(&*dir, name, Mode::from_raw_mode(0o755))?;
            fs::chmodat(&*dir, name, Mode::from_raw_mode(0o755), fs::AtFlags::empty())?;
            self.note(made);
            dir = Rc::new(self.open_dir(made)?);
        }
        self.parent = Some((path.to_vec(), Rc::clone(&dir)));
        Ok(dir)
    }

    fn open_dir(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        wharf_store::open_in(&self.root, path, DIR_FLAGS, Mode::empty(), IN_ROOT)
    }

    /// Something was removed: a cached directory may be gone.
    fn forget_parent(&mut self) {
        self.parent = None;
    }

    fn note(&mut self, path: &[u8]) {
        if self.whiteouts == Whiteouts::Delete {
            // A directory that holds something of this layer belongs to this layer too.
            let mut path = path;
            while self.made.insert(path.to_vec())
                && let Some((above, _)) = path::split(path)
            {
                path = above;
            }
        }
    }

    fn finish_directories(&mut self) -> Result<()> {
        for (path, times) in self.directories.iter().rev() {
            let path: &[u8] = if path.is_empty() { b"." } else { path };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // In a layer no directory is reached over a link, unless a later entry replaced one by it.
            let resolve = if self.whiteouts == Whiteouts::Keep { IN_ROOT } else { IN_ROOT | ResolveFlags::NO_SYMLINKS };
            // A later entry may have replaced it by something else.
            if let Ok(dir) = wharf_store::open_in(&self.root, path, flags, Mode::empty(), resolve) {
                fs::futimens(&dir, times).context("apply layer: set times")?;
            }
        }
        Ok(())
    }
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// The path of `name` in the directory behind `dir`, for calls without a directory argument.
fn proc_path(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    use std::os::fd::AsRawFd;
    [format!("/proc/self/fd/{}/", dir.as_raw_fd()).as_bytes(), name].concat()
}

#[cfg(test)]
mod tests;
