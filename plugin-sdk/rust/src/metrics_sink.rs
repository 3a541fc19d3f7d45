//! Metrics sinks: where the engine's numbers go.
//!
//! ```
//! use wharf_plugin::{Plugin, export_metrics_sink, metrics_sink::{Family, Interest, MetricsSink, Value}};
//!
//! /// Writes gauges to its log.
//! struct Printer;
//!
//! impl Plugin for Printer {
//!     fn start() -> Result<Self, String> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl MetricsSink for Printer {
//!     fn interests(&self) -> Interest {
//!         Interest { period: 60_000, names: vec!["wharf_containers".to_owned()], deltas: false }
//!     }
//!
//!     fn push(&mut self, _time: u64, families: &[Family]) -> Result<(), String> {
//!         for family in families {
//!             for series in &family.series {
//!                 if let Value::Gauge(value) = series.value {
//!                     wharf_plugin::info!("{} {:?} {value}", family.name, series.labels);
//!                 }
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! export_metrics_sink!(Printer);
//! # fn main() {}
//! ```

use crate::plugin::{Component, Plugin, with};

/// What wit-bindgen makes of `wharf:metrics`.
#[doc(hidden)]
#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit/metrics/0.1.0"],
        inline: "package wharf:guest-metrics; world guest-metrics { export wharf:metrics/sink@0.1.0; }",
        world: "wharf:guest-metrics/guest-metrics",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_metrics_sink",
        default_bindings_module: "wharf_plugin::metrics_sink::bindings",
    });
}

use bindings::exports::wharf::metrics::sink::Guest;
pub use bindings::exports::wharf::metrics::sink::{Family, Histogram, Interest, Series, Value};

/// A metrics sink.
pub trait MetricsSink: Plugin {
    /// What it wants: all numbers every ten seconds, since the engine's start, unless it is said otherwise.
    fn interests(&self) -> Interest {
        Interest { period: 10_000, names: Vec::new(), deltas: false }
    }

    /// Takes a snapshot; `time` is in nanoseconds since 1970.
    ///
    /// # Errors
    /// It was not taken: the next one comes at its time, with what this one had where deltas are wanted.
    fn push(&mut self, time: u64, families: &[Family]) -> Result<(), String>;
}

impl<C: Component<Plugin: MetricsSink>> Guest for C {
    fn interests() -> Interest {
        let never = Interest { period: u64::MAX, names: Vec::new(), deltas: false };
        with::<C, _>(|plugin| Ok(plugin.interests())).unwrap_or(never)
    }

    fn push(time: u64, families: Vec<Family>) -> Result<(), String> {
        with::<C, _>(|plugin| plugin.push(time, &families))
    }
}

/// Makes a type that implements [`MetricsSink`] the plugin of this component. Once in a crate.
#[macro_export]
macro_rules! export_metrics_sink {
    ($plugin:ty) => {
        $crate::export_plugin!($plugin: metrics_sink);
    };
}
