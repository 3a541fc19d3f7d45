//! The clock of one run of a container: a task that probes, and tells the actor.

use super::{Check, HealthStatus, probe::Prober};
use crate::containers::{Shared, actor::Command};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use wharf_types::{ContainerId, Timestamp};

/// How long the end of a probe that is no longer wanted is waited for.
const END: Duration = Duration::from_secs(5);

/// Probes while it exists.
pub struct Monitor {
    cancel: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Monitor {
    /// Begins. Results go to the actor, which answers with what they mean.
    pub fn spawn(
        shared: &Arc<Shared>,
        id: ContainerId,
        check: Check,
        started_at: Timestamp,
        mut status: HealthStatus,
        actor: mpsc::WeakSender<Command>,
    ) -> Self {
        let cancel = CancellationToken::new();
        let (cancelled, prober) = (cancel.clone(), Prober::new(shared, id, check.clone()));
        let task = tokio::spawn(async move {
            loop {
                let pause = check.pause(Timestamp::now().since(started_at), status);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = cancelled.cancelled() => return,
                }
                let Some(result) = prober.probe(&cancelled).await else { return };
                let Some(actor) = actor.upgrade() else { return };
                let (reply, meaning) = oneshot::channel();
                let told = async {
                    actor.send(Command::Probed(result, reply)).await.ok()?;
                    meaning.await.ok()?.ok()
                };
                tokio::select! {
                    answer = told => match answer {
                        Some(now) => status = now,
                        None => return,
                    },
                    () = cancelled.cancelled() => return,
                }
            }
        });
        Self { cancel, task: Some(task) }
    }

    /// Ends it and waits until no probe runs any more.
    pub async fn end(mut self) {
        self.cancel.cancel();
        if let Some(task) = self.task.take() {
            let _ = tokio::time::timeout(END, task).await;
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
