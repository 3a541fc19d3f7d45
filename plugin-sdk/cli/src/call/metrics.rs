//! Metrics sinks.

use super::{Pairs, done};
use serde::Deserialize;
use serde_json::{Value, json};
use wharf_spi::metrics::{self, Family, MetricsInterest, MetricsSink, Number, Series};
use wharf_types::{Result, Timestamp};

/// A function of `wharf:metrics/sink`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metrics {
    /// What it wants.
    Interests,
    /// Families, of which it gets those that it wants, as from an engine.
    Push(Snapshot),
}

/// What the engine knows at a moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Now, when it is not said.
    #[serde(default)]
    time: Option<Timestamp>,
    families: Vec<OfName>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfName {
    name: String,
    #[serde(default)]
    help: String,
    series: Vec<One>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    #[serde(default)]
    labels: Pairs,
    value: Measured,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measured {
    Counter(f64),
    Gauge(f64),
    Histogram(Histogram),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Histogram {
    buckets: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

impl From<OfName> for Family {
    fn from(family: OfName) -> Self {
        let OfName { name, help, series } = family;
        let series = series.into_iter().map(|one| Series {
            labels: one.labels.into(),
            value: match one.value {
                Measured::Counter(value) => Number::Counter(value),
                Measured::Gauge(value) => Number::Gauge(value),
                Measured::Histogram(Histogram { buckets, sum, count }) => Number::Histogram(metrics::Histogram { buckets, sum, count }),
            },
        });
        Self { name, help, series: series.collect() }
    }
}

/// What the sink answers.
pub async fn call(sink: &dyn MetricsSink, call: Metrics, now: Timestamp) -> Result<Value> {
    let interest = sink.interest();
    match call {
        Metrics::Interests => {
            let MetricsInterest { period, names, deltas } = interest;
            Ok(json!({"period": period.as_millis(), "names": names, "deltas": deltas}))
        }
        Metrics::Push(Snapshot { time, families }) => {
            let wanted = families.into_iter().filter(|family| interest.wants(&family.name));
            sink.push(time.unwrap_or(now), &wanted.map(Family::from).collect::<Vec<_>>()).await?;
            Ok(done())
        }
    }
}
