//! The monitor of one container: holds its streams, writes its log, serves its clients, and records its end, whether or not a daemon
//! is there.
//!
//! One thread, one event loop ([`Monitor::run`]). [`boot`] detaches from the daemon; [`calls`] answers requests; [`jobs`] runs the OCI
//! runtime; [`streams`] moves bytes; [`exit`] reaps and records; [`memory`] watches for kills by the kernel. Nothing here blocks on a
//! client, on the daemon or on the runtime.

pub mod boot;
mod calls;
mod client;
mod connection;
mod exit;
mod jobs;
mod memory;
mod poll;
mod process;
mod streams;

use crate::{cgroup::Cgroup, log::Log};
use client::Client;
use connection::Connection;
use exit::Reaped;
use jobs::Job;
use memory::MemoryWatch;
use poll::{Poll, Token};
use process::Process;
use rustix::{
    event::epoll::EventFlags,
    net::{SocketFlags, accept_with},
};
use std::{
    collections::{BTreeMap, VecDeque},
    fs::OpenOptions,
    io::Write,
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    time::{Duration, Instant},
};
use wharf_shim_proto::{Event, Launch, Message, Reply, file};
use wharf_types::{Error, ExecId, Result, Timestamp};

/// How long an ended container waits for the daemon's [`wharf_shim_proto::Call::Release`] while one is connected.
const RELEASE_PATIENCE: Duration = Duration::from_secs(10);
/// Key of the container's first process.
const INIT: u32 = 0;

/// Everything that a monitor knows.
pub struct Monitor {
    poll: Poll,
    launch: Launch,
    place: Place,
    listener: OwnedFd,
    signals: OwnedFd,
    connections: BTreeMap<u32, Connection>,
    clients: BTreeMap<u32, Client>,
    processes: BTreeMap<u32, Process>,
    next_key: u32,
    log: Option<Log>,
    /// Why output could not be logged, the first time.
    log_error: Option<String>,
    /// Why the runtime could not delete the container.
    delete_error: Option<String>,
    /// Time of the latest batch of output; never goes back.
    last_batch: Timestamp,
    jobs: Vec<Job>,
    reaped: Vec<Reaped>,
    /// Hellos that came before the container was made.
    early: Vec<ReplyTo>,
    waiters: Vec<(u32, ReplyTo)>,
    releases: Vec<ReplyTo>,
    cgroup: Cgroup,
    memory: Option<MemoryWatch>,
    paused: bool,
    phase: Phase,
    /// Ended execs, oldest first, whose records are still kept.
    ended_execs: VecDeque<u32>,
    buffer: Vec<u8>,
}

/// Where the monitor is in its own life.
#[derive(Debug, Clone, PartialEq)]
enum Phase {
    /// The runtime is making the container.
    Launching,
    /// There is a container.
    Serving,
    /// The container has ended, and the runtime deletes its state.
    Deleting,
    /// All is done: gone at `until`, or sooner when nobody needs us.
    Lingering { until: Instant, released: bool },
    /// The container could not be made.
    Failed,
}

/// The task directory.
pub struct Place {
    pub path: PathBuf,
    /// Another name for it, short enough for the paths of sockets.
    pub alias: PathBuf,
}

/// Whom to answer, about which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ReplyTo {
    connection: u32,
    id: u64,
}

impl Monitor {
    /// Serves until the container is over and everybody knows.
    fn run(&mut self) -> Result<()> {
        self.poll.add(&self.signals, Token::Signals)?;
        self.poll.add(&self.listener, Token::Listener)?;
        while !self.is_over() {
            for (token, flags) in self.poll.wait(self.timeout())? {
                self.handle(token, flags);
            }
            self.settle_reaped();
            self.keep_deadlines();
            self.flush_connections();
        }
        Ok(())
    }

    fn handle(&mut self, token: Token, flags: EventFlags) {
        match token {
            Token::Signals => self.reap(),
            Token::Listener => self.accept(),
            Token::Memory => self.memory_event(),
            Token::Connection(key) => self.serve(key),
            Token::Client(key) => self.client_event(key, flags),
            Token::Output(key, part) => self.pump(key, usize::from(part)),
            Token::Stdin(key) => self.feed(key),
        }
    }

    fn accept(&mut self) {
        while let Ok(fd) = accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            self.connect(fd, false);
        }
    }

    fn connect(&mut self, fd: OwnedFd, greeted: bool) -> u32 {
        let key = self.fresh_key();
        self.connections.insert(key, Connection::new(fd, greeted));
        self.watch_connection(key);
        key
    }

    fn fresh_key(&mut self) -> u32 {
        self.next_key = self.next_key.checked_add(1).unwrap_or(INIT + 1);
        self.next_key
    }

    fn watch_connection(&mut self, key: u32) {
        if let Some(c) = self.connections.get_mut(&key) {
            let wanted = if c.owes() { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            self.poll.set(&c.fd, Token::Connection(key), &mut c.watch, Some(wanted));
        }
    }

    fn flush_connections(&mut self) {
        let keys: Vec<u32> = self.connections.iter().filter(|(_, c)| c.owes()).map(|(k, _)| *k).collect();
        for key in keys {
            match self.connections.get_mut(&key).map(Connection::flush) {
                Some(Err(_)) => drop(self.connections.remove(&key)),
                _ => self.watch_connection(key),
            }
        }
    }

    fn reply(&mut self, to: ReplyTo, result: Result<Reply>) {
        if let Some(c) = self.connections.get_mut(&to.connection) {
            c.push(&Message::answer(to.id, result));
        }
    }

    fn broadcast(&mut self, event: Event) {
        let message = Message::event(event);
        self.connections.values_mut().filter(|c| c.greeted).for_each(|c| c.push(&message));
    }

    fn find(&self, exec: Option<&ExecId>) -> Result<u32> {
        match exec {
            None => Ok(INIT),
            Some(id) => {
                let found = self.processes.iter().find(|(_, p)| p.id.as_ref() == Some(id));
                found.map(|(key, _)| *key).ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
            }
        }
    }

    /// Time for a batch of output: later than every earlier one, so that moments tell batches apart.
    fn stamp(&mut self) -> Timestamp {
        let now = Timestamp::now();
        self.last_batch = if now > self.last_batch { now } else { Timestamp::from_nanos(self.last_batch.nanos() + 1) };
        self.last_batch
    }

    fn timeout(&self) -> Option<Duration> {
        let clients = self.clients.values().filter_map(Client::deadline);
        let drains = self.processes.values().filter_map(|p| p.ended.as_ref().map(|e| e.deadline));
        let linger = match self.phase {
            Phase::Lingering { until, .. } => Some(until),
            _ => None,
        };
        let next = clients.chain(drains).chain(linger).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn keep_deadlines(&mut self) {
        let now = Instant::now();
        let stuck: Vec<u32> = self.clients.iter().filter(|(_, c)| c.deadline().is_some_and(|d| d <= now)).map(|(k, _)| *k).collect();
        for key in stuck {
            self.warn("a client that took no output for 10 s was disconnected");
            self.drop_client(key);
        }
        self.finish_drained(now);
    }

    fn is_over(&self) -> bool {
        let told = self.connections.values().all(|c| !c.owes());
        match self.phase {
            Phase::Failed => told,
            Phase::Lingering { until, released } => {
                let awaited = !released && Instant::now() < until && self.connections.values().any(|c| c.greeted);
                told && self.clients.is_empty() && !awaited
            }
            _ => false,
        }
    }

    /// Notes something that nobody asked for.
    fn warn(&self, text: &str) {
        let path = self.place.path.join(file::SHIM_LOG);
        if let Ok(mut log) = OpenOptions::new().create(true).append(true).mode(0o600).open(path) {
            // There is no other place to complain.
            let _ = writeln!(log, "{} {text}", Timestamp::now());
        }
    }
}
