//! Time.

use super::raw::clock as raw;
pub use raw::{monotonic, now};
use std::time::{Duration, SystemTime};

/// What is left of the time of the call that is being answered.
pub fn remaining() -> Duration {
    Duration::from_millis(raw::remaining())
}

/// The time of day. (`SystemTime::now` does not work in a component.)
pub fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(now())
}
