//! One error type for everything that can reach a client: a kind (which decides the HTTP status) and a message (which
//! clients parse, so it names the object and uses Docker's words).

use std::fmt;

/// What went wrong, as far as a caller can react to it. The API crate maps each kind to one HTTP status
/// (`engine-api` wire rules: 400, 401, 403, 404, 409, 304, 500, 501, 503).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 400: the request cannot be right whatever the state.
    InvalidParameter,
    /// 401: credentials are missing or wrong.
    Unauthorized,
    /// 403: understood and refused.
    Forbidden,
    /// 404: the named object does not exist.
    NotFound,
    /// 409: the object's state forbids it.
    Conflict,
    /// 304: nothing to do.
    NotModified,
    /// 501: Wharf does not do this.
    NotImplemented,
    /// 503: not now.
    Unavailable,
    /// 500: a fault of the host or of Wharf.
    System,
}

/// An error on its way to a client.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Shorthand for results with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
    };
}

impl Error {
    /// An error of `kind` with the text that the client will read.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    constructors! {
        /// 400.
        invalid => InvalidParameter;
        /// 401.
        unauthorized => Unauthorized;
        /// 403.
        forbidden => Forbidden;
        /// 404.
        not_found => NotFound;
        /// 409.
        conflict => Conflict;
        /// 304.
        not_modified => NotModified;
        /// 501.
        not_implemented => NotImplemented;
        /// 503.
        unavailable => Unavailable;
        /// 500.
        system => System;
    }

    /// Keeps the cause, for logs and for [`std::error::Error::source`]; the message does not repeat it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `context: ` before the message and keeps the kind.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The kind, for callers that react.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text for the client.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as &(dyn std::error::Error + 'static))
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::system(e.to_string()).with_source(e)
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        Self::system(e.to_string()).with_source(e)
    }
}

/// Adds what was being done to any foreign error, making it a [`ErrorKind::System`] one.
pub trait Context<T> {
    /// `what: cause`, with the cause kept as source.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|e| match (Box::new(e) as Box<dyn std::error::Error + Send + Sync>).downcast::<Error>() {
            Ok(own) => (*own).context(what),
            Err(foreign) => Error::system(format!("{what}: {foreign}")).with_source(foreign),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_the_kind_of_our_own_errors() {
        let e: Result<()> = Err(Error::not_found("No such image: x"));
        let e = Context::context(e, "create").unwrap_err();
        assert_eq!((e.kind(), e.message()), (ErrorKind::NotFound, "create: No such image: x"));
    }

    #[test]
    fn context_turns_foreign_errors_into_system_errors() {
        let e: std::io::Result<()> = Err(std::io::Error::from_raw_os_error(2));
        let e = e.context("open /x").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::System);
        assert!(e.message().starts_with("open /x: No such file"));
    }
}
