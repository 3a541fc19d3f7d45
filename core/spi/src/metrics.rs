//! Metrics sinks: where the engine's numbers go. The shapes are those of the WIT package `wharf:metrics`.

use async_trait::async_trait;
use std::time::Duration;
use wharf_types::{Result, Timestamp};

/// A distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds in seconds with the number of observations up to them.
    pub buckets: Vec<(f64, u64)>,
    /// Seconds together.
    pub sum: f64,
    /// Observations.
    pub count: u64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// Only grows.
    Counter(f64),
    /// Goes both ways.
    Gauge(f64),
    /// A distribution.
    Histogram(Histogram),
}

/// One number of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub labels: Vec<(String, String)>,
    /// What was measured.
    pub value: Number,
}

/// All numbers of a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// As on `/metrics`.
    pub name: String,
    /// What it is.
    pub help: String,
    /// Its numbers.
    pub series: Vec<Series>,
}

/// The shortest [`MetricsInterest::period`].
pub const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// What a sink wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsInterest {
    /// Between two snapshots; at least [`SHORTEST_PERIOD`].
    pub period: Duration,
    /// Beginnings of the names that are wanted; none for all.
    pub names: Vec<String>,
    /// Counters and histograms since the last snapshot that was taken, instead of since the engine's start.
    pub deltas: bool,
}

impl MetricsInterest {
    /// Whether a family of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|beginning| name.starts_with(beginning))
    }
}

/// Takes the engine's numbers somewhere.
///
/// ```
/// use wharf_spi::metrics::{Family, MetricsInterest, MetricsSink};
/// use wharf_types::{Result, Timestamp};
///
/// struct Printer;
///
/// #[async_trait::async_trait]
/// impl MetricsSink for Printer {
///     fn name(&self) -> &str {
///         "printer"
///     }
///     fn interest(&self) -> MetricsInterest {
///         MetricsInterest { period: std::time::Duration::from_secs(60), names: vec!["wharf_plugin_".to_owned()], deltas: false }
///     }
///     async fn push(&self, time: Timestamp, families: &[Family]) -> Result<()> {
///         families.iter().for_each(|family| println!("{time} {}: {} series", family.name, family.series.len()));
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait MetricsSink: Send + Sync {
    /// For messages.
    fn name(&self) -> &str;

    /// What it wants; another thing after a reload, maybe.
    fn interest(&self) -> MetricsInterest;

    /// Takes a snapshot.
    ///
    /// # Errors
    /// It was not taken: the next one is sent at its time, with what this one had where deltas are sent.
    async fn push(&self, time: Timestamp, families: &[Family]) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_wanted_by_their_beginnings() {
        let wants = |names: &[&str], name| {
            let names = names.iter().map(ToString::to_string).collect();
            MetricsInterest { period: SHORTEST_PERIOD, names, deltas: false }.wants(name)
        };
        assert!(wants(&[], "a") && wants(&["b", "a_"], "a_x") && !wants(&["a_x"], "a_"));
    }
}
