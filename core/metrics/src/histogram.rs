//! How long things took.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper bounds in seconds that Prometheus' clients use when nothing is said; dockerd has them.
pub const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts durations; the bounds are those of [`SECONDS`] unless said otherwise.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    buckets: Box<[AtomicU64]>,
    longer: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(&SECONDS)
    }
}

impl Histogram {
    /// With upper bounds in seconds, growing.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = bounds.iter().map(|_| AtomicU64::default()).collect();
        Self { bounds, buckets, longer: AtomicU64::default(), nanoseconds: AtomicU64::default() }
    }

    /// One more.
    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.iter().zip(&self.buckets).find(|(bound, _)| seconds <= **bound);
        bucket.map_or(&self.longer, |(_, bucket)| bucket).fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What was counted.
    pub fn read(&self) -> Distribution {
        let mut count = 0;
        let cumulative = self.buckets.iter().map(|bucket| {
            count += bucket.load(Relaxed);
            count
        });
        let cumulative = cumulative.collect();
        let seconds = Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64();
        Distribution { bounds: self.bounds, cumulative, sum: seconds, count: count + self.longer.load(Relaxed) }
    }
}

/// A histogram as it is written. It can also be counted in, by one at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Upper bounds, growing.
    pub bounds: &'static [f64],
    /// How many were at most each of them.
    pub cumulative: Vec<u64>,
    /// All values together.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}

impl Distribution {
    /// Of nothing.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, cumulative: vec![0; bounds.len()], sum: 0.0, count: 0 }
    }

    /// One more.
    pub fn add(&mut self, value: f64) {
        for (count, bound) in self.cumulative.iter_mut().zip(self.bounds) {
            *count += u64::from(value <= *bound);
        }
        self.sum += value;
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let histogram = Histogram::default();
        for milliseconds in [0, 5, 6, 10_001] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let read = histogram.read();
        assert_eq!((&read.cumulative[..3], read.cumulative[10], read.count), (&[2, 3, 3][..], 3, 4));
        let mut one_by_one = Distribution::new(&SECONDS);
        [0.0, 0.005, 0.006, 10.001].into_iter().for_each(|seconds| one_by_one.add(seconds));
        assert!((one_by_one.sum - read.sum).abs() < 1e-9 && (read.sum - 10.012).abs() < 1e-9);
        assert_eq!((one_by_one.cumulative, one_by_one.count), (read.cumulative, read.count));
    }
}
