//! `local`: protobuf `LogEntry` records, each between two copies of its length (4 bytes, big-endian), so that a file can be read
//! from either end.
//!
//! ```proto
//! message LogEntry { string source = 1; int64 time_nano = 2; bytes line = 3; bool partial = 4; Metadata partial_log_metadata = 5; }
//! message Metadata { bool last = 1; string id = 2; int32 ordinal = 3; }
//! ```

use super::{LogEntry, MAX_LINE, Partial, Source};
use std::collections::BTreeMap;
use wharf_types::{Error, Result, Timestamp};

/// Bytes of a length.
const LEN: usize = 4;
/// A longer record is a damaged file, not a request for memory. Generous: [`MAX_LINE`] bounds the line.
const MAX_RECORD: usize = 64 * MAX_LINE;

/// Appends one record. `partial.last` tells whether a piece of a split line ends it.
pub fn encode(out: &mut Vec<u8>, source: Source, time: Timestamp, line: &[u8], partial: Option<&Partial>) {
    let start = out.len();
    out.extend_from_slice(&[0; LEN]);
    bytes_field(out, 1, source.as_str().as_bytes());
    int_field(out, 2, time.nanos().cast_unsigned());
    bytes_field(out, 3, line);
    if let Some(p) = partial {
        int_field(out, 4, 1);
        let mut metadata = Vec::with_capacity(80);
        int_field(&mut metadata, 1, u64::from(p.last));
        bytes_field(&mut metadata, 2, p.id.as_bytes());
        int_field(&mut metadata, 3, i64::from(p.ordinal).cast_unsigned());
        bytes_field(out, 5, &metadata);
    }
    let len = u32::try_from(out.len() - start - LEN).unwrap_or(u32::MAX).to_be_bytes();
    if let Some(head) = out.get_mut(start..start + LEN) {
        head.copy_from_slice(&len);
    }
    out.extend_from_slice(&len);
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// proto3 leaves out zero and empty fields.
fn int_field(out: &mut Vec<u8>, field: u8, n: u64) {
    if n != 0 {
        out.push(field << 3);
        varint(out, n);
    }
}

fn bytes_field(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(field << 3 | 2);
        varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// The record at the start of `data` and its whole length; `None` while it is incomplete.
///
/// # Errors
/// When the bytes are no record: the rest of the file cannot be read forwards.
pub fn decode(data: &[u8]) -> Result<Option<(LogEntry, usize)>> {
    let Some(len) = data.first_chunk().map(length).transpose()? else { return Ok(None) };
    let whole = len + 2 * LEN;
    let Some(record) = data.get(..whole) else { return Ok(None) };
    let body = record.get(LEN..LEN + len).unwrap_or_default();
    if record.first_chunk::<LEN>() != record.last_chunk::<LEN>() {
        return Err(damaged("the lengths around it differ"));
    }
    Ok(Some((entry(body)?, whole)))
}

/// The record that ends `data` and its whole length, to read a file backwards; `None` while its start is missing.
///
/// # Errors
/// When the bytes are no record.
pub fn decode_last(data: &[u8]) -> Result<Option<(LogEntry, usize)>> {
    let Some(len) = data.last_chunk().map(length).transpose()? else { return Ok(None) };
    match data.len().checked_sub(len + 2 * LEN).and_then(|start| data.get(start..)) {
        Some(record) => decode(record),
        None => Ok(None),
    }
}

fn length(bytes: &[u8; LEN]) -> Result<usize> {
    let len = u32::from_be_bytes(*bytes) as usize;
    if len <= MAX_RECORD { Ok(len) } else { Err(damaged("its length is out of range")) }
}

fn damaged(why: &str) -> Error {
    Error::system(format!("damaged log record: {why}"))
}

fn entry(body: &[u8]) -> Result<LogEntry> {
    let (mut source, mut time, mut line, mut is_partial, mut partial) = (None, 0, Vec::new(), false, None);
    fields(body, |field, value| {
        match (field, value) {
            (1, Value::Bytes(b)) => source = Source::parse(b),
            (2, Value::Int(n)) => time = n.cast_signed(),
            (3, Value::Bytes(b)) => line = b.to_vec(),
            (4, Value::Int(n)) => is_partial = n != 0,
            (5, Value::Bytes(b)) => partial = Some(metadata(b)?),
            _ => {}
        }
        Ok(())
    })?;
    if is_partial && partial.is_none() {
        partial = Some(Partial::default());
    }
    let source = source.ok_or_else(|| damaged("no source"))?;
    Ok(LogEntry { source, time: Timestamp::from_nanos(time), line, partial, attrs: BTreeMap::new() })
}

fn metadata(body: &[u8]) -> Result<Partial> {
    let mut partial = Partial::default();
    fields(body, |field, value| {
        match (field, value) {
            (1, Value::Int(n)) => partial.last = n != 0,
            (2, Value::Bytes(b)) => partial.id = String::from_utf8_lossy(b).into_owned(),
            (3, Value::Int(n)) => partial.ordinal = n as i32,
            _ => {}
        }
        Ok(())
    })?;
    Ok(partial)
}

enum Value<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Walks the fields of a message; unknown ones are the visitor's to ignore.
fn fields<'a>(mut body: &'a [u8], mut visit: impl FnMut(u64, Value<'a>) -> Result<()>) -> Result<()> {
    let short = || damaged("it ends too early");
    while !body.is_empty() {
        let key = read_varint(&mut body)?;
        let value = match key & 7 {
            0 => Value::Int(read_varint(&mut body)?),
            2 => {
                let len = usize::try_from(read_varint(&mut body)?).map_err(|_| short())?;
                Value::Bytes(take(&mut body, len).ok_or_else(short)?)
            }
            1 => take(&mut body, 8).map(|_| Value::Other).ok_or_else(short)?,
            5 => take(&mut body, 4).map(|_| Value::Other).ok_or_else(short)?,
            _ => return Err(damaged("unknown wire type")),
        };
        visit(key >> 3, value)?;
    }
    Ok(())
}

fn take<'a>(body: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, rest) = body.split_at_checked(n)?;
    *body = rest;
    Some(head)
}

fn read_varint(body: &mut &[u8]) -> Result<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = body.split_first().ok_or_else(|| damaged("it ends too early"))?;
        *body = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(n);
        }
    }
    Err(damaged("a number is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_what_docker_writes() {
        let mut out = Vec::new();
        encode(&mut out, Source::Stderr, Timestamp::from_nanos(300), b"hi", None);
        assert_eq!(out, b"\0\0\0\x0f\x0a\x06stderr\x10\xac\x02\x1a\x02hi\0\0\0\x0f");
        out.clear();
        encode(&mut out, Source::Stdout, Timestamp::from_nanos(1), b"x", Some(&Partial { id: "ab".into(), ordinal: 2, last: true }));
        assert_eq!(out, b"\0\0\0\x19\x0a\x06stdout\x10\x01\x1a\x01x\x20\x01\x2a\x08\x08\x01\x12\x02ab\x18\x02\0\0\0\x19");
    }

    #[test]
    fn a_huge_length_is_damage() {
        assert!(decode(b"\xff\xff\xff\xff....").is_err());
        assert!(decode_last(b"....\xff\xff\xff\xff").is_err());
        assert!(decode(b"\0\0\0\x01").unwrap().is_none());
    }

    fn any_entry() -> impl Strategy<Value = LogEntry> {
        let partial = proptest::option::of(("[0-9a-f]{0,64}", any::<i32>(), any::<bool>()));
        (any::<bool>(), any::<u32>(), any::<Vec<u8>>(), partial).prop_map(|(err, time, line, partial)| LogEntry {
            source: if err { Source::Stderr } else { Source::Stdout },
            time: Timestamp::from_nanos(i64::from(time)),
            line,
            partial: partial.map(|(id, ordinal, last)| Partial { id, ordinal, last }),
            attrs: BTreeMap::new(),
        })
    }

    proptest! {
        #[test]
        fn reads_from_both_ends(entries in proptest::collection::vec(any_entry(), 1..5)) {
            let mut out = Vec::new();
            for e in &entries {
                encode(&mut out, e.source, e.time, &e.line, e.partial.as_ref());
            }
            let (mut rest, mut back) = (&out[..], &out[..]);
            for (first, last) in entries.iter().zip(entries.iter().rev()) {
                let (entry, used) = decode(rest).unwrap().unwrap();
                prop_assert_eq!(&entry, first);
                rest = &rest[used..];
                let (entry, used) = decode_last(back).unwrap().unwrap();
                prop_assert_eq!(&entry, last);
                back = &back[..back.len() - used];
            }
            prop_assert!(rest.is_empty() && back.is_empty());
            prop_assert!(decode(&out[..out.len().min(out.len() - 1)]).is_ok());
        }

        #[test]
        fn decode_never_panics(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
            let _ = decode_last(&bytes);
            let _ = entry(&bytes);
        }
    }
}
