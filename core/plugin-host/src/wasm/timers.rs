//! Durable timers of one plugin: one document, replaced with every change.

use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use wharf_store::{Doc, Durability};
use wharf_types::{Result, Timestamp};

const TIMERS_MAX: usize = 1_000;
const NAME_MAX: usize = 512;
/// The shortest delay and period: each call is written down.
const SHORTEST: u64 = 100;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Body {
    timers: BTreeMap<String, Timer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Timer {
    /// Nanoseconds since 1970.
    due: i64,
    /// Milliseconds.
    period: Option<u64>,
}

pub(super) struct Timers {
    path: PathBuf,
    body: Mutex<Body>,
    /// The next timer may be another one.
    pub changed: Notify,
}

impl Timers {
    /// Opens `timers.json` in `dir`, which must exist.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("timers.json");
        let body = Doc::<Body>::read(&path)?.map(|doc| doc.body).unwrap_or_default();
        Ok(Self { path, body: Mutex::new(body), changed: Notify::new() })
    }

    /// Blocks until it is on disk.
    pub fn set(&self, name: &str, delay: u64, period: Option<u64>, now: Timestamp) -> Result<(), String> {
        if name.len() > NAME_MAX {
            return Err(format!("the name of a timer has {NAME_MAX} bytes at the most"));
        }
        if period.is_some_and(|period| period < SHORTEST) {
            return Err(format!("the period of a timer is at least {SHORTEST} milliseconds"));
        }
        let timer = Timer { due: after(now, delay.max(SHORTEST)), period };
        self.change(true, |timers| {
            if timers.len() >= TIMERS_MAX && !timers.contains_key(name) {
                return Err(format!("a plugin has {TIMERS_MAX} timers at the most"));
            }
            timers.insert(name.to_owned(), timer);
            Ok(())
        })
    }

    /// Blocks until it is on disk; when that fails it may come back after a restart.
    pub fn cancel(&self, name: &str) {
        let _ = self.change(false, |timers| {
            timers.remove(name);
            Ok(())
        });
    }

    /// How long until the next one is due.
    pub fn next(&self, now: Timestamp) -> Option<Duration> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.timers.values().map(|timer| timer.due).min().map(|due| Duration::from_nanos(u64::try_from(due - now.nanos()).unwrap_or(0)))
    }

    /// Those that are due, with what tells them from later settings of the same name.
    pub fn due(&self, now: Timestamp) -> Vec<(String, i64)> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.timers.iter().filter(|(_, timer)| timer.due <= now.nanos()).map(|(name, timer)| (name.clone(), timer.due)).collect()
    }

    /// One that was due was called: it goes, or gets its next time. Nothing when it was set anew since. Blocks.
    pub fn called(&self, name: &str, due: i64, now: Timestamp) {
        let _ = self.change(false, |timers| {
            match timers.get_mut(name) {
                Some(timer) if timer.due == due => match timer.period {
                    Some(period) => timer.due = after(now, period),
                    None => drop(timers.remove(name)),
                },
                _ => {}
            }
            Ok(())
        });
    }

    /// One that was due had no answer: it comes again. Blocks.
    pub fn postpone(&self, name: &str, due: i64, now: Timestamp, delay: Duration) {
        let _ = self.change(false, |timers| {
            if let Some(timer) = timers.get_mut(name).filter(|timer| timer.due == due) {
                timer.due = after(now, u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
            }
            Ok(())
        });
    }

    /// What must last is not done when it cannot be written; the rest waits for the next change to be written, and a timer is not
    /// called again and again meanwhile.
    fn change(&self, must_last: bool, change: impl FnOnce(&mut BTreeMap<String, Timer>) -> Result<(), String>) -> Result<(), String> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = body.clone();
        change(&mut new.timers)?;
        if new.timers == body.timers {
            return Ok(());
        }
        let written = Doc::new(new.clone()).write(&self.path, Durability::Synced).map_err(|error| {
            tracing::error!(%error, "timers of a plugin are not durable");
            error.to_string()
        });
        if written.is_ok() || !must_last {
            *body = new;
            // While a plugin is replaced, both versions wait.
            self.changed.notify_waiters();
            self.changed.notify_one();
        }
        written
    }
}

fn after(now: Timestamp, milliseconds: u64) -> i64 {
    now.nanos().saturating_add(i64::try_from(milliseconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn timers_last_repeat_and_end() {
        let tmp = tempfile::tempdir().unwrap();
        let timers = Timers::open(tmp.path()).unwrap();
        timers.set("once", 1_000, None, at(100)).unwrap();
        timers.set("again", 2_000, Some(5_000), at(100)).unwrap();
        timers.set("gone", 1_000, None, at(100)).unwrap();
        timers.cancel("gone");
        assert!(timers.set("x", 0, Some(1), at(100)).is_err());
        drop(timers);

        let timers = Timers::open(tmp.path()).unwrap();
        assert_eq!(timers.next(at(100)), Some(Duration::from_secs(1)));
        assert_eq!(timers.due(at(100)), []);
        let due = timers.due(at(110));
        assert_eq!(due.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["again", "once"]);
        timers.set("once", 60_000, None, at(110)).unwrap();
        for (name, due) in due {
            timers.called(&name, due, at(110));
        }
        assert_eq!(timers.next(at(110)), Some(Duration::from_secs(5)), "again");
        let (name, due) = timers.due(at(116)).remove(0);
        timers.postpone(&name, due, at(116), Duration::from_secs(90));
        assert_eq!(timers.next(at(116)), Some(Duration::from_secs(54)), "once, set anew");
    }

    #[test]
    fn there_are_not_too_many() {
        let tmp = tempfile::tempdir().unwrap();
        let timers = Timers::open(tmp.path()).unwrap();
        timers.body.lock().unwrap().timers = (0..TIMERS_MAX).map(|n| (n.to_string(), Timer { due: 0, period: None })).collect();
        assert!(timers.set("one more", 0, None, at(0)).is_err());
        timers.set("7", 0, None, at(0)).unwrap();
    }
}
