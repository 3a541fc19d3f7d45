//! What a reader of a log can ask for.

use std::path::{Path, PathBuf};
use wharf_types::Timestamp;

/// The log of a container: the current file; rotated ones lie beside it as `.1` (newest) and up, perhaps with `.gz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFile {
    /// In the format of the driver `json-file`.
    JsonFile(PathBuf),
    /// In the format of the driver `local`.
    Local(PathBuf),
}

impl LogFile {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::JsonFile(path) | Self::Local(path) => path,
        }
    }
}

/// Which entries.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// Those written to standard output.
    pub stdout: bool,
    /// Those written to standard error.
    pub stderr: bool,
    /// Not those before this moment.
    pub since: Option<Timestamp>,
    /// Not those after this moment, where reading ends.
    pub until: Option<Timestamp>,
    /// Where to begin; counts the lines of both streams at any time.
    pub tail: Tail,
    /// Wait for more at the end.
    pub follow: bool,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// With the oldest entry.
    All,
    /// So many lines before the end.
    Lines(u64),
}

/// How entries are written out.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogFormat {
    /// With an 8-byte header that tells stream and length, for containers without a terminal.
    pub multiplexed: bool,
    /// With the time, nine fractional digits, in front.
    pub timestamps: bool,
    /// With the attributes in front (after the time).
    pub details: bool,
}
