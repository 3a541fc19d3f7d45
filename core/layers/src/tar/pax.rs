//! PAX records: `<length> <key>=<value>\n`, where the length counts the whole record and the value may be binary.

use super::{Segment, invalid};
use std::io;

/// The records that matter.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
    seen: bool,
}

/// The records of GNU tar's three sparse formats (0.0, 0.1 and 1.0).
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) major: u64,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    pub(super) map: Vec<Segment>,
}

const XATTR: &[u8] = b"SCHILY.xattr.";

impl Pax {
    pub(super) fn is_empty(&self) -> bool {
        !self.seen
    }

    pub(super) fn parse(mut text: &[u8]) -> io::Result<Self> {
        let malformed = || invalid("malformed PAX record");
        let mut pax = Self { seen: true, ..Self::default() };
        let mut offset = None;
        while !text.is_empty() {
            let space = text.iter().position(|b| *b == b' ').ok_or_else(malformed)?;
            let length = text.get(..space).and_then(number).and_then(|n| usize::try_from(n).ok()).ok_or_else(malformed)?;
            let record = text.get(space + 1..length).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(malformed)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
            let (key, value) = (record.get(..equals).unwrap_or_default(), record.get(equals + 1..).unwrap_or_default());
            let count = || number(value).ok_or_else(malformed);
            match key {
                b"path" => pax.path = Some(value.to_vec()),
                b"linkpath" => pax.link = Some(value.to_vec()),
                b"size" => pax.size = Some(count()?),
                b"uid" => pax.uid = Some(count()?),
                b"gid" => pax.gid = Some(count()?),
                b"mtime" => pax.mtime = Some(time(value).ok_or_else(malformed)?),
                b"GNU.sparse.major" => pax.sparse.major = count()?,
                b"GNU.sparse.name" => pax.sparse.name = Some(value.to_vec()),
                b"GNU.sparse.realsize" | b"GNU.sparse.size" => pax.sparse.real_size = Some(count()?),
                b"GNU.sparse.offset" => offset = Some(count()?),
                b"GNU.sparse.numbytes" => {
                    pax.sparse.map.push(Segment { offset: offset.take().ok_or_else(malformed)?, length: count()? });
                }
                b"GNU.sparse.map" => pax.sparse.map = map(value).ok_or_else(malformed)?,
                _ => {
                    if let Some(name) = key.strip_prefix(XATTR) {
                        pax.xattrs.push((name.to_vec(), value.to_vec()));
                    }
                }
            }
            text = text.get(length..).unwrap_or_default();
        }
        Ok(pax)
    }
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `1700000000.123`, also negative.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut nanos: u32 = 0;
    if !fraction.is_empty() {
        nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    }
    let whole: i64 = seconds.parse().ok()?;
    Some(if seconds.starts_with('-') && nanos > 0 { (whole.checked_sub(1)?, 1_000_000_000 - nanos) } else { (whole, nanos) })
}

fn map(text: &[u8]) -> Option<Vec<Segment>> {
    let numbers: Vec<u64> = text.split(|b| *b == b',').filter(|n| !n.is_empty()).map(number).collect::<Option<_>>()?;
    let pairs = numbers.chunks(2).map(|pair| match pair {
        [offset, length] => Some(Segment { offset: *offset, length: *length }),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length != body + length.to_string().len() {
            length = body + length.to_string().len();
        }
        [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn times() {
        for (text, expected) in [("1", (1, 0)), ("1.5", (1, 500_000_000)), ("-1.25", (-2, 750_000_000)), ("0.0000000019", (0, 1))] {
            assert_eq!(time(text.as_bytes()), Some(expected), "{text}");
        }
        assert!(time(b"x").is_none() && time(b"1.x").is_none());
    }

    proptest! {
        #[test]
        fn binary_values_round_trip(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..4)) {
            let text: Vec<u8> = values.iter().flat_map(|v| record("SCHILY.xattr.user.a", v)).collect();
            let pax = Pax::parse(&text).unwrap();
            prop_assert_eq!(pax.xattrs.into_iter().map(|(_, v)| v).collect::<Vec<_>>(), values);
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Pax::parse(&text);
        }
    }
}
