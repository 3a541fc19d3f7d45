//! Freezing a container and letting it go on.

use super::Actor;
use crate::containers::restarting;
use wharf_types::{Error, ErrorKind, Result};

impl Actor {
    pub(super) async fn pause(&mut self) -> Result<()> {
        let id = self.spec.id.clone();
        if !self.state.running {
            return Err(Error::conflict(format!("container {id} is not running")));
        }
        if self.state.paused {
            return Err(Error::conflict(format!("container {id} is already paused")));
        }
        let Some(task) = self.running.as_ref().map(|r| r.task.clone()) else { return Err(restarting(&id)) };
        // Before the freeze, so that no probe is caught in it.
        self.unwatch_health().await;
        if let Err(e) = task.pause().await {
            self.watch_health();
            return Err(e.context(format!("cannot pause container {id}")));
        }
        self.state.paused = true;
        self.commit().await;
        self.event("pause", []);
        Ok(())
    }

    pub(super) async fn unpause(&mut self) -> Result<()> {
        if !self.state.paused {
            return Err(Error::system(format!("Container {} is not paused", self.spec.id)));
        }
        self.thaw().await
    }

    /// Lets a paused container go on after a signal that is to end it: the signal arrives only then.
    pub(super) async fn thaw_to_end(&mut self) {
        if let Err(e) = self.thaw().await {
            tracing::debug!(container = ?self.spec.id, error = %e, "not thawed");
        }
    }

    /// Nothing to do for one that is not paused.
    async fn thaw(&mut self) -> Result<()> {
        let Some(running) = self.running.as_ref().filter(|_| self.state.paused) else { return Ok(()) };
        match running.task.resume().await {
            // It ended just now; its exit is on the way.
            Err(e) if e.kind() == ErrorKind::Unavailable => return Ok(()),
            done => done.map_err(|e| e.context(format!("Cannot unpause container {}", self.spec.id)))?,
        }
        self.state.paused = false;
        self.watch_health();
        self.commit().await;
        self.event("unpause", []);
        Ok(())
    }
}
