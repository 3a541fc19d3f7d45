//! Entries on their way out: chosen, framed and gathered into chunks.

use crate::{
    query::{LogFormat, LogQuery},
    record::{Entry, Stamp},
};
use bytes::Bytes;
use std::{collections::BTreeMap, ops::ControlFlow};
use tokio::sync::mpsc::Sender;
use wharf_shim_proto::journal::Source;
use wharf_types::Result;

/// A chunk is sent once it has so many bytes.
const CHUNK: usize = 64 * 1024;
/// Room for one more line without growing.
const SLACK: usize = 2 * 1024;
/// Bytes of a frame's header: the stream, three zeros, the length.
const HEADER: usize = 8;

/// Writes the entries that a query asks for.
pub(crate) struct Output {
    query: LogQuery,
    format: LogFormat,
    chunk: Vec<u8>,
    stamp: Stamp,
    sender: Sender<Result<Bytes>>,
}

impl Output {
    pub fn new(query: LogQuery, format: LogFormat, sender: Sender<Result<Bytes>>) -> Self {
        Self { query, format, chunk: Vec::with_capacity(CHUNK + SLACK), stamp: Stamp::default(), sender }
    }

    /// Takes an entry. Breaks when no other one is wanted, because it is too late or the reader is gone.
    pub fn push(&mut self, entry: Entry<'_>) -> ControlFlow<()> {
        let wanted = match entry.source {
            Source::Stdout => self.query.stdout,
            Source::Stderr => self.query.stderr,
        };
        if self.query.until.is_some_and(|until| entry.nanos > until.nanos()) {
            return ControlFlow::Break(());
        }
        if !wanted || self.query.since.is_some_and(|since| entry.nanos < since.nanos()) {
            return ControlFlow::Continue(());
        }
        let start = self.chunk.len();
        if self.format.multiplexed {
            let stream = match entry.source {
                Source::Stdout => 1,
                Source::Stderr => 2,
            };
            self.chunk.extend_from_slice(&[stream, 0, 0, 0, 0, 0, 0, 0]);
        }
        if self.format.timestamps {
            self.stamp.write(&mut self.chunk, entry.nanos);
            self.chunk.push(b' ');
        }
        if self.format.details {
            details(&mut self.chunk, entry.attrs);
        }
        self.chunk.extend_from_slice(entry.text);
        if entry.ends_line {
            self.chunk.push(b'\n');
        }
        if self.format.multiplexed {
            let length = u32::try_from(self.chunk.len() - start - HEADER).unwrap_or(u32::MAX);
            if let Some(place) = self.chunk.get_mut(start + HEADER / 2..start + HEADER) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        }
        if self.chunk.len() >= CHUNK { self.flush() } else { ControlFlow::Continue(()) }
    }

    /// Sends what there is. Breaks when nobody listens any more.
    pub fn flush(&mut self) -> ControlFlow<()> {
        if self.chunk.is_empty() {
            return if self.sender.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK + SLACK));
        match self.sender.blocking_send(Ok(chunk.into())) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// `k=v,k2=v2 `: sorted, encoded as in a URL's query. Docker writes the blank without attributes, too.
fn details(out: &mut Vec<u8>, attrs: Option<&BTreeMap<String, String>>) {
    for (i, (name, value)) in attrs.into_iter().flatten().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        query_escape(out, name);
        out.push(b'=');
        query_escape(out, value);
    }
    out.push(b' ');
}

fn query_escape(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_sorted_and_encoded() {
        let attrs = [("b c".to_owned(), "x,y=é".to_owned()), ("a".to_owned(), "1".to_owned())].into();
        let mut out = Vec::new();
        details(&mut out, Some(&attrs));
        assert_eq!(String::from_utf8(out).unwrap(), "a=1,b+c=x%2Cy%3D%C3%A9 ");
        let mut out = Vec::new();
        details(&mut out, None);
        assert_eq!(out, b" ");
    }
}
