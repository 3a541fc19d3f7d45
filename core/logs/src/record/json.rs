//! Lines of `json-file` in the one shape that the monitor and Docker write. Anything else is left to the general decoder.

use super::{Entry, RECORD_START, time::parse_utc};
use memchr::{memchr2, memrchr};
use wharf_shim_proto::journal::Source;

/// The record in `line`, which has no newline. `None` when it has another shape, and when it has attributes that are wanted.
pub(super) fn parse<'a>(line: &'a [u8], attrs: bool, scratch: &'a mut Vec<u8>) -> Option<Entry<'a>> {
    let body = line.strip_prefix(RECORD_START)?;
    let (raw, escaped, rest) = string(body)?;
    let rest = rest.strip_prefix(b",\"stream\":\"std")?;
    let (source, rest) = match rest.strip_prefix(b"out\",") {
        Some(rest) => (Source::Stdout, rest),
        None => (Source::Stderr, rest.strip_prefix(b"err\",")?),
    };
    // The time is last; attributes before it hold no bare quotes.
    let rest = rest.strip_suffix(b"\"}")?;
    let quote = memrchr(b'"', rest)?;
    let (before, time) = rest.split_at_checked(quote + 1)?;
    let before = before.strip_suffix(b"\"time\":\"")?;
    if !before.is_empty() && (attrs || !before.starts_with(b"\"attrs\":{")) {
        return None;
    }
    let nanos = parse_utc(time)?;
    let (raw, ends_line) = match raw.strip_suffix(b"\\n") {
        // An escaped backslash before an `n` is no newline.
        Some(head) if !escaped || trailing_backslashes(head).is_multiple_of(2) => (head, true),
        _ => (raw, false),
    };
    let text = if escaped {
        unescape(raw, scratch)?;
        scratch.as_slice()
    } else {
        raw
    };
    Some(Entry { source, nanos, text, ends_line, attrs: None })
}

/// A JSON string from after its opening quote: the raw text, whether it holds escapes besides a final `\n`, and what follows the
/// closing quote.
fn string(body: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let (mut at, mut escaped) = (0, false);
    loop {
        at += memchr2(b'"', b'\\', body.get(at..)?)?;
        let raw = body.get(..at)?;
        match body.get(at..)? {
            [b'"', rest @ ..] => return Some((raw, escaped, rest)),
            [b'\\', b'n', b'"', rest @ ..] => return Some((body.get(..at + 2)?, escaped, rest)),
            _ => {
                escaped = true;
                at += 2;
            }
        }
    }
}

fn trailing_backslashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|b| **b == b'\\').count()
}

/// Resolves the escapes of a JSON string, like the general decoder; `None` for what that one refuses or this one does not know.
fn unescape(mut raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    while let Some(at) = memchr::memchr(b'\\', raw) {
        let (plain, rest) = raw.split_at_checked(at)?;
        out.extend_from_slice(plain);
        let [_, kind, rest @ ..] = rest else { return None };
        raw = rest;
        match kind {
            b'"' | b'\\' | b'/' => out.push(*kind),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'u' => {
                let (digits, rest) = raw.split_first_chunk::<4>()?;
                // Surrogates come in pairs: rare enough for the general decoder.
                let c = char::from_u32(digits.iter().try_fold(0, |n, d| Some(n * 16 + char::from(*d).to_digit(16)?))?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                raw = rest;
            }
            _ => return None,
        }
    }
    out.extend_from_slice(raw);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wharf_shim_proto::journal::json_file;
    use wharf_types::Timestamp;

    fn encoded(text: &[u8], ends_line: bool, attrs: &[u8]) -> Vec<u8> {
        let (mut out, mut tail) = (Vec::new(), json_file::Tail::default());
        tail.set(Source::Stderr, attrs, Timestamp::from_nanos(1_700_000_000_000_000_001));
        json_file::encode(&mut out, text, ends_line, &tail);
        out.pop();
        out
    }

    #[test]
    fn the_usual_shape_takes_the_fast_path() {
        let attrs = json_file::attrs(&[("k".to_owned(), "a\"b".to_owned())].into());
        let mut scratch = Vec::new();
        for text in [&b"hello"[..], b"", b"a \"quoted\" <tag>\ttab\x1b[0m", b"back\\slash\\", b"\\n", b"\xc3\xa9"] {
            for ends_line in [true, false] {
                for attrs in [&b""[..], &attrs] {
                    let line = encoded(text, ends_line, attrs);
                    let entry = parse(&line, false, &mut scratch).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&line)));
                    assert_eq!((entry.text, entry.ends_line, entry.nanos), (text, ends_line, 1_700_000_000_000_000_001));
                }
            }
        }
        assert!(parse(&encoded(b"x", true, &attrs), true, &mut scratch).is_none(), "wanted attributes are decoded elsewhere");
    }

    #[test]
    fn other_shapes_are_left_alone() {
        let mut scratch = Vec::new();
        for line in [
            r#"{"log":"x\n","stream":"stdout","time":"2026-01-01T00:00:00+01:00"}"#,
            r#"{"stream":"stdout","log":"x\n","time":"2026-01-01T00:00:00Z"}"#,
            r#"{"log":"\ud83d\ude00\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#,
            r#"{"log":"x\n","stream":"stdout","other":1,"time":"2026-01-01T00:00:00Z"}"#,
            r#"{"log":"x\n","stream":"stdout","time":"2026-0"#,
            r#"{"log":"x"#,
            "",
        ] {
            assert!(parse(line.as_bytes(), false, &mut scratch).is_none(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_general_decoder(text in any::<Vec<u8>>(), ends_line: bool) {
            prop_assume!(ends_line || text.last() != Some(&b'\n'));
            let line = encoded(&text, ends_line, b"");
            let mut scratch = Vec::new();
            if let Some(entry) = parse(&line, false, &mut scratch) {
                let general = json_file::decode(&line).unwrap();
                prop_assert_eq!((entry.text, entry.ends_line), (general.line.as_slice(), general.ends_line()));
            }
        }

        #[test]
        fn never_panics(head in any::<Vec<u8>>()) {
            let mut line = b"{\"log\":\"".to_vec();
            line.extend(head);
            let _ = parse(&line, false, &mut Vec::new());
        }
    }
}
