//! The ends of processes: reaping them, draining their output, and putting on record how they ended.

use super::{INIT, Monitor, boot::write_file, process::Ended};
use rustix::{
    io::read,
    process::{Signal, WaitOptions, WaitStatus, wait},
};
use std::{
    fs,
    time::{Duration, Instant},
};
use wharf_shim_proto::{Event, ExitRecord, Reply, file};
use wharf_types::{Result, Timestamp, error::Context};

/// How long output is awaited after the end of a process, for others may hold its pipes for ever.
const GRACE: Duration = Duration::from_secs(2);
/// Ended execs whose records are kept for whoever asks late.
const KEPT_EXECS: usize = 64;

/// A child that has ended.
pub struct Reaped {
    pid: i32,
    status: WaitStatus,
    at: Timestamp,
}

impl Monitor {
    /// Collects every child that has ended.
    pub(super) fn reap(&mut self) {
        // Several signals may have been merged into one, so what the descriptor says about them is of no use.
        let mut buffer = [0; 1024];
        while read(&self.signals, &mut buffer).is_ok_and(|n| n == buffer.len()) {}
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            self.reaped.push(Reaped { pid: pid.as_raw_nonzero().get(), status, at: Timestamp::now() });
        }
    }

    /// Attends to the children that were collected: runtimes first, because they tell which process is which.
    pub(super) fn settle_reaped(&mut self) {
        let reaped = std::mem::take(&mut self.reaped);
        let rest: Vec<Reaped> = reaped.into_iter().filter(|r| !self.finish_job(r.pid, r.status)).collect();
        for r in rest {
            let key = self.processes.iter().find(|(_, p)| p.pid == r.pid && p.lives()).map(|(key, _)| *key);
            match key {
                Some(key) if self.jobs.iter().any(|j| j.concerns(key)) => self.reaped.push(r),
                Some(key) => self.end(key, &r),
                // An orphan of the container, unless it is the product of a runtime that has not told us yet.
                None if self.jobs.iter().any(super::Job::makes_process) => self.reaped.push(r),
                None => {}
            }
        }
    }

    fn end(&mut self, key: u32, reaped: &Reaped) {
        let kills = self.cgroup.oom_kills();
        let oom_killed = kills > 0;
        if key == INIT {
            self.tell_kills(kills);
            // The container is over with its first process; without a pid namespace of its own the rest must be told.
            if let Err(e) = self.cgroup.signal_all(Signal::KILL) {
                self.warn(&format!("killing what the container left: {e}"));
            }
            self.cgroup.thaw();
        }
        let signal = reaped.status.terminating_signal();
        let code = reaped.status.exit_status().or(signal.map(|n| 128 + n)).unwrap_or(255);
        let Some(process) = self.processes.get_mut(&key) else { return };
        let started_at = process.started_at.unwrap_or(Timestamp::ZERO);
        // A slow runtime may tell of the start after the end.
        let record = ExitRecord { code, signal, oom_killed, started_at, exited_at: reaped.at.max(started_at), error: None };
        process.ended = Some(Ended { record, deadline: Instant::now() + GRACE });
        for part in 0..process.outputs.len() {
            self.pump(key, part);
        }
    }

    /// Closes the books of every process whose output is complete, or was awaited long enough.
    pub(super) fn finish_drained(&mut self, now: Instant) {
        let ended: Vec<u32> = self.processes.iter().filter(|(_, p)| p.ended.is_some()).map(|(key, _)| *key).collect();
        for key in ended {
            let held = self.is_held_up(key);
            let Some(process) = self.processes.get_mut(&key) else { continue };
            let drained = process.outputs.iter().all(|o| o.over);
            match &mut process.ended {
                // A client is the reason, and has its own deadline.
                Some(ended) if held && !drained => ended.deadline = now + GRACE,
                Some(ended) if !drained && now < ended.deadline => {}
                _ => self.close_books(key),
            }
        }
    }

    fn close_books(&mut self, key: u32) {
        let now = self.stamp();
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(Ended { mut record, .. }) = process.ended.take() else { return };
        let mut outputs = std::mem::take(&mut process.outputs);
        let id = process.id.clone();
        if let (INIT, Some(log)) = (key, &mut self.log) {
            let result = outputs.iter_mut().filter(|o| !o.over).try_for_each(|o| log.finish(&mut o.splitter, o.source, now));
            self.note_log(result);
            record.error = self.log_error.clone();
        }
        // Closing a descriptor takes it out of the poll set; nobody else holds it.
        drop(outputs);
        let dir = match &id {
            Some(id) => self.place.path.join(file::EXECS).join(id.as_str()),
            None => self.place.path.clone(),
        };
        let written = serde_json::to_vec(&record).context("exit record").and_then(|text| write_file(&dir, file::EXIT, &text));
        if let Err(e) = written {
            self.warn(e.message());
        }
        if let Some(process) = self.processes.get_mut(&key) {
            process.settle(record.clone());
        }
        self.tell_exit(key, id, record);
        let clients: Vec<u32> = self.clients.iter().filter(|(_, c)| c.process == key).map(|(k, _)| *k).collect();
        for client in clients {
            if let Some(c) = self.clients.get_mut(&client) {
                c.leaving = true;
            }
            self.flush_client(client);
        }
        if key == INIT { self.delete() } else { self.forget_old_execs(key) }
    }

    fn tell_exit(&mut self, key: u32, id: Option<wharf_types::ExecId>, record: ExitRecord) {
        self.tell_waiters(key, || Ok(Reply::Exited(record.clone())));
        self.broadcast(match id {
            Some(id) => Event::ExecExited { id, record },
            None => Event::Exited(record),
        });
    }

    /// Answers everyone who waits for a process.
    pub(super) fn tell_waiters(&mut self, key: u32, result: impl Fn() -> Result<Reply>) {
        let (due, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiters).into_iter().partition(|(waited, _)| *waited == key);
        self.waiters = rest;
        due.into_iter().for_each(|(_, to)| self.reply(to, result()));
    }

    fn forget_old_execs(&mut self, key: u32) {
        self.ended_execs.push_back(key);
        if self.ended_execs.len() > KEPT_EXECS
            && let Some(id) = self.ended_execs.pop_front().and_then(|old| self.processes.remove(&old)).and_then(|p| p.id)
        {
            let _ = fs::remove_dir_all(self.place.path.join(file::EXECS).join(id.as_str()));
        }
    }
}
