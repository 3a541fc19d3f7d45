//! Files of a root file system by path: what they are, as an archive, and out of one (`docker cp`).
//!
//! Paths mean what they mean to the container: the kernel resolves them inside the root, wherever links point and however they
//! change meanwhile. A path that ends in `/` or `/.` means the directory behind a link, otherwise a link is itself.

use crate::{
    apply::{UnpackOptions, path::clean, unpack_into},
    pack::{DIRECTORY, Packer},
    view::{IN_ROOT, View, follow},
};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    ffi::CString,
    io::{Read, Write},
    os::fd::OwnedFd,
};
use wharf_types::{Error, Result, error::Context};

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStat {
    /// The last component as it was asked for: `/` for the root, `.` for a path that ends in it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// As stat(2) tells it.
    pub mode: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Where a link leads in the end, as a path inside the root; empty for everything else.
    pub link_target: String,
}

/// Something found at a path.
#[derive(Debug)]
pub struct Found {
    at: At,
    stat: Stat,
    /// The name in an archive.
    name: Vec<u8>,
    link_target: Vec<u8>,
}

#[derive(Debug)]
enum At {
    Directory(OwnedFd),
    Name(OwnedFd, CString),
}

/// Finds what `path` means.
///
/// # Errors
/// `NotFound` when there is nothing.
pub fn find(view: &View, path: &str) -> Result<Found> {
    let (absolute, through) = absolute(path)?;
    let name = match absolute.rsplit(|b| *b == b'/').next() {
        None | Some(b"") => b"/".to_vec(),
        Some(_) if path.ends_with("/.") || path == "." => b".".to_vec(),
        Some(name) => name.to_vec(),
    };
    locate(view, &absolute, through, name).map_err(|e| failed(path, e))
}

fn locate(view: &View, absolute: &[u8], through: bool, name: Vec<u8>) -> rustix::io::Result<Found> {
    let open =
        |path: &[u8]| wharf_store::open_in(view.root(), path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), IN_ROOT);
    let (above, base) = match absolute.iter().rposition(|b| *b == b'/') {
        Some(slash) => (absolute.get(..=slash).unwrap_or_default(), absolute.get(slash + 1..).unwrap_or_default()),
        None => (&b"/"[..], absolute),
    };
    let parent = open(if through || base.is_empty() { absolute } else { above })?;
    let base = CString::new(if through || base.is_empty() { b"." } else { base }).map_err(|_| Errno::INVAL)?;
    let stat = fs::statat(&parent, &base, AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    let link_target = if kind == FileType::Symlink { [b"/", follow(view.root(), absolute)?.as_slice()].concat() } else { Vec::new() };
    let at = if kind == FileType::Directory {
        At::Directory(fs::openat(&parent, &base, DIRECTORY, Mode::empty())?)
    } else {
        At::Name(parent, base)
    };
    Ok(Found { at, stat, name, link_target })
}

/// The absolute path without `.` and `..`, and whether its end asks for what is behind a link.
fn absolute(path: &str) -> Result<(Vec<u8>, bool)> {
    // What leads above the root stays at the root, as everywhere.
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.as_bytes().split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    if path.contains('\0') {
        return Err(Error::invalid("the path holds a zero byte"));
    }
    Ok(([b"/", parts.join(&b'/').as_slice()].concat(), path.ends_with('/') || path.ends_with("/.") || path == "."))
}

fn failed(path: &str, e: Errno) -> Error {
    match e {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => Error::not_found(format!("Could not find the file {path}")),
        e => Error::system(format!("{path}: {e}")),
    }
}

impl Found {
    /// What it is.
    pub fn stat(&self) -> PathStat {
        PathStat {
            name: String::from_utf8_lossy(&self.name).into_owned(),
            size: u64::try_from(self.stat.st_size).unwrap_or(0),
            mode: self.stat.st_mode,
            mtime: (self.stat.st_mtime, u32::try_from(self.stat.st_mtime_nsec).unwrap_or(0)),
            link_target: String::from_utf8_lossy(&self.link_target).into_owned(),
        }
    }

    /// Writes it as an archive, with everything below it, under its name.
    ///
    /// # Errors
    /// When reading or writing fails; the archive is then incomplete.
    pub fn pack(self, out: impl Write) -> Result<()> {
        let mut packer = Packer::new(out);
        let packed = match self.at {
            At::Directory(dir) => packer.directory(&dir, &self.name).and_then(|()| packer.children(dir, &self.name)),
            At::Name(dir, base) => packer.one(&dir, &base, &self.name).map(drop),
        };
        packed.and_then(|()| packer.finish()).map(drop).context("pack")
    }

    /// Writes what a directory holds, or the file itself, as an archive: the form of before 1.20.
    ///
    /// # Errors
    /// As [`Found::pack`].
    pub fn pack_content(self, out: impl Write) -> Result<()> {
        match self.at {
            At::Directory(dir) => {
                let mut packer = Packer::new(out);
                packer.children(dir, b"").and_then(|()| packer.finish()).map(drop).context("pack")
            }
            At::Name(..) => self.pack(out),
        }
    }
}

/// As [`find`], but a link in the end is followed too.
///
/// # Errors
/// As [`find`].
pub fn find_behind(view: &View, path: &str) -> Result<Found> {
    let (absolute, _) = absolute(path)?;
    let end = follow(view.root(), &absolute).map_err(|e| failed(path, e))?;
    let name = end.rsplit(|b| *b == b'/').next().filter(|name| !name.is_empty()).unwrap_or(b"/").to_vec();
    locate(view, &[b"/", end.as_slice()].concat(), false, name).map_err(|e| failed(path, e))
}

/// Unpacks the tar `stream` into the existing directory `path`.
///
/// # Errors
/// `NotFound` when there is nothing at `path`; `InvalidParameter` when it is no directory or read-only, and for a damaged archive;
/// `System` when the disk fails. What was unpacked until then stays.
pub fn unpack(view: &View, path: &str, stream: &mut dyn Read, options: UnpackOptions) -> Result<()> {
    let (absolute, _) = absolute(path)?;
    let place = follow(view.root(), &absolute).map_err(|e| failed(path, e))?;
    let resolved = [b"/", place.as_slice()].concat();
    let dir = wharf_store::open_in(view.root(), resolved.as_slice(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), IN_ROOT);
    let dir = dir.map_err(|e| failed(path, e))?;
    if FileType::from_raw_mode(fs::fstat(&dir).context(path)?.st_mode) != FileType::Directory {
        return Err(Error::invalid("extraction point is not a directory"));
    }
    view.check_writable(&dir)?;
    let place = clean(&place).map_err(|e| Error::invalid(e.to_string()))?;
    unpack_into(view.root().try_clone()?, &place, stream, options)
}

#[cfg(test)]
mod tests;
