//! Writes numbers to its log, once a minute.

use serde::Deserialize;
use wharf_plugin::{
    Plugin, export_metrics_sink,
    host::config,
    info,
    metrics_sink::{Family, Interest, MetricsSink, Value},
};

#[derive(Deserialize)]
struct Printer {
    #[serde(rename = "NAMES")]
    names: Vec<String>,
}

impl Plugin for Printer {
    fn start() -> Result<Self, String> {
        config::parse()
    }
}

impl MetricsSink for Printer {
    fn interests(&self) -> Interest {
        Interest { period: 60_000, names: self.names.clone(), deltas: false }
    }

    fn push(&mut self, time: u64, families: &[Family]) -> Result<(), String> {
        for family in families {
            for series in &family.series {
                let labels: Vec<String> = series.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let value = match &series.value {
                    Value::Counter(value) | Value::Gauge(value) => value.to_string(),
                    Value::Histogram(histogram) => format!("{} in {} s", histogram.count, histogram.sum),
                };
                info!("{time} {}{{{}}} {value}", family.name, labels.join(","));
            }
        }
        Ok(())
    }
}

export_metrics_sink!(Printer);
