//! Waiting without fixed sleeps.

use std::time::{Duration, Instant};

/// How long anything may take before a test calls it stuck. Generous: the machine may be busy with builds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until `probe` answers; fails the test, naming `what`, when it never does.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, probe).unwrap_or_else(|| panic!("waited {PATIENCE:?} for: {what}"))
}

/// Asks until `probe` answers or `limit` is over.
pub fn within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// The query of `/events` for the last ten minutes: the daemon and this process have one clock.
pub fn until_now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("since={}&until={}.{:09}", now.as_secs().saturating_sub(600), now.as_secs(), now.subsec_nanos())
}
