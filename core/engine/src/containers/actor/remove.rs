//! Removing a container.

use super::{Actor, KILL_GRACE, Next, Reply};
use crate::{
    containers::{RemoveOptions, shared::blocking},
    metrics::Timer,
};
use tokio::time::Instant;
use wharf_types::{Error, Signal};

impl Actor {
    pub(super) async fn remove_command(&mut self, how: RemoveOptions, reply: Reply<()>) -> Next {
        if self.removing {
            let _ = reply.send(Err(Error::conflict(format!("removal of container {} is already in progress", self.spec.name))));
            return Next::Go;
        }
        if self.state.running && !how.force {
            let what = match (self.state.paused, self.state.restarting) {
                (true, _) => "container is paused and must be unpaused first",
                (_, true) => "container is restarting: stop the container before removing or force remove",
                _ => "container is running: stop the container before removing or force remove",
            };
            let _ = reply.send(Err(Error::conflict(format!("cannot remove container \"{}\": {what}", self.spec.name))));
            return Next::Go;
        }
        self.removing = true;
        self.restart_at = None;
        if self.running.is_none() {
            return self.remove(Some(reply)).await;
        }
        self.remove_on_exit = Some(reply);
        self.give_up_at = Some(Instant::now() + KILL_GRACE);
        if let Err(e) = self.signal(Signal::KILL).await {
            tracing::warn!(container = ?self.spec.id, error = %e, "SIGKILL not delivered");
        }
        self.thaw_to_end().await;
        self.publish();
        Next::Go
    }

    /// Removes the container. The rename of its directory is the commit point: after it the container is gone, and boot
    /// deletes what a crash leaves of its layer.
    pub(super) async fn remove(&mut self, reply: Option<Reply<()>>) -> Next {
        let began = std::time::Instant::now();
        self.removing = true;
        self.publish();
        let (shared, id) = (self.shared.clone(), self.spec.id.clone());
        let removed = blocking(move || {
            shared.specs.remove(id.as_str())?;
            shared.layers.remove_rw(&id)
        })
        .await;
        let still_there = self.shared.dir(&self.spec.id).exists();
        match removed {
            Err(e) if still_there => {
                self.removing = false;
                let e = e.context(format!("unable to remove container {}", self.spec.id));
                tracing::error!(error = %e, "removal failed");
                self.out.send_modify(|p| p.removal_failures = (p.removal_failures.0 + 1, Some(e.message().to_owned())));
                self.publish();
                if let Some(reply) = reply {
                    let _ = reply.send(Err(e));
                }
                return Next::Go;
            }
            Err(e) => tracing::warn!(container = ?self.spec.id, error = %e, "layer left for the next start to delete"),
            Ok(()) => {}
        }
        self.shared.index.remove(&self.spec.id, &self.spec.name);
        self.release_image().await;
        self.shared.execs.forget(&self.spec.id);
        self.event("destroy", []);
        self.shared.metrics.observe(Timer::ContainerDelete, began);
        self.out.send_modify(|p| {
            p.gone = true;
            p.task = None;
        });
        if let Some(reply) = reply {
            let _ = reply.send(Ok(()));
        }
        Next::Gone
    }

    /// The layers of an image that was removed by force go with its last container.
    async fn release_image(&mut self) {
        if self.shared.images.get(self.spec.image.as_str()).is_ok() {
            return;
        }
        let (images, layers) = (self.shared.images.clone(), self.spec.layers.clone());
        if let Err(e) = blocking(move || images.release(&layers)).await {
            tracing::warn!(container = ?self.spec.id, error = %e, "layers left for the next start to delete");
        }
    }
}
