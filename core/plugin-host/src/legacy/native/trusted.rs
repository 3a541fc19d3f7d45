//! Whether a file is what root put there, and nobody else can have changed it.

use rustix::{
    fd::{AsFd as _, OwnedFd},
    fs::{FileType, Mode, OFlags, Stat, fstat, open, openat},
};
use std::{
    io,
    path::{Component, Path},
};
use wharf_types::{Error, Result};

/// Looks at the file and at every directory above it, each through a descriptor that the next is opened from. None may be a link,
/// belong to anybody but root or be writable by anybody else; a list of access rights that gives more shows in the group's bits.
///
/// What holds for all of them still holds when the file is opened by its path: only root could have changed that.
///
/// # Errors
/// 403, naming what is wrong.
pub fn check(path: &Path) -> Result<()> {
    let refuse = |at: &Path, why: &str| Error::forbidden(format!("refusing to load plugin {}: {} {why}", path.display(), at.display()));
    let mut at = Path::new("/").to_owned();
    let mut parts = path.components().peekable();
    if parts.next() != Some(Component::RootDir) {
        return Err(refuse(path, "is not absolute"));
    }
    let root = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let mut here: OwnedFd = root.map_err(io::Error::from)?;
    judge(&fstat(&here).map_err(io::Error::from)?).map_err(|why| refuse(&at, why))?;
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(refuse(path, "is not in its shortest form")) };
        at.push(name);
        here = openat(here.as_fd(), name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| refuse(&at, &format!("cannot be opened: {e}")))?;
        let stat = fstat(&here).map_err(io::Error::from)?;
        judge(&stat).map_err(|why| refuse(&at, why))?;
        match (FileType::from_raw_mode(stat.st_mode), parts.peek()) {
            (FileType::Directory, Some(_)) | (FileType::RegularFile, None) => {}
            (FileType::Symlink, _) => return Err(refuse(&at, "is a link")),
            (_, Some(_)) => return Err(refuse(&at, "is not a directory")),
            (_, None) => return Err(refuse(&at, "is not a file")),
        }
    }
    Ok(())
}

fn judge(stat: &Stat) -> Result<(), &'static str> {
    if stat.st_uid != 0 {
        return Err("is not owned by root");
    }
    let others = Mode::WGRP | Mode::WOTH;
    // A link's own mode means nothing.
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink && Mode::from_raw_mode(stat.st_mode).intersects(others) {
        return Err("is writable by others than root");
    }
    Ok(())
}
