//! A plugin that takes time only to fail is left alone for a while.
//!
//! Only failures that took long count. A refused connection costs some microseconds, so there is nothing to save, and a plugin that
//! comes back is used at once.

use crate::pulse::Pulse;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use wharf_spi::plugin::{Health, Status};
use wharf_types::Result;

/// A failure that took longer is a slow one. Far above what an answer takes, far below any deadline.
const SLOW: Duration = Duration::from_millis(250);
/// Slow failures in a row that are put up with; one may be bad luck.
const TOLERATED: u32 = 3;
/// The first pause; every slow failure after it doubles it.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The breaker of one plugin.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    slow_failures: u32,
    until: Option<Instant>,
    /// After a pause one call goes first; the others wait for what it brings by being refused.
    probing: bool,
}

/// The permission to make one call. Dropped without a result, it says nothing about the plugin.
pub struct Permit<'a> {
    breaker: &'a Breaker,
    since: Instant,
    probe: bool,
}

impl Breaker {
    /// Permission for a call; none while the plugin is left alone.
    pub fn permit(&self) -> Option<Permit<'_>> {
        let (mut state, since) = (self.state(), Instant::now());
        let probe = match state.until {
            None => false,
            Some(until) if since < until || state.probing => return None,
            Some(_) => true,
        };
        state.probing |= probe;
        Some(Permit { breaker: self, since, probe })
    }

    /// Whether it is left alone now.
    pub fn is_open(&self) -> bool {
        self.state().until.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The call has ended.
    pub fn ended(self, well: bool) {
        let (now, mut state) = (Instant::now(), self.breaker.state());
        if well || now - self.since < SLOW {
            (state.slow_failures, state.until) = (0, None);
            return;
        }
        state.slow_failures = state.slow_failures.saturating_add(1);
        if let Some(more) = state.slow_failures.checked_sub(TOLERATED) {
            state.until = Some(now + LONGEST.min(SHORTEST * 2_u32.pow(more.min(5))));
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.state().probing = false;
        }
    }
}

impl Pulse {
    /// What a call says about a plugin: good news are cheap, since they are the rule.
    pub(super) fn feel<T>(&self, outcome: &Result<T>, breaker: &Breaker) {
        let before = self.health();
        match outcome {
            Ok(_) if before.status == Status::Healthy => {}
            Ok(_) => self.beat(Health::default()),
            Err(e) => {
                let status = if breaker.is_open() { Status::Quarantined } else { Status::Degraded };
                self.beat(Health { status, reason: e.message().to_owned(), failures: before.failures + 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    async fn fails_slowly(breaker: &Breaker) {
        let permit = breaker.permit().unwrap();
        advance(SLOW).await;
        permit.ended(false);
    }

    #[tokio::test(start_paused = true)]
    async fn opens_probes_and_closes() {
        let breaker = Breaker::default();
        for _ in 0..TOLERATED {
            fails_slowly(&breaker).await;
        }
        assert!(breaker.permit().is_none());
        advance(SHORTEST).await;
        let probe = breaker.permit().unwrap();
        assert!(breaker.permit().is_none(), "one goes first");
        drop(probe);
        fails_slowly(&breaker).await;
        advance(SHORTEST).await;
        assert!(breaker.permit().is_none(), "the pause doubles");
        advance(SHORTEST).await;
        breaker.permit().unwrap().ended(true);
        assert!(breaker.permit().is_some());
        fails_slowly(&breaker).await;
        assert!(breaker.permit().is_some(), "old failures are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_pause() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            fails_slowly(&breaker).await;
            advance(LONGEST).await;
        }
        assert!(breaker.permit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn quick_failures_cost_nothing() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            breaker.permit().unwrap().ended(false);
        }
    }
}
