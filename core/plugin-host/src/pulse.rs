//! Who wants to know how a plugin is hears of every change, in order.

use std::sync::{Mutex, PoisonError};
use wharf_spi::plugin::{Health, HealthWatch};

/// The last known health of one plugin.
#[derive(Default)]
pub struct Pulse(Mutex<State>);

#[derive(Default)]
struct State {
    health: Health,
    told: Option<HealthWatch>,
}

impl Pulse {
    /// How it is now. Told while locked, so that two changes at once are heard in their order.
    pub fn beat(&self, health: Health) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = state.health.status != health.status;
        state.health = health;
        if let (true, Some(told)) = (changed, &state.told) {
            told(&state.health);
        }
    }

    /// How it was last.
    pub fn health(&self) -> Health {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).health.clone()
    }

    /// Whether somebody hears of changes.
    pub fn is_watched(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).told.is_some()
    }

    /// Has `told` hear of changes from now on.
    pub fn watch(&self, told: HealthWatch) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).told = Some(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wharf_spi::plugin::Status::{Degraded, Healthy, Quarantined};

    #[test]
    fn only_changes_are_told() {
        let (pulse, heard) = (Pulse::default(), Arc::new(Mutex::new(Vec::new())));
        let log = heard.clone();
        pulse.watch(Arc::new(move |health| log.lock().unwrap().push(format!("{} {}", health.status.word(), health.reason))));
        for (status, reason) in [(Healthy, ""), (Degraded, "a"), (Degraded, "b"), (Quarantined, "c"), (Healthy, "")] {
            pulse.beat(Health { status, reason: reason.to_owned(), failures: 0 });
        }
        assert_eq!(*heard.lock().unwrap(), ["degraded a", "quarantined c", "healthy "]);
        assert_eq!(pulse.health().status.word(), "healthy");
    }
}
