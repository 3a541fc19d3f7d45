//! A control connection: frames in, frames out.

use super::poll::Watch;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use std::os::fd::OwnedFd;
use wharf_shim_proto::{Message, Request, frame};
use wharf_types::{Error, Result};

/// Bytes that may be owed before the peer counts as gone: it reads answers and events, or it is broken.
const LIMIT: usize = 4 * frame::MAX;

/// One connection.
pub struct Connection {
    pub fd: OwnedFd,
    pub watch: Watch,
    /// Whether it is told of events: it said hello, or it is the one that launched us.
    pub greeted: bool,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Why a connection ends.
pub struct Closed;

impl Connection {
    pub fn new(fd: OwnedFd, greeted: bool) -> Self {
        Self { fd, watch: Watch::default(), greeted, input: Vec::new(), output: Vec::new() }
    }

    /// Reads what is there.
    pub fn receive(&mut self) -> Result<(), Closed> {
        let mut buffer = [0; 4096];
        loop {
            match recv(&self.fd, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(Closed),
                Ok((n, _)) => self.input.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Closed),
            }
        }
    }

    /// The next complete request: its id, and the request or why it is none.
    pub fn next(&mut self) -> Result<Option<(u64, Result<Request>)>, Closed> {
        let Some((body, used)) = frame::split(&self.input).map_err(|_| Closed)? else { return Ok(None) };
        #[derive(serde::Deserialize)]
        struct Id {
            id: u64,
        }
        let id = frame::parse::<Id>(body).map_err(|_| Closed)?.id;
        // A call that we do not know may come from a later version: the answer tells, and the connection lives on.
        let request = frame::parse::<Request>(body).map_err(|e| Error::not_implemented(e.message()));
        self.input.drain(..used);
        Ok(Some((id, request)))
    }

    /// Queues a message.
    pub fn push(&mut self, message: &Message) {
        match frame::encode(message) {
            Ok(bytes) => self.output.extend_from_slice(&bytes),
            // Only a list of very many processes can be too long.
            Err(e) => {
                if let Some(bytes) = message.id.and_then(|id| frame::encode(&Message::answer(id, Err(e))).ok()) {
                    self.output.extend_from_slice(&bytes);
                }
            }
        }
    }

    /// Sends what the peer takes.
    pub fn flush(&mut self) -> Result<(), Closed> {
        while !self.output.is_empty() {
            match send(&self.fd, &self.output, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(Errno::AGAIN) if self.output.len() < LIMIT => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Closed),
            }
        }
        Ok(())
    }

    /// Whether anything is still to be sent.
    pub fn owes(&self) -> bool {
        !self.output.is_empty()
    }

    /// Turns it into a raw stream: the descriptor, its registration, what is still to be sent, and what came after the request.
    pub fn into_raw(self) -> (OwnedFd, Watch, Vec<u8>, Vec<u8>) {
        (self.fd, self.watch, self.output, self.input)
    }
}
