//! On-disk formats of container output: [`json_file`] (what log agents read) and [`local`] (compact, length-prefixed protobuf).
//!
//! Pure functions over byte slices: the monitor writes with the encoders, the daemon reads with the decoders. Rotation and
//! following of files live with their owners. The formats are specified in `docs/reference/journal-format.md`.

pub mod json_file;
pub mod local;

use std::collections::BTreeMap;
use wharf_types::Timestamp;

/// A line longer than this is stored as several records; the size of Docker's line buffer.
pub const MAX_LINE: usize = 16 * 1024;

/// The stream that a line was written to. A terminal has only [`Source::Stdout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Source {
    /// The name in both formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it was written.
    pub source: Source,
    /// When the monitor read it.
    pub time: Timestamp,
    /// The bytes without the newline.
    pub line: Vec<u8>,
    /// Set when the record is a piece of a longer line.
    pub partial: Option<Partial>,
    /// Labels and variables chosen by the log options; only `json-file` stores them.
    pub attrs: BTreeMap<String, String>,
}

impl LogEntry {
    /// Whether a newline follows `line`.
    pub fn ends_line(&self) -> bool {
        self.partial.as_ref().is_none_or(|p| p.last)
    }
}

/// The place of a record in a line that was split. `json-file` stores only whether a newline follows, so there `id` is empty,
/// `ordinal` 0, and the last piece looks like a whole line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// The same for all pieces of a line.
    pub id: String,
    /// Counts the pieces from 1.
    pub ordinal: i32,
    /// Whether the line ends with this piece.
    pub last: bool,
}
