//! What can be wrong with a model, a policy or a request, and where.

use std::fmt;

/// A file, as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What errors and explanations call it.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

/// A mistake in a model or a policy, or a request that they cannot judge. Shown as `FILE:LINE: MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The name of the [`Source`].
    pub file: String,
    /// Counted from 1; 0 when it is the whole file.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// The result of what can fail with an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for Error {}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub file: std::rc::Rc<str>,
    pub line: usize,
}

impl Place {
    pub fn error(&self, message: impl fmt::Display) -> Error {
        Error { file: self.file.to_string(), line: self.line, message: message.to_string() }
    }
}
