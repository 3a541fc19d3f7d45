//! What the monitor tells: out of memory, and the end of the first process, after which a restart, a removal or rest follows.

use super::{Actor, Next};
use crate::containers::{launch, restart::Ended};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::Instant;
use wharf_shim_proto::ExitRecord;
use wharf_types::{Result, Timestamp};

impl Actor {
    pub(super) async fn out_of_memory(&mut self) -> Next {
        self.state.oom_killed = true;
        self.commit().await;
        self.event("oom", []);
        Next::Go
    }

    pub(super) async fn exited(&mut self, record: Result<ExitRecord>) -> Next {
        self.unwatch_health().await;
        let task = self.running.take().map(|r| r.task);
        let (record, task) = match record {
            Ok(record) => (record, task),
            // There is nobody to release; what it left behind is killed and cleaned up.
            Err(e) => {
                tracing::error!(container = ?self.spec.id, error = %e, "monitor lost");
                (lost(self.state.started_at), None)
            }
        };
        let endpoint = self.state.endpoint.take();
        launch::teardown(&self.shared, &self.spec, endpoint.clone(), task).await;
        self.give_up_at = None;
        self.exits += 1;
        let ran = record.exited_at.since(record.started_at);
        self.state.running = false;
        self.state.paused = false;
        self.state.pid = 0;
        self.state.exit_code = record.code;
        self.state.oom_killed |= record.oom_killed;
        self.state.finished_at = Some(record.exited_at);
        if let Some(error) = record.error {
            self.state.error = error;
        }
        let stopping = self.stopping.take();
        let pause = self.restart_pause(ran, stopping.is_some());
        if let Some(pause) = pause {
            self.state.running = true;
            self.state.restarting = true;
            self.state.restart_count += 1;
            self.restart_at = Some(Instant::now() + pause);
        }
        self.commit().await;
        self.shared.execs.container_ended(&self.spec.id);
        self.event("die", [("exitCode", record.code.to_string()), ("execDuration", ran.as_secs().to_string())]);
        if let Some(endpoint) = &endpoint {
            launch::network_event(&self.shared, &self.spec.id, endpoint, "disconnect");
        }
        for reply in self.killed.drain(..) {
            let _ = reply.send(Ok(()));
        }
        if let Some(stopping) = stopping {
            self.stopped(stopping).await;
        }
        if let Some(reply) = self.remove_on_exit.take() {
            return self.remove(Some(reply)).await;
        }
        if self.spec.host_config.auto_remove && !self.state.running {
            return self.remove(None).await;
        }
        Next::Go
    }

    fn restart_pause(&mut self, ran: Duration, stopping: bool) -> Option<Duration> {
        if stopping || self.removing || self.shared.stopping.load(Ordering::Relaxed) {
            return None;
        }
        let ended = Ended { code: self.state.exit_code, ran, manually: self.state.manually_stopped, restarts: self.state.restart_count };
        self.backoff.next(&self.spec.host_config.restart_policy, ended)
    }
}

/// The exit of a container whose monitor was killed.
pub fn lost(started_at: Option<Timestamp>) -> ExitRecord {
    let now = Timestamp::now();
    ExitRecord {
        code: 137,
        signal: None,
        oom_killed: false,
        started_at: started_at.unwrap_or(now),
        exited_at: now,
        error: Some("the container's monitor was lost".to_owned()),
    }
}
