//! `json-file`: one JSON object a line, byte for byte as Docker writes it:
//! `{"log":"text\n","stream":"stdout","attrs":{…},"time":"2026-01-02T03:04:05.678Z"}`.
//!
//! `attrs` is left out when empty. A piece of a longer line has no `\n` at the end of its text.

use super::{LogEntry, Partial, Source};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};
use wharf_types::{Error, Result, Timestamp};

/// Width of the blocks that are checked at once; two SSE2 registers.
const BLOCK: usize = 32;
const HEX: [u8; 16] = *b"0123456789abcdef";

/// Everything that follows the text of a record, prepared once for many lines.
#[derive(Debug, Default)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// The end of a record of `source` at `time`; `attrs` comes from [`attrs`].
    pub fn set(&mut self, source: Source, attrs: &[u8], time: Timestamp) {
        self.0.clear();
        for part in [b"\",\"stream\":\"", source.as_str().as_bytes(), b"\",", attrs, b"\"time\":\"", time.to_string().as_bytes(), b"\"}\n"]
        {
            self.0.extend_from_slice(part);
        }
    }
}

/// Renders the attributes for [`Tail::set`]: empty, or `"attrs":{…},`.
pub fn attrs(map: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    if !map.is_empty() {
        out.extend_from_slice(b"\"attrs\":{");
        for (i, (key, value)) in map.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
            escape(&mut out, key.as_bytes());
            out.extend_from_slice(b"\":\"");
            escape(&mut out, value.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b"},");
    }
    out
}

/// Appends one record. `ends_line` tells whether a newline followed `line`.
pub fn encode(out: &mut Vec<u8>, line: &[u8], ends_line: bool, tail: &Tail) {
    out.extend_from_slice(b"{\"log\":\"");
    escape(out, line);
    if ends_line {
        out.extend_from_slice(b"\\n");
    }
    out.extend_from_slice(&tail.0);
}

/// Bytes that cannot be copied as they are.
fn special(b: u8) -> bool {
    !matches!(b, 0x20..0x80) | (b == b'"') | (b == b'\\') | (b == b'<') | (b == b'>') | (b == b'&')
}

/// Docker's string escapes: `\"`, `\\`, `\n`, `\r`; `\u00xx` for other controls and for `<`, `>`, `&`; `\u2028`, `\u2029`; and
/// `\ufffd` for each byte that is not UTF-8.
fn escape(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some((block, rest)) = text.split_first_chunk::<BLOCK>() {
        if block.iter().fold(false, |any, b| any | special(*b)) {
            let end = text.iter().position(|b| special(*b)).unwrap_or(text.len());
            text = escape_from(out, text, end);
        } else {
            out.extend_from_slice(block);
            text = rest;
        }
    }
    while !text.is_empty() {
        let end = text.iter().position(|b| special(*b)).unwrap_or(text.len());
        text = escape_from(out, text, end);
    }
}

/// Copies `plain` bytes, escapes what follows them, and returns the rest.
fn escape_from<'a>(out: &mut Vec<u8>, text: &'a [u8], plain: usize) -> &'a [u8] {
    let (head, rest) = text.split_at(plain);
    out.extend_from_slice(head);
    let Some((&first, after)) = rest.split_first() else { return rest };
    match first {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', first]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        0..0x80 => {
            let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(first >> 4), digit(first)]);
        }
        _ => return escape_wide(out, rest),
    }
    after
}

/// `text` starts with a byte above 0x7f: copies or escapes one character, or one byte when it is not UTF-8.
fn escape_wide<'a>(out: &mut Vec<u8>, text: &'a [u8]) -> &'a [u8] {
    let len = match text.first() {
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => 1,
    };
    match text.split_at_checked(len) {
        Some(([0xe2, 0x80, last @ (0xa8 | 0xa9)], rest)) => {
            out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
            rest
        }
        Some((char, rest)) if std::str::from_utf8(char).is_ok() => {
            out.extend_from_slice(char);
            rest
        }
        _ => {
            out.extend_from_slice(b"\\ufffd");
            text.get(1..).unwrap_or_default()
        }
    }
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads one line of the file, with or without its newline.
///
/// # Errors
/// When it is not a record, such as a line that was cut by a full disk.
pub fn decode(line: &[u8]) -> Result<LogEntry> {
    let record: Record<'_> = serde_json::from_slice(line)?;
    let source = Source::parse(record.stream.as_bytes()).ok_or_else(|| Error::system(format!("unknown stream {:?}", record.stream)))?;
    let time = record.time.parse()?;
    let mut line = record.log.into_owned().into_bytes();
    let partial = if line.last() == Some(&b'\n') {
        line.pop();
        None
    } else {
        Some(Partial::default())
    };
    Ok(LogEntry { source, time, line, partial, attrs: record.attrs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(line: &[u8], ends_line: bool, map: &[(&str, &str)], time: i64) -> String {
        let map = map.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (mut out, mut tail) = (Vec::new(), Tail::default());
        tail.set(Source::Stdout, &attrs(&map), Timestamp::from_nanos(time));
        encode(&mut out, line, ends_line, &tail);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_what_docker_writes() {
        assert_eq!(
            encoded(b"a \"q\" \\ <b> & \t\x07\x7f\r \xe2\x80\xa8\xff\xc3 \xc3\xa9", true, &[], 1_700_000_000_120_000_000),
            concat!(
                r#"{"log":"a \"q\" \\ \u003cb\u003e \u0026 \u0009\u0007"#,
                "\x7f",
                r#"\r \u2028\ufffd\ufffd é\n","stream":"stdout","time":"2023-11-14T22:13:20.12Z"}"#,
                "\n"
            )
        );
        assert_eq!(
            encoded(b"part", false, &[("b", "1"), ("a", "x\"y")], 0),
            "{\"log\":\"part\",\"stream\":\"stdout\",\"attrs\":{\"a\":\"x\\\"y\",\"b\":\"1\"},\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
    }

    #[test]
    fn a_cut_line_is_an_error() {
        assert!(decode(br#"{"log":"x\n","stream":"std"#).is_err());
        assert!(decode(br#"{"log":"x\n","stream":"stdin","time":"2023-11-14T22:13:20Z"}"#).is_err());
    }

    proptest! {
        #[test]
        fn text_survives(line in any::<Vec<u8>>(), ends_line: bool, time in 0..i64::MAX) {
            prop_assume!(ends_line || line.last() != Some(&b'\n'));
            let text = encoded(&line, ends_line, &[("k", "<v>")], time);
            prop_assert_eq!(text.matches('\n').count(), 1);
            let entry = decode(text.as_bytes()).unwrap();
            prop_assert_eq!(entry.ends_line(), ends_line);
            prop_assert_eq!(entry.time.nanos(), time);
            prop_assert_eq!(entry.attrs.get("k").map(String::as_str), Some("<v>"));
            if let Ok(valid) = std::str::from_utf8(&line) {
                prop_assert_eq!(entry.line, valid.as_bytes());
            }
        }

        #[test]
        fn decode_never_panics(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
