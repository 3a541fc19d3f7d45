//! The container's health: when it is watched, and what a result changes.

use super::Actor;
use crate::containers::health::{Check, Health, HealthStatus, Monitor, ProbeResult};
use wharf_types::{Error, Result, Timestamp};

impl Actor {
    /// The health with which a run begins, or is taken over; none without a check.
    pub(super) fn initial_health(&self) -> Option<Health> {
        Check::of(&self.spec.config).map(|_| self.state.health.clone().unwrap_or_default().begin())
    }

    /// Watches the health of what runs now, if there is a check and nothing is frozen.
    pub(super) fn watch_health(&mut self) {
        let wanted = self.running.is_some() && !self.state.paused;
        let Some(check) = Check::of(&self.spec.config).filter(|_| wanted) else { return };
        let (id, health) = (self.spec.id.clone(), self.state.health.get_or_insert_default());
        let started_at = self.state.started_at.unwrap_or(Timestamp::ZERO);
        self.health = Some(Monitor::spawn(&self.shared, id, check, started_at, health.status, self.myself.clone()));
    }

    /// Ends the probes; what does not run is unhealthy (dockerd's rule).
    pub(super) async fn unwatch_health(&mut self) {
        let Some(monitor) = self.health.take() else { return };
        monitor.end().await;
        if let Some(health) = &mut self.state.health {
            health.status = HealthStatus::Unhealthy;
        }
    }

    /// Takes a result in and answers what it means; an error ends the asking monitor.
    pub(super) async fn probed(&mut self, result: ProbeResult) -> Result<HealthStatus> {
        let started_at = self.state.started_at.unwrap_or(Timestamp::ZERO);
        let check = Check::of(&self.spec.config).filter(|_| self.health.is_some() && result.start >= started_at);
        let (Some(check), Some(health)) = (check, &mut self.state.health) else {
            return Err(Error::conflict("a result of an earlier run"));
        };
        let changed = health.record(result, &check, started_at);
        let status = health.status;
        // Single results are not worth a write: after a restart of the daemon health begins anew.
        if changed {
            self.commit().await;
            self.event(&format!("health_status: {}", status.as_str()), []);
        } else {
            self.publish();
        }
        Ok(status)
    }
}
