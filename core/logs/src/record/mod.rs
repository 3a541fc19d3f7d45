//! Taking records out of bytes, whatever their format.
//!
//! [`json`] is the hot path; [`reader`] feeds it; [`tail`] finds where the last lines begin.

mod json;
mod reader;
mod tail;
mod time;

pub(crate) use reader::{Input, Records};
pub(crate) use tail::keep_last;
pub(crate) use time::Stamp;

use crate::query::LogFile;
use std::{collections::BTreeMap, ops::ControlFlow};
use wharf_shim_proto::journal::{LogEntry, Source, json_file, local};

/// One record, borrowed from the reader's buffer.
pub(crate) struct Entry<'a> {
    pub source: Source,
    /// Since the Unix epoch.
    pub nanos: i64,
    /// Without the newline.
    pub text: &'a [u8],
    /// Whether a newline follows; otherwise the next record goes on with the line.
    pub ends_line: bool,
    /// Only when they were asked for.
    pub attrs: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Entry<'a> {
    fn of(entry: &'a LogEntry) -> Self {
        Entry {
            source: entry.source,
            nanos: entry.time.nanos(),
            text: &entry.line,
            ends_line: entry.ends_line(),
            attrs: Some(&entry.attrs),
        }
    }
}

/// What one attempt to take a record came to.
pub(crate) enum Step {
    /// So many bytes are done with.
    Consumed(usize, ControlFlow<()>),
    /// The record is not complete.
    NeedMore,
}

/// A format, and what must be known to read it.
#[derive(Clone)]
pub(crate) struct Codec {
    format: Format,
    /// Whether attributes must be decoded.
    attrs: bool,
    /// `local` only: the position is somewhere in damaged bytes, searching for the next record.
    lost: bool,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    JsonFile,
    Local,
}

impl Codec {
    pub fn new(file: &LogFile, attrs: bool) -> Self {
        let format = match file {
            LogFile::JsonFile(_) => Format::JsonFile,
            LogFile::Local(_) => Format::Local,
        };
        Self { format, attrs, lost: false, scratch: Vec::new() }
    }

    /// Gives the first record of `data` to `take`. What is no record is passed over.
    fn step(&mut self, data: &[u8], take: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>) -> Step {
        match self.format {
            Format::JsonFile => {
                let Some((line, len)) = memchr::memchr(b'\n', data).and_then(|end| Some((data.get(..end)?, end + 1))) else {
                    return Step::NeedMore;
                };
                Step::Consumed(len, self.line(line, take))
            }
            Format::Local => match local::decode(data) {
                Ok(Some((entry, len))) => {
                    self.lost = false;
                    Step::Consumed(len, take(Entry::of(&entry)))
                }
                // The lengths around a record are what tells it from other bytes.
                Ok(None) if self.lost && data.len() > MIN_LOCAL => Step::Consumed(1, ControlFlow::Continue(())),
                Ok(None) => Step::NeedMore,
                Err(_) => {
                    self.lost = true;
                    Step::Consumed(1, ControlFlow::Continue(()))
                }
            },
        }
    }

    /// One line of `json-file`.
    fn line(&mut self, line: &[u8], take: &mut impl FnMut(Entry<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        if let Some(entry) = json::parse(line, self.attrs, &mut self.scratch) {
            return take(entry);
        }
        match json_file::decode(line) {
            Ok(entry) => take(Entry::of(&entry)),
            // Perhaps a record that a dying monitor left unfinished, and behind it the first one of the next monitor: inside a
            // record, all quotes are escaped.
            Err(_) => match memchr::memmem::rfind(line, RECORD_START).filter(|at| *at > 0).and_then(|at| line.get(at..)) {
                Some(behind) => self.line(behind, take),
                None => ControlFlow::Continue(()),
            },
        }
    }
}

/// How a line of `json-file` begins.
const RECORD_START: &[u8] = b"{\"log\":\"";

/// Bytes of the smallest record of `local`.
const MIN_LOCAL: usize = 8;
