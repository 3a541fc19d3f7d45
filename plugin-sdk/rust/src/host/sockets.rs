//! Connections to servers that the operator allows.
//!
//! A [`Connection`] reads and writes as any stream does:
//!
//! ```no_run
//! use std::io::Write;
//! use wharf_plugin::host::sockets::{Target, connect};
//!
//! let mut server = connect(&Target::Tls(("logs.example.org".to_owned(), 6514)), None)?;
//! server.write_all(b"<14>1 - - - - - - hello\n").map_err(|e| e.to_string())?;
//! # Ok::<(), String>(())
//! ```

pub use super::raw::sockets::{Connection, Failure, Target, connect};
use std::io;

/// In words.
impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied(what) | Failure::Unreachable(what) => what,
            Failure::Timeout => "the server did not answer in time".to_owned(),
            Failure::Closed => "the connection is closed".to_owned(),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Denied(_) => io::ErrorKind::PermissionDenied,
            Failure::Timeout => io::ErrorKind::TimedOut,
            Failure::Closed => io::ErrorKind::NotConnected,
            Failure::Unreachable(_) => io::ErrorKind::HostUnreachable,
        };
        Self::new(kind, String::from(failure))
    }
}

impl io::Read for Connection {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let got = self.receive(u32::try_from(to.len()).unwrap_or(u32::MAX))?;
        let to = to.get_mut(..got.len()).ok_or(io::ErrorKind::InvalidData)?;
        to.copy_from_slice(&got);
        Ok(got.len())
    }
}

impl io::Write for Connection {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.send(from)?;
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
