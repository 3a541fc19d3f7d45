//! What a plugin writes to its log: kept, limited, and passed on.

use crate::words;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use wharf_types::Timestamp;

/// Lines that are kept.
const LINES: usize = 1_000;
/// Lines in a second.
const RATE: u32 = 100;
/// Bytes of a line.
const LENGTH: usize = 8 << 10;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Default)]
pub(super) struct Journal(Mutex<State>);

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    second: Option<Instant>,
    in_second: u32,
    dropped: u64,
}

impl Journal {
    /// Adds a line that `plugin` writes, or counts it as dropped.
    pub fn write(&self, plugin: &str, level: Level, text: &str, now: Instant) {
        let mut state = self.lock();
        if state.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            state.second = Some(now);
            state.in_second = 0;
        }
        if state.in_second >= RATE {
            state.dropped += 1;
            return;
        }
        state.in_second += 1;
        state.add(plugin, level, text);
    }

    /// Adds a line about `plugin`, whatever it writes itself.
    pub fn tell(&self, plugin: &str, level: Level, text: &str) {
        self.lock().add(plugin, level, text);
    }

    /// The lines that are kept, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, plugin: &str, level: Level, text: &str) {
        let text = words::line(text, LENGTH);
        let dropped = std::mem::take(&mut self.dropped);
        let lost = if dropped > 0 { format!(" ({dropped} lines before this one were dropped)") } else { String::new() };
        match level {
            Level::Debug => tracing::debug!(plugin, dropped, "{text}"),
            Level::Info => tracing::info!(plugin, dropped, "{text}"),
            Level::Warn => tracing::warn!(plugin, dropped, "{text}"),
            Level::Error => tracing::error!(plugin, dropped, "{text}"),
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        let name = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.lines.push_back(format!("{} {name} {text}{lost}", Timestamp::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let journal = Journal::default();
        let start = Instant::now();
        for n in 0..250 {
            journal.write("p", Level::Info, &format!("line {n}"), start + Duration::from_millis(n));
        }
        assert_eq!(journal.lines().len(), 100);
        journal.write("p", Level::Warn, &"ä".repeat(LENGTH), start + Duration::from_secs(1));
        let lines = journal.lines();
        let last = lines.last().unwrap();
        assert!(last.ends_with("ä (150 lines before this one were dropped)") && last.contains(" warn "), "{}", &last[last.len() - 60..]);
        assert!(last.len() < LENGTH + 100);
        for n in 0..2_000u64 {
            journal.write("p", Level::Info, "x", start + Duration::from_secs(2 + n));
        }
        assert_eq!(journal.lines().len(), LINES);
    }

    #[test]
    fn a_flood_does_not_hide_what_the_engine_says() {
        let journal = Journal::default();
        let now = Instant::now();
        for _ in 0..250 {
            journal.write("p", Level::Info, "x", now);
        }
        journal.tell("p", Level::Error, "judge: it panicked");
        assert!(journal.lines().last().unwrap().ends_with("error judge: it panicked (150 lines before this one were dropped)"));
    }

    #[test]
    fn nobody_writes_lines_of_others() {
        let journal = Journal::default();
        journal.write("p", Level::Info, "x\n2026-01-01T00:00:00Z  INFO wharf::authz: allowed\r\u{1b}[2K", Instant::now());
        let lines = journal.lines();
        assert!(!lines[0].contains(char::is_control) && lines[0].ends_with("INFO wharf::authz: allowed\\r\\u{1b}[2K"), "{}", lines[0]);
        journal.write("p", Level::Info, &"\n".repeat(LENGTH), Instant::now());
        assert!(journal.lines()[1].len() < LENGTH + 100);
    }
}
