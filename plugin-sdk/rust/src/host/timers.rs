//! Calls of the future: [`Plugin::wake`](crate::Plugin::wake) gets the name of the timer, once at least, even when the engine was down
//! at its time.

pub use super::raw::timers::cancel;
use super::raw::timers::set;
use std::time::Duration;

/// Sets or moves a timer that goes off once.
///
/// # Errors
/// There are too many, or it cannot be written down.
pub fn after(name: &str, delay: Duration) -> Result<(), String> {
    set(name, milliseconds(delay), None)
}

/// Sets or moves a timer that goes off again and again; the first time after one period.
///
/// # Errors
/// There are too many, the period is too short, or it cannot be written down.
pub fn every(name: &str, period: Duration) -> Result<(), String> {
    set(name, milliseconds(period), Some(milliseconds(period)))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
