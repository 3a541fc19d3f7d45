//! Reading a tar stream: ustar, GNU and PAX, with sparse files; writing one is in [`write`].
//!
//! The `tar` crate's own iteration is not used because it splits PAX records at newlines, which binary extended attributes may
//! contain, and does not expand PAX sparse files. Its header decoding is.

mod pax;
mod sparse;
pub(crate) mod write;

use pax::Pax;
use std::io::{self, Read};

pub(crate) use sparse::Segment;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Char,
    Block,
    Dir,
    Fifo,
}

/// One entry of the archive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Major and minor number.
    pub(crate) device: (u32, u32),
    /// The file's length in bytes.
    pub(crate) size: u64,
    /// Where the stored data belongs, for a sparse file.
    pub(crate) sparse: Option<Vec<Segment>>,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads entries one after another.
pub(crate) struct TarReader<R> {
    input: R,
    /// Bytes of the current entry's data that were not read yet.
    left: u64,
    /// Bytes up to the next header after that.
    padding: u64,
}

const BLOCK: usize = 512;
/// Longest name or PAX record block in bytes. The kernel's own limit on all attributes of a file is far below.
const MAX_EXTENSION: u64 = 4 << 20;

pub(crate) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl<R: Read> TarReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next entry; what was not read of the one before is skipped. `None` at the end of the archive.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let (mut long_path, mut long_link, mut pax) = (None, None, Pax::default());
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return if long_path.is_none() && long_link.is_none() && pax.is_empty() {
                    Ok(None)
                } else {
                    Err(invalid("the archive ends after a header that describes the next member"))
                };
            };
            let stored = number(&header.as_old().size, header.entry_size())?;
            match header.entry_type().as_byte() {
                b'L' => long_path = Some(until_nul(self.extension(stored)?)),
                b'K' => long_link = Some(until_nul(self.extension(stored)?)),
                b'x' => pax = Pax::parse(&self.extension(stored)?)?,
                // Records for all entries: comments, in practice.
                b'g' => {
                    self.extension(stored)?;
                }
                _ => return self.entry(&header, stored, long_path, long_link, pax).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &tar::Header,
        stored: u64,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        mut pax: Pax,
    ) -> io::Result<Entry> {
        let path = pax.path.take().or(long_path).unwrap_or_else(|| header.path_bytes().into_owned());
        let named = |e: io::Error| invalid(format!("{}: {e}", String::from_utf8_lossy(&path)));
        let kind = match header.entry_type().as_byte() {
            // Old archives mark directories by their name only.
            0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Dir,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Dir,
            b'6' => Kind::Fifo,
            other => return Err(named(invalid(format!("unhandled tar header type {other}")))),
        };
        let stored = if kind == Kind::File { pax.size.unwrap_or(stored) } else { 0 };
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
        let (mut size, mut sparse) = (stored, None);
        if kind == Kind::File {
            let found = if header.entry_type().as_byte() == b'S' {
                Some(sparse::gnu(header, self).map_err(named)?)
            } else {
                sparse::pax(&pax, self).map_err(named)?
            };
            if let Some((length, segments)) = found {
                sparse::check(&segments, length, self.left).map_err(named)?;
                (size, sparse) = (length, Some(segments));
            }
        }
        let id = |from_pax: Option<u64>, from_header: io::Result<u64>| -> io::Result<u32> {
            let id = from_pax.map_or(from_header, Ok)?;
            // The last one is nobody's: `chown` takes it for no change.
            let owner = u32::try_from(id).ok().filter(|id| *id != u32::MAX);
            owner.ok_or_else(|| invalid(format!("owner {id} is out of range")))
        };
        let old = header.as_old();
        Ok(Entry {
            link: pax.link.take().or(long_link).unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
            kind,
            mode: number(&old.mode, header.mode()).map_err(named)? & 0o7777,
            uid: id(pax.uid, number(&old.uid, header.uid())).map_err(named)?,
            gid: id(pax.gid, number(&old.gid, header.gid())).map_err(named)?,
            mtime: match pax.mtime {
                Some(mtime) => mtime,
                None => (i64::try_from(number(&old.mtime, header.mtime()).map_err(named)?).unwrap_or(0), 0),
            },
            device: match kind {
                Kind::Char | Kind::Block => {
                    let part = |n: io::Result<Option<u32>>| n.map(Option::unwrap_or_default).map_err(named);
                    (part(header.device_major())?, part(header.device_minor())?)
                }
                _ => (0, 0),
            },
            size,
            sparse,
            xattrs: std::mem::take(&mut pax.xattrs),
            // GNU tar hides a sparse file's name from readers that do not know the format.
            path: pax.sparse.name.take().unwrap_or(path),
        })
    }

    /// Reads stored data of the current entry; 0 at its end.
    pub(crate) fn data(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.input.read(buf.get_mut(..most).unwrap_or_default())?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        Ok(n)
    }

    /// Fills `buf` with stored data.
    fn data_exact(&mut self, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let n = self.data(buf)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = buf.get_mut(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// The underlying stream.
    pub(crate) fn into_inner(self) -> R {
        self.input
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())?;
        if skipped == rest { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn header(&mut self) -> io::Result<Option<tar::Header>> {
        let mut header = tar::Header::new_old();
        let block = header.as_mut_bytes();
        let mut have = 0;
        while let Some(rest) = block.get_mut(have..).filter(|r| !r.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let sum: u32 = block.iter().enumerate().map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) }).sum();
        if header.cksum().ok() != Some(sum) {
            return Err(invalid("invalid tar header"));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(invalid(format!("a header of {size} bytes is too long")));
        }
        (self.left, self.padding) = (size, size.wrapping_neg() % BLOCK as u64);
        let mut text = vec![0; usize::try_from(size).unwrap_or(0)];
        self.data_exact(&mut text)?;
        Ok(text)
    }
}

/// A number of the header; blank fields mean 0, as writers leave out what does not apply.
fn number<T: Default>(field: &[u8], decoded: io::Result<T>) -> io::Result<T> {
    if field.iter().all(|b| *b == 0 || *b == b' ') { Ok(T::default()) } else { decoded }
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(end) = text.iter().position(|b| *b == 0) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;
