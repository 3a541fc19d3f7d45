//! Answering requests.

use super::{INIT, Monitor, Phase, ReplyTo, client::Client, connection::Closed, poll::Token};
use crate::sys;
use rustix::process::pidfd_send_signal;
use wharf_shim_proto::{
    Call, Reply, Request, Stdio, VERSION,
    message::{ExecState, Hello, Status},
};
use wharf_types::{Error, ExecId, Result, Signal};

impl Monitor {
    /// Handles whatever a connection sent.
    pub(super) fn serve(&mut self, key: u32) {
        let closed = self.connections.get_mut(&key).is_some_and(|c| c.receive().is_err());
        loop {
            match self.connections.get_mut(&key).map(|c| c.next()) {
                Some(Ok(Some((id, Ok(Request { call, .. }))))) => self.call(ReplyTo { connection: key, id }, call),
                Some(Ok(Some((id, Err(e))))) => self.reply(ReplyTo { connection: key, id }, Err(e)),
                Some(Ok(None)) | None => break,
                Some(Err(Closed)) => return drop(self.connections.remove(&key)),
            }
        }
        // What a closed peer had sent before counts.
        if closed {
            self.connections.remove(&key);
        }
    }

    fn call(&mut self, to: ReplyTo, call: Call) {
        // Runtime jobs and waits answer later; the rest at once.
        let now = match call {
            Call::Hello { version } => return self.hello(to, version),
            Call::Start => return self.start(to),
            Call::Exec(exec) => return self.exec(to, *exec),
            Call::Pause => return self.pause(to, true),
            Call::Resume => return self.pause(to, false),
            Call::Update { resources } => return self.update(to, &resources),
            Call::Attach { exec, stdio, logs } => return self.attach(to, exec.as_ref(), stdio, logs),
            Call::Wait { exec } => return self.wait(to, exec.as_ref()),
            Call::Release => return self.release(to),
            Call::Kill { exec, signal, all } => self.kill(exec.as_ref(), signal, all),
            Call::Resize { exec, height, width } => self.resize(exec.as_ref(), [height, width]),
            Call::CloseStdin { exec } => self.find(exec.as_ref()).map(|key| self.end_stdin(key)).map(|()| Reply::Done),
            Call::Pids => self.cgroup.pids().map(Reply::Pids),
        };
        self.reply(to, now);
    }

    /// Also called again, for hellos that came while the container was being made.
    pub(super) fn hello(&mut self, to: ReplyTo, version: u32) {
        if version.saturating_add(1) < VERSION {
            return self.reply(to, Err(Error::not_implemented(format!("protocol version {version}; this monitor speaks {VERSION}"))));
        }
        if self.phase == Phase::Launching {
            return self.early.push(to);
        }
        let init = self.processes.get(&INIT);
        let exit = init.and_then(|p| p.exit.clone());
        let started_at = init.and_then(|p| p.started_at);
        let status = match (&exit, started_at) {
            (Some(_), _) => Status::Exited,
            (None, None) => Status::Created,
            (None, Some(_)) if self.paused => Status::Paused,
            (None, Some(_)) => Status::Running,
        };
        let execs = self.processes.values().filter(|p| p.lives());
        let execs = execs.filter_map(|p| p.id.clone().map(|id| ExecState { id, pid: p.pid })).collect();
        let hello = Hello { version: VERSION, status, pid: init.map_or(0, |p| p.pid), started_at, exit, execs };
        if let Some(c) = self.connections.get_mut(&to.connection) {
            c.greeted = true;
        }
        self.reply(to, Ok(Reply::Hello(Box::new(hello))));
    }

    fn kill(&mut self, exec: Option<&ExecId>, number: i32, all: bool) -> Result<Reply> {
        let signal = sys::signal(number).ok_or_else(|| Error::invalid(format!("invalid signal: {number}")))?;
        let key = self.find(exec)?;
        if all {
            self.cgroup.signal_all(signal)?;
        } else {
            let process = self.processes.get(&key).filter(|p| p.lives());
            let gone = || Error::not_found("process already finished");
            let pidfd = process.and_then(|p| p.pidfd.as_ref()).ok_or_else(gone)?;
            pidfd_send_signal(pidfd, signal)
                .map_err(|e| if e == rustix::io::Errno::SRCH { gone() } else { Error::system(e.to_string()) })?;
        }
        // On v1 a frozen process does not even die. An exec alone is no reason to end a pause.
        if number == Signal::KILL.number() && (exec.is_none() || all) {
            self.cgroup.thaw();
        }
        Ok(Reply::Done)
    }

    fn resize(&mut self, exec: Option<&ExecId>, size: [u16; 2]) -> Result<Reply> {
        let key = self.find(exec)?;
        let process = self.processes.get_mut(&key).filter(|p| p.tty && p.exit.is_none());
        process.ok_or_else(|| Error::not_found("the process has no terminal"))?.resize(size).map(|()| Reply::Done)
    }

    fn attach(&mut self, to: ReplyTo, exec: Option<&ExecId>, stdio: Stdio, logs: bool) {
        let key = match self.find(exec) {
            Ok(key) => key,
            Err(e) => return self.reply(to, Err(e)),
        };
        self.reply(to, Ok(Reply::Attached { since: self.last_batch }));
        self.join(to.connection, key, stdio, logs);
    }

    /// Makes a connection a client of a process. Its answer has been queued, and goes out first.
    pub(super) fn join(&mut self, connection: u32, key: u32, stdio: Stdio, logs: bool) {
        let Some(connection) = self.connections.remove(&connection) else { return self.kill_leashed(key) };
        let Some(process) = self.processes.get(&key) else { return };
        let over = process.exit.is_some();
        let (fd, mut watch, answer, typed) = connection.into_raw();
        self.poll.set(&fd, Token::Connection(0), &mut watch, None);
        let mut client = Client::new(fd, key, stdio, !process.tty);
        client.push_raw(&answer);
        if logs {
            for output in process.outputs.iter().filter(|o| !o.splitter.pending().is_empty()) {
                if client.takes(output.source) {
                    client.push(output.source, output.splitter.pending());
                }
            }
        }
        client.leaving = over;
        let client_key = self.fresh_key();
        self.clients.insert(client_key, client);
        self.take_input(client_key, &typed);
        self.flush_client(client_key);
    }

    fn wait(&mut self, to: ReplyTo, exec: Option<&ExecId>) {
        match self.find(exec) {
            Ok(key) => match self.processes.get(&key).and_then(|p| p.exit.clone()) {
                Some(record) => self.reply(to, Ok(Reply::Exited(record))),
                None => self.waiters.push((key, to)),
            },
            Err(e) => self.reply(to, Err(e)),
        }
    }

    pub(super) fn release(&mut self, to: ReplyTo) {
        match &mut self.phase {
            Phase::Deleting => self.releases.push(to),
            Phase::Lingering { released, .. } => {
                *released = true;
                let result = self.delete_error.clone().map_or(Ok(Reply::Done), |e| Err(Error::system(e)));
                self.reply(to, result);
            }
            _ => self.reply(to, Err(Error::conflict("the container has not ended"))),
        }
    }
}
