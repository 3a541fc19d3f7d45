//! Back-off: a plugin that fails again and again is left alone for a while.
//!
//! [`FAILURES`] in [`WINDOW`] put it into quarantine; calls are refused with the reason. After a time it gets one chance: the first
//! answer ends the quarantine, another failure doubles the time.

use crate::pulse::Pulse;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use wharf_spi::plugin::{Health, HealthWatch, Status};

const FAILURES: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);
const BACK_OFF: Duration = Duration::from_secs(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Supervisor {
    state: Mutex<State>,
    pulse: Pulse,
}

#[derive(Default)]
struct State {
    recent: VecDeque<Instant>,
    in_a_row: u64,
    reason: String,
    quarantine: Option<Quarantine>,
}

struct Quarantine {
    until: Instant,
    time: Duration,
    /// Somebody is trying; others are refused until it is known how that went.
    trial: bool,
}

impl Supervisor {
    /// Whether a call may be made now.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, now: Instant) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { quarantine: Some(quarantine), reason, .. } = &mut *state else { return Ok(()) };
        if now < quarantine.until {
            return Err(format!("it is quarantined after {FAILURES} failures; the last: {reason}"));
        }
        // A trial that never ends (its caller went away) must not be the last.
        quarantine.until = now + quarantine.time;
        quarantine.trial = true;
        Ok(())
    }

    /// A call was answered. Returns whether that ended a quarantine.
    pub fn success(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.in_a_row == 0 {
            return false;
        }
        state.in_a_row = 0;
        // Calls that began before the quarantine do not end it.
        let ended = state.quarantine.take_if(|quarantine| quarantine.trial).is_some();
        if ended {
            state.recent.clear();
        }
        self.pulse.beat(state.health());
        ended
    }

    /// A call had no answer. Returns whether that began a quarantine.
    pub fn failure(&self, now: Instant, reason: String) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_a_row += 1;
        state.reason = reason;
        state.recent.push_back(now);
        while state.recent.len() > FAILURES || state.recent.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            state.recent.pop_front();
        }
        let time = match &state.quarantine {
            Some(quarantine) if quarantine.trial => Some((quarantine.time * 2).min(BACK_OFF_MAX)),
            None if state.recent.len() == FAILURES => Some(BACK_OFF),
            _ => None,
        };
        if let Some(time) = time {
            state.quarantine = Some(Quarantine { until: now + time, time, trial: false });
        }
        self.pulse.beat(state.health());
        time.is_some()
    }

    /// The operator has given it new settings: everything is forgiven.
    pub fn forgive(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State::default();
        self.pulse.beat(state.health());
    }

    /// Has `told` hear of changes.
    pub fn watch(&self, told: HealthWatch) {
        self.pulse.watch(told);
    }

    pub fn health(&self) -> Health {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).health()
    }
}

impl State {
    fn health(&self) -> Health {
        let status = match (&self.quarantine, self.in_a_row) {
            (Some(_), _) => Status::Quarantined,
            (None, 0) => Status::Healthy,
            (None, _) => Status::Degraded,
        };
        let reason = if status == Status::Healthy { String::new() } else { self.reason.clone() };
        Health { status, reason, failures: self.in_a_row }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_is_quarantined_and_gets_chances() {
        let supervisor = Supervisor::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for n in 0..4 {
            assert!(!supervisor.failure(at(n), format!("failure {n}")));
        }
        assert_eq!((supervisor.health().status.word(), supervisor.admit(at(4))), ("degraded", Ok(())));
        assert!(supervisor.failure(at(4), "the fifth".to_owned()));
        assert!(supervisor.admit(at(5)).unwrap_err().contains("the fifth"));
        assert!(!supervisor.success(), "a call from before");

        assert!(!supervisor.failure(at(5), "late".to_owned()));
        assert_eq!(supervisor.admit(at(14)), Ok(()));
        assert!(supervisor.admit(at(15)).is_err(), "one chance at a time");
        assert!(supervisor.failure(at(16), "again".to_owned()));
        assert!(supervisor.admit(at(35)).is_err(), "twice the time");
        assert_eq!(supervisor.admit(at(36)), Ok(()));
        assert!(supervisor.success());
        assert_eq!(supervisor.health().status.word(), "healthy");
        assert_eq!(supervisor.admit(at(37)), Ok(()));
    }

    #[test]
    fn failures_far_apart_do_not_add_up() {
        let supervisor = Supervisor::default();
        let start = Instant::now();
        for n in 0..20 {
            assert!(!supervisor.failure(start + Duration::from_secs(20 * n), "x".to_owned()));
        }
        supervisor.forgive();
        assert_eq!(supervisor.health(), Health { status: Status::Healthy, reason: String::new(), failures: 0 });
    }
}
