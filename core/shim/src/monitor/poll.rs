//! What the event loop waits for.

use rustix::{
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    io::Errno,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};
use wharf_types::{Result, error::Context};

/// Events taken from the kernel at once.
const BATCH: usize = 32;

/// Who a descriptor belongs to. Numbers are keys of the monitor's maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    Signals,
    Listener,
    Memory,
    Connection(u32),
    Client(u32),
    /// Of a process: 0 is standard output (or the terminal), 1 standard error.
    Output(u32, u8),
    Stdin(u32),
}

impl Token {
    fn encode(self) -> u64 {
        let (kind, key, part) = match self {
            Self::Signals => (0, 0, 0),
            Self::Listener => (1, 0, 0),
            Self::Memory => (2, 0, 0),
            Self::Connection(key) => (3, key, 0),
            Self::Client(key) => (4, key, 0),
            Self::Output(key, part) => (5, key, part),
            Self::Stdin(key) => (6, key, 0),
        };
        kind << 40 | u64::from(part) << 32 | u64::from(key)
    }

    fn decode(data: u64) -> Self {
        let (key, part) = (data as u32, (data >> 32) as u8);
        match data >> 40 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Memory,
            3 => Self::Connection(key),
            4 => Self::Client(key),
            5 => Self::Output(key, part),
            _ => Self::Stdin(key),
        }
    }
}

/// The set of descriptors.
pub struct Poll(OwnedFd);

/// How one descriptor is registered at present.
#[derive(Debug, Default)]
pub struct Watch(Option<EventFlags>);

impl Poll {
    pub fn new() -> Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC).context("epoll")?))
    }

    /// Makes `watch` what is wanted; `None` takes the descriptor out, so that not even a hang-up is told.
    pub fn set(&self, fd: impl AsFd, token: Token, watch: &mut Watch, wanted: Option<EventFlags>) {
        if watch.0 == wanted {
            return;
        }
        let data = EventData::new_u64(token.encode());
        // Fails only when the kernel is out of memory; then the descriptor is not served, and its deadline ends it.
        let _ = match (watch.0, wanted) {
            (None, Some(flags)) => epoll::add(&self.0, fd, data, flags),
            (Some(_), Some(flags)) => epoll::modify(&self.0, fd, data, flags),
            (_, None) => epoll::delete(&self.0, fd),
        };
        watch.0 = wanted;
    }

    /// Adds a descriptor that is read for good.
    pub fn add(&self, fd: impl AsFd, token: Token) -> Result<()> {
        epoll::add(&self.0, fd, EventData::new_u64(token.encode()), EventFlags::IN).context("epoll")
    }

    /// Waits and tells what happened.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<(Token, EventFlags)>> {
        // Rounded up: a wait that ends just before its deadline would be repeated until it is due.
        let timeout =
            timeout.map(|t| Timespec { tv_sec: t.as_secs().cast_signed(), tv_nsec: i64::from(t.subsec_millis() + 1) * 1_000_000 });
        let mut events: Vec<Event> = Vec::with_capacity(BATCH);
        match epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) => Ok(events.iter().map(|e| (Token::decode(e.data.u64()), e.flags)).collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(e) => Err(e).context("epoll"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive() {
        let tokens = [
            Token::Signals,
            Token::Listener,
            Token::Memory,
            Token::Connection(u32::MAX),
            Token::Client(1),
            Token::Output(7, 1),
            Token::Stdin(0),
        ];
        for token in tokens {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
