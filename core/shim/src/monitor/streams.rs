//! Moving bytes: from processes to the log and the clients, from clients to processes.

use super::{INIT, Monitor, client::Client, poll::Token};
use rustix::{
    event::epoll::EventFlags,
    io::{Errno, read, write},
    net::{RecvFlags, recv},
    process::{Signal, pidfd_send_signal},
};
use std::time::Instant;
use wharf_shim_proto::journal::Source;

/// Bytes taken from a process at once: a batch with one timestamp, one write to the log, one frame for each client.
const CHUNK: usize = 64 * 1024;
/// Chunks taken before others get their turn.
const TURN: usize = 16;
/// Bytes taken from a client at once.
const INPUT: usize = 16 * 1024;

impl Monitor {
    /// Reads a stream of a process, as far as its clients keep up.
    pub(super) fn pump(&mut self, key: u32, part: usize) {
        self.buffer.resize(CHUNK, 0);
        for _ in 0..TURN {
            let Some(output) = self.processes.get_mut(&key).and_then(|p| p.outputs.get_mut(part)) else { break };
            let source = output.source;
            if is_held(&self.clients, key, source) {
                self.watch_outputs(key);
                break;
            }
            match read(&output.fd, &mut self.buffer[..]) {
                Ok(n) if n > 0 => {
                    self.deliver(key, part, source, n);
                    if n < CHUNK {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // A terminal that nobody has open any more gives an error.
                Ok(_) | Err(_) => {
                    self.end_output(key, part);
                    break;
                }
            }
        }
        // Mostly idle: the room is given back when little was to do.
        if self.clients.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// Takes the first `len` bytes of the buffer to the log, then to the clients.
    fn deliver(&mut self, key: u32, part: usize, source: Source, len: usize) {
        let now = self.stamp();
        let buffer = std::mem::take(&mut self.buffer);
        let data = buffer.get(..len).unwrap_or_default();
        let output = self.processes.get_mut(&key).and_then(|p| p.outputs.get_mut(part));
        if let (INIT, Some(log), Some(output)) = (key, &mut self.log, output) {
            let result = log.append(&mut output.splitter, source, now, data);
            self.note_log(result);
        }
        let takers: Vec<u32> = self.clients.iter().filter(|(_, c)| c.process == key && c.takes(source)).map(|(k, _)| *k).collect();
        for taker in takers {
            if let Some(client) = self.clients.get_mut(&taker) {
                client.push(source, data);
            }
            self.flush_client(taker);
        }
        self.buffer = buffer;
    }

    pub(super) fn note_log(&mut self, result: wharf_types::Result<()>) {
        if let Err(e) = result
            && self.log_error.is_none()
        {
            self.warn(&format!("writing the container's log: {e}"));
            self.log_error = Some(e.to_string());
        }
    }

    fn end_output(&mut self, key: u32, part: usize) {
        let now = self.stamp();
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(output) = process.outputs.get_mut(part) else { return };
        self.poll.set(&output.fd, Token::Output(key, 0), &mut output.watch, None);
        output.over = true;
        if let (INIT, Some(log)) = (key, &mut self.log) {
            let result = log.finish(&mut output.splitter, output.source, now);
            self.note_log(result);
        }
    }

    /// Watches the streams of a process that may be read, and no others.
    pub(super) fn watch_outputs(&mut self, key: u32) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        for (part, output) in process.outputs.iter_mut().enumerate().filter(|(_, o)| !o.over) {
            let wanted = (!is_held(&self.clients, key, output.source)).then_some(EventFlags::IN);
            self.poll.set(&output.fd, Token::Output(key, part as u8), &mut output.watch, wanted);
        }
    }

    /// Whether a client holds up any stream of a process.
    pub(super) fn is_held_up(&self, key: u32) -> bool {
        self.clients.values().any(|c| c.process == key && c.is_full())
    }

    /// Sends what a client takes, and lets it go when it is due.
    pub(super) fn flush_client(&mut self, key: u32) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let was_full = client.is_full();
        let process = client.process;
        if client.flush(Instant::now()).is_err() || (client.leaving && !client.owes()) {
            return self.drop_client(key);
        }
        let now_full = client.is_full();
        self.watch_client(key);
        if was_full != now_full {
            self.watch_outputs(process);
        }
    }

    fn watch_client(&mut self, key: u32) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let stdin = self.processes.get(&client.process).and_then(|p| p.stdin.as_ref());
        let waits = client.stdio.stdin && stdin.is_some_and(|s| !s.queue.is_empty());
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, client.sends && !waits);
        wanted.set(EventFlags::OUT, client.owes());
        self.poll.set(&client.fd, Token::Client(key), &mut client.watch, Some(wanted));
    }

    /// Forgets a client. Its standard input ends with it when that was promised.
    pub(super) fn drop_client(&mut self, key: u32) {
        let Some(client) = self.clients.remove(&key) else { return };
        if client.sends {
            self.input_ended(client.process, client.stdio.stdin);
        }
        self.watch_outputs(client.process);
        self.kill_leashed(client.process);
    }

    /// Ends a process that is not to outlive its client.
    pub(super) fn kill_leashed(&self, key: u32) {
        let process = self.processes.get(&key).filter(|p| p.leashed && p.lives());
        if let Some(pidfd) = process.and_then(|p| p.pidfd.as_ref()) {
            // It fails for one that has just ended.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
    }

    pub(super) fn client_event(&mut self, key: u32, flags: EventFlags) {
        if flags.contains(EventFlags::IN) {
            self.receive(key);
        } else if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            return self.drop_client(key);
        }
        if flags.contains(EventFlags::OUT) {
            self.flush_client(key);
        }
    }

    fn receive(&mut self, key: u32) {
        let mut buffer = [0; INPUT];
        let Some(client) = self.clients.get_mut(&key) else { return };
        match recv(&client.fd, &mut buffer, RecvFlags::DONTWAIT) {
            // Half-closed: it may still receive.
            Ok((0, _)) => {
                client.sends = false;
                let (process, fed) = (client.process, client.stdio.stdin);
                self.input_ended(process, fed);
                self.watch_client(key);
            }
            Ok((n, _)) => self.take_input(key, buffer.get(..n).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.drop_client(key),
        }
    }

    /// Takes bytes from a client to its process; without one that listens they are dropped.
    pub(super) fn take_input(&mut self, key: u32, data: &[u8]) {
        let Some((process, true)) = self.clients.get(&key).map(|c| (c.process, c.stdio.stdin)) else { return };
        if let Some(stdin) = self.processes.get_mut(&process).and_then(|p| p.stdin.as_mut()) {
            stdin.queue.extend_from_slice(data);
            self.feed(process);
        }
    }

    /// Writes what a process takes.
    pub(super) fn feed(&mut self, key: u32) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(stdin) = &mut process.stdin else { return };
        let mut broken = false;
        while !stdin.queue.is_empty() && !broken {
            match write(&stdin.fd, &stdin.queue) {
                Ok(n) => drop(stdin.queue.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // Nobody reads it any more.
                Err(_) => broken = true,
            }
        }
        if broken || (stdin.ending && stdin.queue.is_empty()) {
            self.poll.set(&stdin.fd, Token::Stdin(key), &mut stdin.watch, None);
            process.stdin = None;
        } else {
            let wanted = (!stdin.queue.is_empty()).then_some(EventFlags::OUT);
            self.poll.set(&stdin.fd, Token::Stdin(key), &mut stdin.watch, wanted);
        }
        let feeders: Vec<u32> = self.clients.iter().filter(|(_, c)| c.process == key && c.stdio.stdin).map(|(k, _)| *k).collect();
        for feeder in feeders {
            self.watch_client(feeder);
        }
    }

    /// A client will send nothing more.
    fn input_ended(&mut self, process: u32, fed: bool) {
        let once = self.processes.get(&process).is_some_and(|p| p.stdin_once && !p.tty);
        if fed && once {
            self.end_stdin(process);
        }
    }

    /// Ends standard input once the process has taken what is queued. A terminal has no end.
    pub(super) fn end_stdin(&mut self, key: u32) {
        if let Some(stdin) = self.processes.get_mut(&key).and_then(|p| p.stdin.as_mut()) {
            stdin.ending = true;
            self.feed(key);
        }
    }
}

fn is_held(clients: &std::collections::BTreeMap<u32, Client>, process: u32, source: Source) -> bool {
    clients.values().any(|c| c.process == process && c.is_full() && c.takes(source))
}
