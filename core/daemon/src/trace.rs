//! The daemon's own log on standard error.

use crate::config::Log;
use std::sync::OnceLock;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, registry, reload, util::SubscriberInitExt};

/// What the log lets through; set once, changed by a reload.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Sends the log of this process to standard error. A second call has no effect.
pub fn init(log: &Log) {
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let layer = if log.json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    let (filter, handle) = reload::Layer::new(filter(log.level));
    // An error means that a subscriber is there already, which is what is wanted.
    if registry().with(layer.with_filter(filter)).try_init().is_ok() {
        _ = FILTER.set(handle);
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
    fn libraries_stay_quiet_in_debug() {
        let debug = filter(Level::DEBUG);
        assert!(debug.would_enable("wharf_engine::events", &Level::DEBUG) && debug.would_enable("wharfd", &Level::DEBUG));
        assert!(!debug.would_enable("hyper::proto", &Level::DEBUG) && debug.would_enable("hyper::proto", &Level::INFO));
        assert!(!filter(Level::ERROR).would_enable("hyper", &Level::WARN));
    }
}
