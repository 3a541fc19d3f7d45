//! Every call is counted and timed.

use super::failure::Failure;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use wharf_spi::plugin::{Calls, LATENCY_BUCKETS};

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

#[derive(Default)]
struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    nanoseconds: AtomicU64,
    buckets: [AtomicU64; LATENCY_BUCKETS.len()],
}

/// Counters of one plugin; they begin anew when it is loaded.
#[derive(Default)]
pub(super) struct Statistics([Counters; NAMES.len()]);

impl Statistics {
    /// Counts a call. `Err(None)` is an error that the plugin answered.
    pub fn count(&self, function: Function, took: Duration, outcome: Result<(), Option<&Failure>>) {
        let Some(counters) = self.0.get(function as usize) else { return };
        counters.calls.fetch_add(1, Relaxed);
        match outcome {
            Ok(()) => {}
            Err(None) => drop(counters.errors.fetch_add(1, Relaxed)),
            Err(Some(Failure::Deadline(_))) => drop(counters.timeouts.fetch_add(1, Relaxed)),
            Err(Some(_)) => drop(counters.traps.fetch_add(1, Relaxed)),
        }
        counters.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        let seconds = took.as_secs_f64();
        if let Some((_, bucket)) = LATENCY_BUCKETS.iter().zip(&counters.buckets).find(|(bound, _)| seconds <= **bound) {
            bucket.fetch_add(1, Relaxed);
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
        let of = |counters: &Counters| {
            let mut sum = 0;
            Calls {
                calls: counters.calls.load(Relaxed),
                errors: counters.errors.load(Relaxed),
                traps: counters.traps.load(Relaxed),
                timeouts: counters.timeouts.load(Relaxed),
                buckets: counters.buckets.each_ref().map(|bucket| {
                    sum += bucket.load(Relaxed);
                    sum
                }),
                seconds: Duration::from_nanos(counters.nanoseconds.load(Relaxed)).as_secs_f64(),
            }
        };
        NAMES.into_iter().zip(&self.0).map(|(name, counters)| (name, of(counters))).filter(|(_, calls)| calls.calls > 0).collect()
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
        assert_eq!((calls.calls, calls.errors, calls.timeouts, calls.traps), (4, 1, 1, 1));
        assert_eq!(calls.buckets, [1, 1, 1, 1, 2, 2, 3, 3, 3, 3]);
        assert!((calls.seconds - 9.041).abs() < 1e-9);
    }
}
