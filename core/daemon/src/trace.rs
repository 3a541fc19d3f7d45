//! The daemon's own log on standard error, and what it tells its service manager.

use crate::config::Log;
use sd_notify::NotifyState;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// Sends the log of this process to standard error. A second call has no effect.
pub fn init(log: &Log) {
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let layer = if log.json { lines.json().flatten_event(true).boxed() } else { lines.boxed() };
    // An error means that a subscriber is there already, which is what is wanted.
    _ = registry().with(layer.with_filter(filter(log.level))).try_init();
}

/// Wharf's own targets at `level`; libraries never below info, where they describe every packet.
fn filter(level: Level) -> Targets {
    Targets::new().with_target("wharf", level).with_default(LevelFilter::from_level(level.min(Level::INFO)))
}

/// Tells the service manager that the API can be reached. Without a manager nothing happens.
pub fn notify_ready() {
    notify(NotifyState::Ready);
}

/// Tells the service manager that the daemon drains.
pub fn notify_stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    if let Err(e) = sd_notify::notify(&[state]) {
        tracing::warn!("can not reach the service manager: {e}");
    }
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
