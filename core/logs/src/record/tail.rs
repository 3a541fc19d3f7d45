//! Where the last lines of a log begin. Plain files are read backwards from their end, so that this costs what the lines are long
//! and not what the log is.
//!
//! Pieces of a split line count as one line: going back, a line begins where a record before it ends one.

use super::{Codec, Entry, Format, Input, Records};
use std::{fs::File, io, ops::ControlFlow, os::unix::fs::FileExt};
use wharf_shim_proto::journal::local;

/// Bytes that are read at once.
const BLOCK: u64 = 64 * 1024;

/// Counts lines from the end of the log.
#[derive(Clone, Copy)]
struct Counter {
    wanted: u64,
    seen: u64,
}

impl Counter {
    /// Takes the next record before those seen so far. Breaks when the wanted lines begin after it.
    fn record_before(&mut self, ends_line: bool) -> ControlFlow<()> {
        if self.seen == self.wanted && (ends_line || self.wanted == 0) {
            return ControlFlow::Break(());
        }
        // A line at the very end that is not complete yet is one, too.
        if ends_line || self.seen == 0 {
            self.seen += 1;
        }
        ControlFlow::Continue(())
    }
}

/// Lets `files` (oldest first) yield their last `lines` lines only.
///
/// # Errors
/// What a file answers.
pub(crate) fn keep_last(files: &mut Vec<Records>, lines: u64) -> io::Result<()> {
    let mut counter = Counter { wanted: lines, seen: 0 };
    let mut first = 0;
    for (index, records) in files.iter_mut().enumerate().rev() {
        if begins_in(records, &mut counter)? {
            first = index;
            break;
        }
    }
    files.drain(..first);
    Ok(())
}

/// Whether the wanted lines begin in this file; then they are what it yields.
fn begins_in(records: &mut Records, counter: &mut Counter) -> io::Result<bool> {
    if let Input::Plain(file) = &records.input {
        let before = *counter;
        match backwards(file, &mut records.codec, counter) {
            // A damaged end: the file can still be read from its beginning.
            Err(e) if e.kind() == io::ErrorKind::InvalidData => *counter = before,
            position => return Ok(position?.inspect(|position| records.seek(*position)).is_some()),
        }
    }
    let skip = forwards(records, counter)?;
    if counter.wanted == 0 {
        // Nothing of what was read is wanted, the beginning of a line at its end included.
        return Ok(true);
    }
    records.rewind()?;
    Ok(skip.inspect(|lines| records.skip(*lines)).is_some())
}

/// Reads the whole file. Returns how many of its lines are not wanted, if any.
fn forwards(records: &mut Records, counter: &mut Counter) -> io::Result<Option<u64>> {
    let (mut lines, mut open) = (0, false);
    let _ = records.drain(|entry| {
        lines += u64::from(entry.ends_line);
        open = !entry.ends_line;
        ControlFlow::Continue(())
    })?;
    if open && counter.seen == 0 {
        counter.seen = 1;
    }
    let missing = counter.wanted.saturating_sub(counter.seen);
    if lines > missing {
        return Ok(Some(lines - missing));
    }
    counter.seen += lines;
    Ok(None)
}

/// Reads from the end on. Returns the offset where the wanted lines begin, if that is in this file.
fn backwards(file: &File, codec: &mut Codec, counter: &mut Counter) -> io::Result<Option<u64>> {
    // The bytes of the file from `start` on that are not counted yet.
    let (mut start, mut pending) = (file.metadata()?.len(), Vec::new());
    loop {
        let found = match codec.format {
            Format::JsonFile => lines_back(&mut pending, start, codec, counter),
            Format::Local => records_back(&mut pending, start, counter)?,
        };
        if found.is_some() || start == 0 {
            return Ok(found);
        }
        let block = start.min(BLOCK);
        start -= block;
        let mut bytes = vec![0; block as usize];
        file.read_exact_at(&mut bytes, start)?;
        bytes.append(&mut pending);
        pending = bytes;
    }
}

/// Counts the lines that are complete in `pending` and cuts them off.
fn lines_back(pending: &mut Vec<u8>, start: u64, codec: &mut Codec, counter: &mut Counter) -> Option<u64> {
    // What follows the last newline is not a line yet; later on it was counted before.
    let mut end = memchr::memrchr(b'\n', pending)?;
    let mut found = None;
    while found.is_none() && end > 0 {
        let before = pending.get(..end).unwrap_or_default();
        let line_start = match memchr::memrchr(b'\n', before) {
            Some(newline) => newline + 1,
            None if start == 0 => 0,
            None => break,
        };
        let line = before.get(line_start..).unwrap_or_default();
        let _ = codec.line(line, &mut |entry: Entry<'_>| {
            let flow = counter.record_before(entry.ends_line);
            if flow.is_break() {
                found = Some(start + end as u64 + 1);
            }
            flow
        });
        end = line_start.saturating_sub(1);
    }
    pending.truncate(end + 1);
    found
}

/// Counts the records that are complete in `pending` and cuts them off.
fn records_back(pending: &mut Vec<u8>, start: u64, counter: &mut Counter) -> io::Result<Option<u64>> {
    let damaged = |e: String| io::Error::new(io::ErrorKind::InvalidData, e);
    while !pending.is_empty() {
        match local::decode_last(pending).map_err(|e| damaged(e.to_string()))? {
            Some((entry, len)) => {
                if counter.record_before(entry.ends_line()).is_break() {
                    return Ok(Some(start + pending.len() as u64));
                }
                pending.truncate(pending.len() - len);
            }
            None if start == 0 => return Err(damaged("the first record is cut".to_owned())),
            None => break,
        }
    }
    Ok(None)
}
