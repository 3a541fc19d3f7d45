//! Every call is counted and timed.

use super::failure::Failure;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use wharf_metrics::Histogram;
use wharf_spi::plugin::{Calls, LATENCY};

/// The functions that the host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Start,
    Reload,
    Wake,
    Interests,
    Judge,
    Filter,
    LogValidate,
    LogOpen,
    LogPush,
    LogClose,
    LogApply,
    VolumeCapabilities,
    VolumeValidate,
    VolumeCreate,
    VolumeRemove,
    VolumePublish,
    VolumeUnpublish,
    VolumeStatus,
    VolumeReconcile,
    MetricsPush,
    IpamOpenPool,
    IpamClosePool,
    IpamAllocate,
    IpamRelease,
    IpamRenew,
    IpamUsage,
    IpamReconcile,
}

/// Their names, in the order of [`Function`].
#[rustfmt::skip]
const NAMES: [&str; 27] = [
    "start", "reload", "wake", "interests", "judge", "filter",
    "logging.validate", "logging.open", "logging.push", "logging.close", "logging.apply",
    "volume.capabilities", "volume.validate", "volume.create", "volume.remove", "volume.publish", "volume.unpublish",
    "volume.status", "volume.reconcile",
    "metrics.push",
    "ipam.open-pool", "ipam.close-pool", "ipam.allocate", "ipam.release", "ipam.renew", "ipam.usage", "ipam.reconcile",
];

impl Function {
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

struct Counters {
    took: Histogram,
    errors: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
}

/// Counters of one plugin; they begin anew when it is loaded.
pub(super) struct Statistics([Counters; NAMES.len()]);

impl Default for Statistics {
    fn default() -> Self {
        Self(NAMES.map(|_| Counters {
            took: Histogram::new(&LATENCY),
            errors: AtomicU64::default(),
            traps: AtomicU64::default(),
            timeouts: AtomicU64::default(),
        }))
    }
}

impl Statistics {
    /// Counts a call. `Err(None)` is an error that the plugin answered.
    pub fn count(&self, function: Function, took: Duration, outcome: Result<(), Option<&Failure>>) {
        let Some(counters) = self.0.get(function as usize) else { return };
        counters.took.observe(took);
        match outcome {
            Ok(()) => {}
            Err(None) => drop(counters.errors.fetch_add(1, Relaxed)),
            Err(Some(Failure::Deadline(_))) => drop(counters.timeouts.fetch_add(1, Relaxed)),
            Err(Some(_)) => drop(counters.traps.fetch_add(1, Relaxed)),
        }
    }

    /// An answer that was counted made no sense.
    pub fn nonsense(&self, function: Function) {
        if let Some(counters) = self.0.get(function as usize) {
            counters.traps.fetch_add(1, Relaxed);
        }
    }

    /// What was counted, of functions that were called.
    pub fn read(&self) -> Vec<(&'static str, Calls)> {
        let of = |counters: &Counters| Calls {
            seconds: counters.took.read(),
            errors: counters.errors.load(Relaxed),
            traps: counters.traps.load(Relaxed),
            timeouts: counters.timeouts.load(Relaxed),
        };
        NAMES.into_iter().zip(&self.0).map(|(name, counters)| (name, of(counters))).filter(|(_, calls)| calls.seconds.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_their_names() {
        assert_eq!((Function::Filter.name(), Function::LogApply.name()), ("filter", "logging.apply"));
        assert_eq!((Function::VolumeReconcile.name(), Function::MetricsPush.name()), ("volume.reconcile", "metrics.push"));
        assert_eq!((Function::IpamReconcile.name(), Function::IpamReconcile as usize + 1), ("ipam.reconcile", NAMES.len()));
    }

    #[test]
    fn outcomes_are_told_apart_and_buckets_add_up() {
        let statistics = Statistics::default();
        let (late, deep) = (Failure::Deadline(Duration::from_secs(9)), Failure::Stack);
        let count = |ms, outcome| statistics.count(Function::Judge, Duration::from_millis(ms), outcome);
        count(0, Ok(()));
        count(40, Err(None));
        count(9_000, Err(Some(&late)));
        count(1, Err(Some(&deep)));
        let read = statistics.read();
        let [("judge", calls)] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!((calls.seconds.count, calls.errors, calls.timeouts, calls.traps), (4, 1, 1, 1));
        assert_eq!(calls.seconds.cumulative, [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]);
        assert!((calls.seconds.sum - 9.041).abs() < 1e-9);
    }
}
