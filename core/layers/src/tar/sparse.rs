//! Maps of sparse files: GNU's old header fields and the three PAX forms.

use super::{BLOCK, TarReader, invalid, pax};
use std::io::{self, Read};

/// A piece of stored data and where it belongs in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// How many pieces a map may have: one per 4 KiB of a file of 4 GiB.
const MAX_SEGMENTS: usize = 1 << 20;

type Map = (u64, Vec<Segment>);

/// The map of a GNU `S` entry: in the header, continued in blocks before the data.
pub(super) fn gnu<R: Read>(header: &tar::Header, reader: &mut TarReader<R>) -> io::Result<Map> {
    let gnu = header.as_gnu().ok_or_else(|| invalid("a sparse entry without GNU header"))?;
    let mut segments = Vec::new();
    let mut add = |pieces: &[tar::GnuSparseHeader]| -> io::Result<()> {
        for piece in pieces.iter().filter(|p| !p.is_empty()) {
            segments.push(Segment { offset: piece.offset()?, length: piece.length()? });
        }
        if segments.len() > MAX_SEGMENTS { Err(invalid("the sparse map is too long")) } else { Ok(()) }
    };
    add(&gnu.sparse)?;
    let mut more = gnu.is_extended();
    while more {
        let mut block = tar::GnuExtSparseHeader::new();
        // These blocks are not counted in the entry's size.
        reader.input.read_exact(block.as_mut_bytes())?;
        add(&block.sparse)?;
        more = block.is_extended();
    }
    Ok((gnu.real_size()?, segments))
}

/// The map of a PAX entry; `None` when the file is not sparse.
pub(super) fn pax<R: Read>(pax: &pax::Pax, reader: &mut TarReader<R>) -> io::Result<Option<Map>> {
    let Some(size) = pax.sparse.real_size else { return Ok(None) };
    if pax.sparse.major == 0 {
        return Ok(Some((size, pax.sparse.map.clone())));
    }
    if pax.sparse.major != 1 {
        return Err(invalid(format!("sparse format {} is not known", pax.sparse.major)));
    }
    // 1.0: decimal lines at the beginning of the data, filled up to a whole block.
    let mut lines = Lines { reader, block: [0; BLOCK], at: BLOCK };
    let count =
        usize::try_from(lines.number()?).ok().filter(|n| *n <= MAX_SEGMENTS).ok_or_else(|| invalid("the sparse map is too long"))?;
    let mut segments = Vec::with_capacity(count);
    for _ in 0..count {
        segments.push(Segment { offset: lines.number()?, length: lines.number()? });
    }
    Ok(Some((size, segments)))
}

struct Lines<'a, R> {
    reader: &'a mut TarReader<R>,
    block: [u8; BLOCK],
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut digits = Vec::new();
        loop {
            if self.at == BLOCK {
                self.reader.data_exact(&mut self.block)?;
                self.at = 0;
            }
            let byte = self.block.get(self.at).copied().unwrap_or(0);
            self.at += 1;
            if byte == b'\n' {
                return pax::number(&digits).ok_or_else(|| invalid("malformed sparse map"));
            }
            digits.push(byte);
            if digits.len() > 20 {
                return Err(invalid("malformed sparse map"));
            }
        }
    }
}

/// Pieces in order, inside the file, and as long as the stored data.
pub(super) fn check(segments: &[Segment], size: u64, stored: u64) -> io::Result<()> {
    let (mut end, mut sum) = (0u64, 0u64);
    for s in segments {
        let next = s.offset.checked_add(s.length).filter(|next| s.offset >= end && *next <= size);
        end = next.ok_or_else(|| invalid("the sparse map is out of order or leaves the file"))?;
        sum += s.length;
    }
    if sum == stored { Ok(()) } else { Err(invalid("the sparse map does not fit the data")) }
}
