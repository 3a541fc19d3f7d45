//! A client that is attached to a process: what it is owed, and how long it may let others wait.

use super::poll::Watch;
use rustix::{
    io::Errno,
    net::{SendFlags, send},
};
use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};
use wharf_shim_proto::{Stdio, journal::Source};

/// Bytes that may be owed to a client before output is no longer read for its sake.
const BUFFER: usize = 256 * 1024;
/// How long a client may take nothing before it is dropped: it never stalls the container for longer.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Capacity that is kept while nothing is owed.
const KEEP: usize = 4 * 1024;

/// An attached client.
pub struct Client {
    pub fd: OwnedFd,
    /// Key of its process.
    pub process: u32,
    pub stdio: Stdio,
    /// Whether output is framed (8-byte headers), as it is without a terminal.
    framed: bool,
    owed: Vec<u8>,
    sent: usize,
    /// Since when it has taken nothing although something is owed.
    stalled: Option<Instant>,
    /// Whether it may still send.
    pub sends: bool,
    /// Whether it leaves once nothing is owed.
    pub leaving: bool,
    pub watch: Watch,
}

impl Client {
    pub fn new(fd: OwnedFd, process: u32, stdio: Stdio, framed: bool) -> Self {
        let watch = Watch::default();
        Self { fd, process, stdio, framed, owed: Vec::new(), sent: 0, stalled: None, sends: true, leaving: false, watch }
    }

    /// Whether it wants a stream.
    pub fn takes(&self, source: Source) -> bool {
        match source {
            // A terminal has one output, for whoever asks for any.
            Source::Stdout => self.stdio.stdout || (!self.framed && self.stdio.stderr),
            Source::Stderr => self.stdio.stderr,
        }
    }

    /// Queues bytes as they are.
    pub fn push_raw(&mut self, data: &[u8]) {
        self.owed.extend_from_slice(data);
    }

    /// Queues output, framed if need be: stream, three zeros, big-endian length.
    pub fn push(&mut self, source: Source, data: &[u8]) {
        if self.framed {
            let stream = if source == Source::Stdout { 1 } else { 2 };
            self.owed.extend_from_slice(&[stream, 0, 0, 0]);
            self.owed.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        self.owed.extend_from_slice(data);
    }

    /// Sends what it takes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn flush(&mut self, now: Instant) -> Result<(), Errno> {
        while let Some(rest) = self.owed.get(self.sent..).filter(|r| !r.is_empty()) {
            match send(&self.fd, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(n) => {
                    self.sent += n;
                    self.stalled = None;
                }
                Err(Errno::AGAIN) => {
                    self.stalled.get_or_insert(now);
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        self.owed.clear();
        self.owed.shrink_to(KEEP);
        self.sent = 0;
        Ok(())
    }

    /// Whether anything is owed.
    pub fn owes(&self) -> bool {
        self.sent < self.owed.len()
    }

    /// Whether output must wait for it.
    pub fn is_full(&self) -> bool {
        self.owed.len() - self.sent >= BUFFER
    }

    /// When it will be dropped if it goes on taking nothing.
    pub fn deadline(&self) -> Option<Instant> {
        self.stalled.filter(|_| self.owes()).map(|since| since + PATIENCE)
    }
}
