//! Batches of log lines: entries one behind the other, as `wharf:logging` says.

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
    /// Without its end; any bytes.
    pub line: &'a [u8],
}

/// Bytes of an entry after its length, without the line.
const HEAD: usize = 9;
const PARTIAL: u8 = 0x80;

fn take(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (entry, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let (time, entry) = entry.split_first_chunk::<8>()?;
    let (stream, line) = entry.split_first()?;
    let from = match stream & !PARTIAL {
        1 => Stream::Out,
        2 => Stream::Err,
        _ => return None,
    };
    Some((Entry { time: u64::from_le_bytes(*time), stream: from, partial: stream & PARTIAL != 0, line }, rest))
}

/// Entries as they came: an iterator's source, without copies.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Batch<'a> {
    /// Looks at the form of all entries.
    ///
    /// # Errors
    /// When the bytes are no batch.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (mut rest, mut length) = (bytes, 0);
        while !rest.is_empty() {
            (_, rest) = take(rest).ok_or_else(|| format!("entry {length} of the batch is broken"))?;
            length += 1;
        }
        Ok(Self { bytes, length })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The batch as it came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> IntoIterator for Batch<'a> {
    type Item = Entry<'a>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        Entries(self.bytes)
    }
}

/// The entries of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (entry, rest) = take(self.0)?;
        self.0 = rest;
        Some(entry)
    }
}

/// Makes a batch.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder(Vec<u8>);

impl BatchBuilder {
    /// With room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// For a line of 4 GiB, for which a plugin has no memory.
    #[allow(clippy::expect_used, reason = "cannot happen in 32 bits")]
    pub fn push(&mut self, entry: &Entry<'_>) {
        let length = u32::try_from(entry.line.len() + HEAD).expect("a line of less than 4 GiB");
        let stream = match entry.stream {
            Stream::Out => 1,
            Stream::Err => 2,
        };
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(&entry.time.to_le_bytes());
        self.0.push(stream | if entry.partial { PARTIAL } else { 0 });
        self.0.extend_from_slice(entry.line);
    }

    /// Its bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back() {
        let entries = [
            Entry { time: 1, stream: Stream::Out, partial: true, line: b"one" },
            Entry { time: u64::MAX, stream: Stream::Err, partial: false, line: b"" },
        ];
        let mut made = BatchBuilder::default();
        entries.iter().for_each(|entry| made.push(entry));
        let bytes = made.finish();
        assert_eq!(bytes[..14], [12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x81, b'o']);
        let batch = Batch::parse(&bytes).unwrap();
        assert_eq!((batch.len(), batch.into_iter().collect::<Vec<_>>().as_slice()), (2, &entries[..]));
        assert!(Batch::parse(&[]).unwrap().is_empty());
        for cut in 1..bytes.len() {
            assert_eq!(Batch::parse(&bytes[..cut]).is_ok(), cut == 16, "{cut}");
        }
    }
}
