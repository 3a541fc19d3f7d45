//! Restart policies and their back-off: pure rules, Docker's numbers.

use std::time::Duration;
use wharf_api_types::container::RestartPolicy;
use wharf_types::{Error, Result};

/// First pause before a restart; each further one doubles it.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// A run at least this long starts the back-off anew.
const STEADY: Duration = Duration::from_secs(10);

/// Checks a policy and gives the empty name its meaning.
///
/// # Errors
/// 400 in Docker's words for an unknown policy or a count that does not belong.
pub fn validate(policy: &mut RestartPolicy) -> Result<()> {
    match policy.name.as_str() {
        "" => "no".clone_into(&mut policy.name),
        "no" | "always" | "unless-stopped" | "on-failure" => {}
        other => {
            return Err(Error::invalid(format!(
                "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )));
        }
    }
    match policy.maximum_retry_count {
        0 => Ok(()),
        n if n < 0 => Err(Error::invalid("invalid restart policy: maximum retry count cannot be negative")),
        _ if policy.name == "on-failure" => Ok(()),
        _ => Err(Error::invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'")),
    }
}

/// How one run ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// How long it ran.
    pub ran: Duration,
    /// Stopped by hand.
    pub manually: bool,
    /// Restarts by policy so far.
    pub restarts: u32,
}

/// The growing pause between restarts of one container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff(Duration);

impl Backoff {
    /// The pause before the restart that `policy` asks for, or none when the container stays down.
    pub fn next(&mut self, policy: &RestartPolicy, ended: Ended) -> Option<Duration> {
        if ended.manually || !wants_restart(policy, ended) {
            return None;
        }
        self.0 = if ended.ran >= STEADY || self.0.is_zero() { FIRST } else { (self.0 * 2).min(LONGEST) };
        Some(self.0)
    }
}

fn wants_restart(policy: &RestartPolicy, ended: Ended) -> bool {
    match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            let tries_left = policy.maximum_retry_count == 0 || i64::from(ended.restarts) < policy.maximum_retry_count;
            ended.code != 0 && tries_left
        }
        _ => false,
    }
}

/// Whether a container that is down when the daemon starts is brought up: only one that ran before, and `always` even when
/// it was stopped by hand.
pub fn at_boot(policy: &RestartPolicy, started_before: bool, ended: Ended) -> bool {
    started_before && wants_restart(policy, ended) && (policy.name == "always" || !ended.manually)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(name: &str, max: i64) -> RestartPolicy {
        RestartPolicy { name: name.into(), maximum_retry_count: max }
    }
    fn ended(code: i32, restarts: u32) -> Ended {
        Ended { code, ran: Duration::from_secs(1), manually: false, restarts }
    }

    #[test]
    fn doubles_to_a_minute_and_resets_after_a_steady_run() {
        let mut b = Backoff::default();
        let pauses: Vec<_> = (0..12).map(|_| b.next(&policy("always", 0), ended(1, 0)).unwrap().as_millis()).collect();
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[11], 60_000);
        let steady = Ended { ran: STEADY, ..ended(1, 0) };
        assert_eq!(b.next(&policy("always", 0), steady).unwrap(), FIRST);
    }

    #[test]
    fn policies() {
        let restarts = |p: &RestartPolicy, e| Backoff::default().next(p, e).is_some();
        assert!(!restarts(&policy("no", 0), ended(1, 0)));
        assert!(!restarts(&policy("on-failure", 2), ended(0, 0)));
        assert!(restarts(&policy("on-failure", 2), ended(1, 1)));
        assert!(!restarts(&policy("on-failure", 2), ended(1, 2)));
        assert!(!restarts(&policy("always", 0), Ended { manually: true, ..ended(0, 0) }));
    }

    #[test]
    fn boot_rules() {
        let by_hand = Ended { manually: true, ..ended(0, 0) };
        assert!(at_boot(&policy("always", 0), true, by_hand));
        assert!(!at_boot(&policy("unless-stopped", 0), true, by_hand));
        assert!(at_boot(&policy("unless-stopped", 0), true, ended(0, 0)));
        assert!(!at_boot(&policy("always", 0), false, ended(0, 0)));
    }

    #[test]
    fn validation() {
        let mut p = policy("", 0);
        validate(&mut p).unwrap();
        assert_eq!(p.name, "no");
        assert!(validate(&mut policy("always", 1)).unwrap_err().message().contains("can only be used with 'on-failure'"));
        assert!(validate(&mut policy("sometimes", 0)).unwrap_err().message().contains("unknown policy 'sometimes'"));
    }

    proptest! {
        #[test]
        fn pauses_stay_in_bounds(runs in proptest::collection::vec(0u64..30, 1..50)) {
            let mut b = Backoff::default();
            for secs in runs {
                let pause = b.next(&policy("always", 0), Ended { ran: Duration::from_secs(secs), ..ended(1, 0) }).unwrap();
                prop_assert!((FIRST..=LONGEST).contains(&pause));
            }
        }
    }
}
