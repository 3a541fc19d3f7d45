//! The daemon's own log on standard error.

use crate::config::Log;
use std::{
    io::{self, Write},
    sync::OnceLock,
};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, registry, reload, util::SubscriberInitExt};

/// What the log lets through; set once, changed by a reload.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sends the log of this process to standard error. A second call has no effect.
pub fn init(log: &Log) {
    let lines = fmt::layer().with_writer(|| Lines(io::stderr())).with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    let layer = if log.json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    let (filter, handle) = reload::Layer::new(filter(log.level));
    // An error means that a subscriber is there already, which is what is wanted.
    if registry().with(layer.with_filter(filter)).try_init().is_ok() {
        _ = FILTER.set(handle);
    }
}

/// Writes each event as one line. Words of clients, plugins and servers are in many, and must not look like events of their own.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    /// `event` is a whole one.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = String::from_utf8_lossy(text).replace('\n', "\\n").replace('\r', "\\r");
            writeln!(self.0, "{line}")?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Changes the lowest level that is logged.
pub fn set_level(level: Level) {
    // It fails only when the subscriber is gone, and the log with it.
    _ = FILTER.get().map(|handle| handle.reload(filter(level)));
}

/// Wharf's own targets at `level`; libraries never below info, where they describe every packet.
fn filter(level: Level) -> Targets {
    Targets::new().with_target("wharf", level).with_default(LevelFilter::from_level(level.min(Level::INFO)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let mut written = Vec::new();
        let forged = "denied: no\r\n2026-01-01T00:00:00Z  INFO wharf::authz: allowed";
        for event in [forged, "plain"] {
            Lines(&mut written).write_all(format!("{event}\n").as_bytes()).unwrap();
        }
        assert_eq!(String::from_utf8(written).unwrap(), "denied: no\\r\\n2026-01-01T00:00:00Z  INFO wharf::authz: allowed\nplain\n");
    }

    #[test]
    fn libraries_stay_quiet_in_debug() {
        let debug = filter(Level::DEBUG);
        assert!(debug.would_enable("wharf_engine::events", &Level::DEBUG) && debug.would_enable("wharfd", &Level::DEBUG));
        assert!(!debug.would_enable("hyper::proto", &Level::DEBUG) && debug.would_enable("hyper::proto", &Level::INFO));
        assert!(!filter(Level::ERROR).would_enable("hyper", &Level::WARN));
    }
}
