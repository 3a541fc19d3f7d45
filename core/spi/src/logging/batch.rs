//! A batch of lines: entries one behind the other, each a little-endian u32 with the length of what follows, a little-endian u64
//! with nanoseconds since 1970, a byte for the stream, whose highest bit says that the line goes on in the next entry, and the line
//! without its end.

use std::fmt;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line, or a part of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Where it came from.
    pub stream: Stream,
    /// The line goes on in the next entry of this stream.
    pub partial: bool,
    /// Without its end.
    pub line: &'a [u8],
}

/// What is no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The number of the entry, from 0.
    pub entry: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} of the batch {}", self.entry, self.what)
    }
}

impl std::error::Error for Malformed {}

/// Bytes of an entry after its length, without the line.
const HEAD: usize = 9;
const PARTIAL: u8 = 0x80;

/// Appends an entry.
///
/// # Errors
/// For a line of 4 GiB.
pub fn append(batch: &mut Vec<u8>, entry: &Entry<'_>) -> Result<(), Malformed> {
    let length = u32::try_from(entry.line.len() + HEAD).map_err(|_| Malformed { entry: 0, what: "is too long" })?;
    let stream = match entry.stream {
        Stream::Out => 1,
        Stream::Err => 2,
    };
    batch.reserve(4 + HEAD + entry.line.len());
    batch.extend_from_slice(&length.to_le_bytes());
    batch.extend_from_slice(&entry.time.to_le_bytes());
    batch.push(stream | if entry.partial { PARTIAL } else { 0 });
    batch.extend_from_slice(entry.line);
    Ok(())
}

/// The entries of a batch, up to and with the first fault.
pub fn entries(batch: &[u8]) -> Entries<'_> {
    Entries { rest: batch, at: 0 }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Entries<'a> {
    fn take(&mut self) -> Result<Entry<'a>, &'static str> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or("is cut off")?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| "is too long")?;
        let (entry, rest) = rest.split_at_checked(length).ok_or("is cut off")?;
        let (time, entry) = entry.split_first_chunk::<8>().ok_or("is too short")?;
        let (stream, line) = entry.split_first().ok_or("is too short")?;
        let from = match stream & !PARTIAL {
            1 => Stream::Out,
            2 => Stream::Err,
            _ => return Err("is of no stream"),
        };
        self.rest = rest;
        Ok(Entry { time: u64::from_le_bytes(*time), stream: from, partial: stream & PARTIAL != 0, line })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.at;
        self.at += 1;
        Some(self.take().map_err(|what| {
            self.rest = &[];
            Malformed { entry, what }
        }))
    }
}

/// How many entries there are.
///
/// # Errors
/// The first fault.
pub fn count(batch: &[u8]) -> Result<usize, Malformed> {
    entries(batch).try_fold(0, |n, entry| entry.map(|_| n + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn faults_are_named() {
        let mut good = Vec::new();
        append(&mut good, &Entry { time: 1, stream: Stream::Err, partial: true, line: b"x" }).unwrap();
        assert_eq!(good, [10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x82, b'x']);
        for (tail, what) in [
            (&[1, 0][..], "is cut off"),
            (&[9, 0, 0, 0, 1], "is cut off"),
            (&[8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], "is too short"),
            (&[9, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 3], "is of no stream"),
            (&[255, 255, 255, 255], "is cut off"),
        ] {
            let batch = [&good[..], tail].concat();
            assert_eq!(count(&batch), Err(Malformed { entry: 1, what }), "{tail:?}");
            assert_eq!(entries(&batch).count(), 2);
        }
    }

    proptest! {
        #[test]
        fn entries_come_back(lines in prop::collection::vec((any::<u64>(), any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..20)) {
            let mut batch = Vec::new();
            let made = |(time, out, partial, line): &(u64, bool, bool, Vec<u8>)| {
                (*time, if *out { Stream::Out } else { Stream::Err }, *partial, line.clone())
            };
            for line in &lines {
                let (time, stream, partial, line) = made(line);
                append(&mut batch, &Entry { time, stream, partial, line: &line }).unwrap();
            }
            let back: Vec<_> = entries(&batch).map(|e| e.map(|e| (e.time, e.stream, e.partial, e.line.to_vec()))).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(back, lines.iter().map(made).collect::<Vec<_>>());
            prop_assert_eq!(count(&batch), Ok(lines.len()));
        }

        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let again = entries(&bytes).try_fold(Vec::new(), |mut all, entry| {
                append(&mut all, &entry?)?;
                Ok::<_, Malformed>(all)
            });
            if let Ok(again) = again {
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
