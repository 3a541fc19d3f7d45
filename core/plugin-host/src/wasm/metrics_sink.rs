//! A plugin as a [`MetricsSink`].

use super::{
    bindings::metrics_sink as wit,
    context::{Cx, Shared},
    failure::Failure,
    instance::{Instance, NoResult, Span, arm, call},
    pool::{Export, Pool, ask},
    statistics::Function,
};
use crate::words::cut;
use async_trait::async_trait;
use std::time::Duration;
use wasmtime::component::InstancePre;
use wharf_spi::{
    metrics::{Family, MetricsInterest, MetricsSink, Number, SHORTEST_PERIOD, Series},
    plugin::PluginKind as Kind,
};
use wharf_types::{Result, Timestamp};

/// Beginnings of names that a sink may ask for.
const NAMES_MAX: usize = 1_000;

pub(super) struct Metrics;

impl Export for Metrics {
    const KIND: Kind = Kind::Metrics;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    type Said = MetricsInterest;

    fn find(pre: &InstancePre<Cx>) -> wasmtime::Result<Self::Indices> {
        wit::GuestIndices::new(pre)
    }

    fn load(indices: &Self::Indices, instance: &mut Instance) -> wasmtime::Result<Self::Guest> {
        indices.load(&mut instance.store, &instance.raw)
    }

    async fn ask(guest: &Self::Guest, instance: &mut Instance, shared: &Shared) -> Result<MetricsInterest, NoResult> {
        let span = arm(&mut instance.store, Span::of(instance.deadline));
        let asked = async { guest.call_interests(&mut instance.store).await.map(Ok) };
        let said = call(shared, Function::Interests, span, asked).await?;
        interest(said).map_err(|what| {
            shared.statistics.nonsense(Function::Interests);
            NoResult::Failed(Failure::Nonsense(cut(what)))
        })
    }
}

#[async_trait]
impl MetricsSink for Pool<Metrics> {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn interest(&self) -> MetricsInterest {
        self.said()
    }

    async fn push(&self, time: Timestamp, families: &[Family]) -> Result<()> {
        let families: Vec<wit::Family> = families.iter().map(family).collect();
        ask!(self, MetricsPush, call_push(u64::try_from(time.nanos()).unwrap_or(0), &families), |(), _| Ok(()))
    }
}

fn interest(said: wit::Interest) -> Result<MetricsInterest, String> {
    let wit::Interest { period, names, deltas } = said;
    let period = Duration::from_millis(period);
    if period < SHORTEST_PERIOD {
        return Err(format!("it wants snapshots every {period:?}, and the shortest period is {SHORTEST_PERIOD:?}"));
    }
    let is_name = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
    match names.iter().find(|name| !is_name(name)) {
        Some(name) => Err(format!("no name of numbers begins with {name:?}")),
        None if names.len() > NAMES_MAX => Err(format!("it wants numbers by {} names, more than {NAMES_MAX}", names.len())),
        None => Ok(MetricsInterest { period, names, deltas }),
    }
}

fn family(family: &Family) -> wit::Family {
    let series = |series: &Series| wit::Series {
        labels: series.labels.clone(),
        value: match &series.value {
            Number::Counter(value) => wit::Value::Counter(*value),
            Number::Gauge(value) => wit::Value::Gauge(*value),
            Number::Histogram(h) => wit::Value::Histogram(wit::Histogram { buckets: h.buckets.clone(), sum: h.sum, count: h.count }),
        },
    };
    wit::Family { name: family.name.clone(), help: family.help.clone(), series: family.series.iter().map(series).collect() }
}
