//! What time it is for plugins. Deadlines are no business of it: they hold in the machine's time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use wharf_types::Timestamp;

/// Whose time plugins see, and by which their timers go off.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// One for tests. Timers go off in [`crate::wasm::Plugin::pass`] only.
    Manual(ManualClock),
}

impl Clock {
    pub(super) fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Manual(clock) => clock.now(),
        }
    }

    /// What never goes back, for a plugin that was loaded at this moment.
    pub(super) fn monotonic(&self, loaded: Instant) -> Duration {
        match self {
            Self::System => loaded.elapsed(),
            Self::Manual(clock) => clock.passed(),
        }
    }
}

/// Stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Moment>>);

#[derive(Debug)]
struct Moment {
    now: Timestamp,
    passed: Duration,
}

impl ManualClock {
    /// One that stands at this moment.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Moment { now, passed: Duration::ZERO })))
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.with(|moment| moment.now)
    }

    /// Sets the time of day, as an operator does; what has passed stays as it is.
    pub fn set(&self, now: Timestamp) {
        self.with(|moment| moment.now = now);
    }

    pub(super) fn passed(&self) -> Duration {
        self.with(|moment| moment.passed)
    }

    pub(super) fn advance(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        self.with(|moment| {
            moment.now = Timestamp::from_nanos(moment.now.nanos().saturating_add(nanos));
            moment.passed = moment.passed.saturating_add(time);
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut Moment) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
