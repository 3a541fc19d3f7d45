//! Stopping and signalling: what asks the first process to end, and who hears that it did.

use super::{Actor, KILL_GRACE, Next, Reply};
use crate::containers::{ContainerSpec, StartRequest, StopOptions};
use std::time::Duration;
use tokio::time::Instant;
use wharf_types::{Error, ErrorKind, Result, Signal};

/// A stop in progress.
pub(super) struct Stopping {
    pub(super) kill_at: Option<Instant>,
    restart: Option<StartRequest>,
    pub(super) replies: Vec<Reply<()>>,
}

impl Actor {
    pub(super) async fn stop(&mut self, how: StopOptions, restart: Option<StartRequest>, by_daemon: bool, reply: Reply<()>) -> Next {
        if !self.state.running {
            let outcome = match restart {
                Some(rq) => self.start_with(rq).await.inspect(|()| self.event("restart", [])),
                None => Err(Error::not_modified("container is already stopped")),
            };
            let _ = reply.send(outcome);
            return Next::Go;
        }
        if !by_daemon {
            self.state.manually_stopped = true;
        }
        if self.running.is_none() {
            return self.cancel_restart(restart, reply).await;
        }
        if let Some(stopping) = &mut self.stopping {
            stopping.restart = restart.or(stopping.restart.take());
            stopping.replies.push(reply);
            return Next::Go;
        }
        let signal = how.signal.unwrap_or_else(|| stop_signal(&self.spec));
        let timeout = how.timeout.or(self.spec.config.stop_timeout).unwrap_or_else(|| self.shared.live.load().default_stop_timeout);
        if let Err(e) = self.signal(signal).await {
            tracing::debug!(container = ?self.spec.id, error = %e, "stop signal not delivered");
        }
        self.thaw_to_end().await;
        let kill_at = u64::try_from(timeout).ok().and_then(|secs| Instant::now().checked_add(Duration::from_secs(secs)));
        self.stopping = Some(Stopping { kill_at, restart, replies: vec![reply] });
        self.commit().await;
        Next::Go
    }

    /// Ends the wait for a restart by policy.
    async fn cancel_restart(&mut self, start: Option<StartRequest>, reply: Reply<()>) -> Next {
        self.restart_at = None;
        self.state.running = false;
        self.state.restarting = false;
        self.commit().await;
        self.event("stop", []);
        let outcome = match start {
            Some(rq) => self.start_with(rq).await,
            None => Ok(()),
        };
        let _ = reply.send(outcome);
        Next::Go
    }

    pub(super) async fn kill(&mut self, signal: Signal, reply: Reply<()>) -> Next {
        if !self.state.running {
            let text = format!("cannot kill container: {0}: container {0} is not running", self.spec.id);
            let _ = reply.send(Err(Error::conflict(text)));
            return Next::Go;
        }
        // A signal that is not the explicitly chosen stop signal leaves the restart policy in force (dockerd's rule).
        let chosen = &self.spec.config.stop_signal;
        let ends = signal == Signal::KILL || chosen.is_empty() || signal == stop_signal(&self.spec);
        self.state.manually_stopped |= ends;
        if self.running.is_none() {
            return self.cancel_restart(None, reply).await;
        }
        let sent = self.signal(signal).await;
        if ends {
            self.thaw_to_end().await;
        }
        self.commit().await;
        match sent {
            Ok(()) if signal == Signal::KILL => {
                self.killed.push(reply);
                self.give_up_at.get_or_insert(Instant::now() + KILL_GRACE);
            }
            outcome => drop(reply.send(outcome)),
        }
        Next::Go
    }

    /// Signals the first process and tells so.
    pub(super) async fn signal(&mut self, signal: Signal) -> Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        match running.task.kill(signal).await {
            // It ended just now; its exit is on the way.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e.context(format!("cannot kill container {}", self.spec.id))),
            Ok(()) => {
                self.event("kill", [("signal", signal.number().to_string())]);
                Ok(())
            }
        }
    }

    /// Tells those who asked that it is down, once it is up again when they asked for that.
    pub(super) async fn stopped(&mut self, stopping: Stopping) {
        self.event("stop", []);
        let mut outcome = Ok(());
        if let Some(rq) = stopping.restart {
            outcome = self.start_with(rq).await;
            if outcome.is_ok() {
                self.event("restart", []);
            }
        }
        for reply in stopping.replies {
            let _ = reply.send(match &outcome {
                Ok(()) => Ok(()),
                Err(e) => Err(Error::new(e.kind(), e.message())),
            });
        }
    }
}

/// The signal that asks this container to end; checked at create.
fn stop_signal(spec: &ContainerSpec) -> Signal {
    spec.config.stop_signal.parse().unwrap_or(Signal::TERM)
}
