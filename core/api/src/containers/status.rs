//! The sentence of `docker ps`: `Up 3 minutes`, `Exited (0) 2 hours ago`.

use std::time::Duration;
use wharf_engine::containers::{
    ContainerState, Status,
    health::{Health, HealthStatus},
};
use wharf_types::Timestamp;

/// The state in words.
pub fn text(state: &ContainerState, now: Timestamp) -> String {
    let since = |t: Option<Timestamp>| human(now.since(t.unwrap_or(now)));
    match state.status() {
        Status::Paused => format!("Up {} (Paused)", since(state.started_at)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished_at)),
        Status::Running => format!("Up {}{}", since(state.started_at), state.health.as_ref().map_or("", health)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Created => "Created".to_owned(),
        Status::Exited if state.finished_at.is_none() => String::new(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished_at)),
    }
}

fn health(health: &Health) -> &'static str {
    match health.status {
        HealthStatus::Starting => " (health: starting)",
        HealthStatus::Healthy => " (healthy)",
        HealthStatus::Unhealthy => " (unhealthy)",
    }
}

/// A span of time to about one significant digit, with Docker's words and thresholds.
pub fn human(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn spans() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (HOUR - 1, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 1799, "About an hour"),
            (HOUR + 1800, "2 hours"),
            (2 * DAY - 1801, "47 hours"),
            (2 * DAY, "2 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), words, "{seconds}");
        }
        assert_eq!(human(Duration::from_millis(999)), "Less than a second");
    }

    #[test]
    fn sentences() {
        let now = Timestamp::from_nanos(10_000_000_000_000);
        let ago = |s: i64| Some(Timestamp::from_nanos(now.nanos() - s * 1_000_000_000));
        let base = ContainerState { started_at: ago(200), ..ContainerState::default() };
        let up = ContainerState { running: true, ..base.clone() };
        assert_eq!(text(&ContainerState::default(), now), "Created");
        assert_eq!(text(&up, now), "Up 3 minutes");
        assert_eq!(text(&ContainerState { paused: true, ..up.clone() }, now), "Up 3 minutes (Paused)");
        let with = |status| ContainerState { health: Some(Health { status, ..Health::default() }), ..up.clone() };
        assert_eq!(text(&with(HealthStatus::Starting), now), "Up 3 minutes (health: starting)");
        assert_eq!(text(&with(HealthStatus::Healthy), now), "Up 3 minutes (healthy)");
        assert_eq!(text(&ContainerState { paused: true, ..with(HealthStatus::Unhealthy) }, now), "Up 3 minutes (Paused)");
        let waiting = ContainerState { restarting: true, exit_code: 1, finished_at: ago(5), ..up };
        assert_eq!(text(&waiting, now), "Restarting (1) 5 seconds ago");
        assert_eq!(text(&ContainerState { exit_code: 137, finished_at: ago(3600), ..base.clone() }, now), "Exited (137) About an hour ago");
        assert_eq!(text(&ContainerState { removing: true, ..base.clone() }, now), "Removal In Progress");
        assert_eq!(text(&base, now), "");
    }
}
