//! Health checks: what is tried how often, and what the results mean. Pure rules, Docker's numbers.
//!
//! `monitor.rs` keeps the time of one run of a container, `probe.rs` runs the command once; the actor takes the results in
//! (`actor/health.rs`).

mod monitor;
mod probe;

pub use monitor::Monitor;

use serde::{Deserialize, Serialize};
use std::time::Duration;
use wharf_api_types::container::{Config, HealthConfig};
use wharf_types::{Error, GoDuration, Result, Timestamp};

const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;
/// Results that are kept.
const KEPT: usize = 5;
/// The shortest time that can be asked for, in nanoseconds.
const SHORTEST: i64 = 1_000_000;
/// What runs a `CMD-SHELL` unless the image names another shell.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Docker's words for health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Not known yet.
    #[default]
    Starting,
    /// The last result was good.
    Healthy,
    /// Too many in a row were bad, or the container does not run.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What is known of a container's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// In a word.
    pub status: HealthStatus,
    /// Bad results since the last good one.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<ProbeResult>,
}

/// How one probe went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// The command's exit code; 0 is good, -1 stands for a command that did not run or did not end in time.
    pub exit_code: i32,
    /// The beginning of what it printed, or why it did not run.
    pub output: String,
}

/// A health check with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Check {
    /// The check of a container, if it has one.
    pub fn of(config: &Config) -> Option<Self> {
        let health = config.healthcheck.as_ref()?;
        let (kind, args) = health.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => args.to_vec(),
            "CMD-SHELL" => {
                let shell = config.shell.as_ref().map(|s| s.0.clone()).filter(|s| !s.is_empty());
                shell.unwrap_or_else(|| SHELL.map(str::to_owned).to_vec()).into_iter().chain(args.iter().cloned()).collect()
            }
            _ => return None,
        };
        let time = |nanos: i64, default| u64::try_from(nanos).ok().filter(|n| *n > 0).map_or(default, Duration::from_nanos);
        Some(Self {
            command,
            interval: time(health.interval, INTERVAL),
            timeout: time(health.timeout, TIMEOUT),
            start_period: time(health.start_period, Duration::ZERO),
            start_interval: time(health.start_interval, START_INTERVAL),
            retries: u32::try_from(health.retries).ok().filter(|n| *n > 0).unwrap_or(RETRIES),
        })
    }

    /// The pause before the next probe of a container that has run for so long.
    fn pause(&self, ran: Duration, status: HealthStatus) -> Duration {
        let may_still_start = ran < self.start_period && status == HealthStatus::Starting;
        if may_still_start { self.start_interval } else { self.interval }
    }
}

impl Health {
    /// At a start, and when the daemon takes a running container over: nothing is known any more, but the results stay.
    pub fn begin(self) -> Self {
        Self { status: HealthStatus::Starting, failing_streak: 0, ..self }
    }

    /// Takes a result in; true when the status changed.
    pub fn record(&mut self, result: ProbeResult, check: &Check, started_at: Timestamp) -> bool {
        let before = self.status;
        if result.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || result.start.since(started_at) >= check.start_period {
            self.failing_streak += 1;
            if self.failing_streak >= check.retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(result);
        self.log.drain(..self.log.len().saturating_sub(KEPT));
        self.status != before
    }
}

/// Checks what was asked for.
///
/// # Errors
/// 400 in Docker's words, and for a kind of test that does not exist.
pub fn validate(health: &HealthConfig) -> Result<()> {
    if let Some(kind) = health.test.first().filter(|kind| !matches!(kind.as_str(), "NONE" | "CMD" | "CMD-SHELL")) {
        return Err(Error::invalid(format!("Unknown healthcheck type '{kind}' (expected 'CMD', 'CMD-SHELL' or 'NONE')")));
    }
    let times = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    if let Some((name, _)) = times.into_iter().find(|(_, nanos)| *nanos != 0 && *nanos < SHORTEST) {
        return Err(Error::invalid(format!("{name} in Healthcheck cannot be less than {}", GoDuration::from_nanos(SHORTEST))));
    }
    if health.retries < 0 {
        return Err(Error::invalid("Retries in Healthcheck cannot be negative"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wharf_api_types::container::StrSlice;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }
    fn check(test: &[&str]) -> Option<Check> {
        Check::of(&Config { healthcheck: Some(HealthConfig { test: words(test), ..Default::default() }), ..Config::default() })
    }
    fn result(second: i64, exit_code: i32) -> ProbeResult {
        let at = Timestamp::from_nanos(second * 1_000_000_000);
        ProbeResult { start: at, end: at, exit_code, output: String::new() }
    }

    #[test]
    fn kinds_of_tests() {
        assert_eq!(check(&["CMD", "a", "b"]).unwrap().command, ["a", "b"]);
        assert_eq!(check(&["CMD-SHELL", "a b"]).unwrap().command, ["/bin/sh", "-c", "a b"]);
        assert!(check(&["NONE"]).is_none() && check(&[]).is_none() && Check::of(&Config::default()).is_none());
        let config = Config {
            healthcheck: Some(HealthConfig { test: words(&["CMD-SHELL", "x"]), ..Default::default() }),
            shell: Some(StrSlice(words(&["/bin/ash", "-ec"]))),
            ..Config::default()
        };
        assert_eq!(Check::of(&config).unwrap().command, ["/bin/ash", "-ec", "x"]);
    }

    #[test]
    fn bad_settings_are_named() {
        let message = |h: HealthConfig| validate(&h).unwrap_err().message().to_owned();
        assert_eq!(message(HealthConfig { interval: 999_999, ..Default::default() }), "Interval in Healthcheck cannot be less than 1ms");
        assert_eq!(
            message(HealthConfig { start_interval: -1, ..Default::default() }),
            "StartInterval in Healthcheck cannot be less than 1ms"
        );
        assert_eq!(message(HealthConfig { retries: -1, ..Default::default() }), "Retries in Healthcheck cannot be negative");
        assert!(message(HealthConfig { test: words(&["RUN", "x"]), ..Default::default() }).contains("'RUN'"));
        assert!(validate(&HealthConfig { test: words(&["NONE"]), interval: SHORTEST, ..Default::default() }).is_ok());
    }

    #[test]
    fn it_takes_retries_to_be_unhealthy_and_one_to_be_healthy() {
        let check = check(&["CMD", "x"]).unwrap();
        let mut health = Health::default();
        let mut take = |second, code| (health.record(result(second, code), &check, Timestamp::ZERO), health.status, health.failing_streak);
        assert_eq!(take(1, 1), (false, HealthStatus::Starting, 1));
        assert_eq!(take(2, 1), (false, HealthStatus::Starting, 2));
        assert_eq!(take(3, -1), (true, HealthStatus::Unhealthy, 3));
        assert_eq!(take(4, 0), (true, HealthStatus::Healthy, 0));
        assert_eq!(take(5, 1), (false, HealthStatus::Healthy, 1));
    }

    #[test]
    fn failures_do_not_count_while_it_may_still_start() {
        let check = Check { start_period: Duration::from_secs(10), retries: 1, ..check(&["CMD", "x"]).unwrap() };
        let started = Timestamp::from_nanos(0);
        let mut health = Health::default();
        assert!(!health.record(result(9, 1), &check, started) && health.failing_streak == 0);
        assert!(health.clone().record(result(10, 1), &check, started));
        health.record(result(5, 0), &check, started);
        assert!(health.record(result(6, 1), &check, started), "once it was healthy, failures count");
    }

    #[test]
    fn it_is_asked_more_often_while_it_may_still_start() {
        let check = Check { start_period: Duration::from_secs(10), ..check(&["CMD", "x"]).unwrap() };
        let pause = |ran, status| check.pause(Duration::from_secs(ran), status).as_secs();
        assert_eq!(pause(0, HealthStatus::Starting), 5);
        assert_eq!((pause(0, HealthStatus::Healthy), pause(10, HealthStatus::Starting)), (30, 30));
    }

    proptest! {
        #[test]
        fn the_log_holds_the_last_results(codes in proptest::collection::vec(0..2i32, 0..20)) {
            let check = check(&["CMD", "x"]).unwrap();
            let mut health = Health::default();
            for (at, code) in codes.iter().enumerate() {
                health.record(result(at as i64, *code), &check, Timestamp::ZERO);
            }
            let kept: Vec<i32> = health.log.iter().map(|r| r.exit_code).collect();
            prop_assert_eq!(&kept[..], &codes[codes.len().saturating_sub(KEPT)..]);
            let streak = codes.iter().rev().take_while(|c| **c != 0).count() as u32;
            prop_assert_eq!(health.failing_streak, streak);
        }
    }
}
