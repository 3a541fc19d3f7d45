//! The records of one file, from a position to its end, as often as it grows.

use super::{Codec, Entry, Step};
use flate2::read::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, Read, Seek},
    ops::ControlFlow,
    os::unix::fs::FileExt,
};

/// Bytes that are read at once.
const BUFFER: usize = 128 * 1024;
/// More than any record has: without an end by then the bytes are damaged.
const MAX_RECORD: usize = 4 << 20;

/// Where bytes come from.
pub(crate) enum Input {
    /// A file that may grow.
    Plain(File),
    /// A finished file, compressed.
    Gz(Box<MultiGzDecoder<File>>),
}

impl Input {
    pub fn gz(file: File) -> Self {
        Self::Gz(Box::new(MultiGzDecoder::new(file)))
    }
}

/// Reads the records of one file.
pub(crate) struct Records {
    pub(super) input: Input,
    pub(super) codec: Codec,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the file of what is not consumed yet.
    position: u64,
    /// Lines still to be left out.
    skip: u64,
}

impl Records {
    pub fn new(input: Input, codec: Codec) -> Self {
        Self { input, codec, buffer: Vec::new(), start: 0, end: 0, position: 0, skip: 0 }
    }

    /// Starts at an offset.
    pub(super) fn seek(&mut self, position: u64) {
        (self.position, self.start, self.end) = (position, 0, 0);
    }

    /// Starts over.
    ///
    /// # Errors
    /// What the file answers.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.seek(0);
        if let Input::Gz(decoder) = &self.input {
            let mut file = decoder.get_ref().try_clone()?;
            file.rewind()?;
            self.input = Input::gz(file);
        }
        Ok(())
    }

    /// Leaves out the first `lines` lines.
    pub(super) fn skip(&mut self, lines: u64) {
        self.skip = lines;
    }

    /// Starts over when the file is shorter than what was read of it: a log of a single file is emptied when it is full.
    ///
    /// # Errors
    /// What the file answers.
    pub fn notice_truncation(&mut self) -> io::Result<()> {
        if let Input::Plain(file) = &self.input
            && file.metadata()?.len() < self.position
        {
            self.seek(0);
        }
        Ok(())
    }

    /// Gives all complete records up to the end of the file to `take`, until that breaks off. An incomplete one is read again the
    /// next time.
    ///
    /// # Errors
    /// What the file answers.
    pub fn drain(&mut self, mut take: impl FnMut(Entry<'_>) -> ControlFlow<()>) -> io::Result<ControlFlow<()>> {
        loop {
            let skip = &mut self.skip;
            let mut take_unskipped = |entry: Entry<'_>| {
                if *skip == 0 {
                    return take(entry);
                }
                *skip -= u64::from(entry.ends_line);
                ControlFlow::Continue(())
            };
            while let Step::Consumed(len, flow) =
                self.codec.step(self.buffer.get(self.start..self.end).unwrap_or_default(), &mut take_unskipped)
            {
                self.start += len;
                self.position += len as u64;
                if flow.is_break() {
                    return Ok(flow);
                }
            }
            if self.end - self.start > MAX_RECORD {
                self.position += (self.end - self.start) as u64;
                self.start = self.end;
            }
            if self.fill()? == 0 {
                if matches!(self.input, Input::Plain(_)) {
                    (self.start, self.end) = (0, 0);
                }
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// Reads more behind what is left.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < self.end + BUFFER / 2 {
            self.buffer.resize(self.end + BUFFER, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let read = loop {
            let read = match &mut self.input {
                Input::Plain(file) => file.read_at(room, self.position + self.end as u64),
                Input::Gz(decoder) => decoder.read(room),
            };
            match read {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += read;
        Ok(read)
    }
}
