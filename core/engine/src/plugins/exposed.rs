//! The numbers of plugins, as text: what the engine counts of each, and what each reports of itself.

use super::{Managed, Plugins};
use crate::metrics::float;
use std::{collections::BTreeMap, sync::Arc};
use wharf_metrics::{Exposition, Kind};
use wharf_spi::plugin::{Calls, Number, RunningPlugin, Series, Status};

/// A plugin while it is written about.
struct Shown {
    name: String,
    state: Status,
    calls: Vec<(&'static str, Calls)>,
    memory: Option<u64>,
    series: Vec<Series>,
    dropped: u64,
}

impl Shown {
    fn of(name: String, state: Status, running: Option<&Arc<dyn RunningPlugin>>) -> Self {
        let (series, dropped) = running.map(|r| r.series()).unwrap_or_default();
        let (calls, memory) = running.map(|r| (r.calls(), r.memory())).unwrap_or_default();
        Self { name, state, calls, memory, series, dropped }
    }

    fn managed(managed: &Managed) -> Self {
        Self::of(managed.name(), managed.health().status, managed.running.as_ref())
    }
}

impl Plugins {
    /// Writes the numbers of all plugins, and of authorization.
    pub fn expose(&self, text: &mut Exposition) {
        let table = self.0.table.load();
        let mut all: Vec<_> = table.values().map(Shown::managed).collect();
        all.extend(self.0.chain.others(&table).into_iter().map(|(name, running)| {
            // One that is named and not there keeps everybody out.
            let state = running.as_ref().map_or(Status::Failed, |r| r.health().status);
            Shown::of(name, state, running.as_ref())
        }));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        states(text, &all);
        calls(text, &all);
        reported(text, &all);
        self.0.decisions.expose(text);
    }
}

fn states(text: &mut Exposition, all: &[Shown]) {
    let mut family = text.family(Kind::Gauge, "wharf_plugin_state", "1 for the state that a plugin is in, 0 for the others");
    for plugin in all {
        for state in Status::ALL {
            family.sample(&[("plugin", &plugin.name), ("state", state.word())], f64::from(u8::from(plugin.state == state)));
        }
    }
    let mut family = text.family(Kind::Gauge, "wharf_plugin_memory_bytes", "Memory of all instances of a plugin");
    for plugin in all {
        if let Some(memory) = plugin.memory {
            family.sample(&[("plugin", &plugin.name)], float(memory));
        }
    }
}

/// A counter of calls: its name, its help, and which number it is.
type Counter = (&'static str, &'static str, fn(&Calls) -> u64);

fn calls(text: &mut Exposition, all: &[Shown]) {
    const COUNTERS: [Counter; 4] = [
        ("wharf_plugin_calls_total", "Calls of a function of a plugin", |c| c.seconds.count),
        ("wharf_plugin_errors_total", "Calls that the plugin answered with an error, or that did not reach it", |c| c.errors),
        ("wharf_plugin_traps_total", "Calls that ended the instance", |c| c.traps),
        ("wharf_plugin_timeouts_total", "Calls that ran out of time", |c| c.timeouts),
    ];
    let each = || all.iter().flat_map(|plugin| plugin.calls.iter().map(|(function, calls)| (plugin.name.as_str(), *function, calls)));
    for (name, help, number) in COUNTERS {
        let mut family = text.family(Kind::Counter, name, help);
        for (plugin, function, calls) in each() {
            family.sample(&[("plugin", plugin), ("function", function)], float(number(calls)));
        }
    }
    let mut family = text.family(Kind::Histogram, "wharf_plugin_call_duration_seconds", "How long calls of a function of a plugin took");
    for (plugin, function, calls) in each() {
        family.histogram(&[("plugin", plugin), ("function", function)], &calls.seconds);
    }
}

/// What a name means, and the series of it with their plugins.
type Reported<'a> = (Kind, Vec<(&'a str, &'a Series)>);

/// One family for each name. Plugins that disagree about what a name means cannot share it: the first one has it.
fn reported(text: &mut Exposition, all: &[Shown]) {
    let mut families: BTreeMap<&str, Reported<'_>> = BTreeMap::new();
    for plugin in all {
        for series in &plugin.series {
            let kind = match series.number {
                Number::Counter(_) => Kind::Counter,
                Number::Gauge(_) => Kind::Gauge,
                Number::Histogram(_) => Kind::Histogram,
            };
            let (of, members) = families.entry(&series.name).or_insert_with(|| (kind, Vec::new()));
            if *of == kind {
                members.push((&plugin.name, series));
            }
        }
    }
    for (name, (kind, members)) in families {
        let name = format!("wharf_plugin_user_{name}");
        let mut family = text.family(kind, &name, "Reported by the plugin itself");
        for (plugin, series) in members {
            let own = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels: Vec<_> = std::iter::once(("plugin", plugin)).chain(own).collect();
            match &series.number {
                Number::Counter(value) | Number::Gauge(value) => family.sample(&labels, *value),
                Number::Histogram(seconds) => family.histogram(&labels, seconds),
            };
        }
    }
    let mut family = text.family(Kind::Counter, "wharf_plugin_reports_dropped_total", "Numbers of a plugin that were not taken");
    for plugin in all.iter().filter(|plugin| plugin.dropped > 0) {
        family.sample(&[("plugin", &plugin.name)], float(plugin.dropped));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_metrics::Distribution;
    use wharf_spi::plugin::LATENCY;

    #[test]
    fn what_plugins_report_is_kept_apart() {
        let of = |values: &[f64]| {
            let mut seconds = Distribution::new(&LATENCY);
            values.iter().for_each(|value| seconds.add(*value));
            seconds
        };
        let series = |name: &str, number| Series { name: name.to_owned(), labels: vec![("k".to_owned(), "v".to_owned())], number };
        let shown = |name: &str, series: Vec<Series>| {
            let calls = vec![("judge", Calls { errors: 1, seconds: of(&[0.000_004, 0.4]), ..Calls::default() })];
            Shown { name: name.to_owned(), state: Status::Degraded, calls, memory: Some(65_536), series, dropped: 3 }
        };
        let all = [
            shown("a", vec![series("hits", Number::Counter(3.0))]),
            shown("b", vec![series("hits", Number::Gauge(4.0)), series("took", Number::Histogram(of(&[0.25])))]),
        ];
        let mut text = Exposition::default();
        states(&mut text, &all);
        calls(&mut text, &all);
        reported(&mut text, &all);
        let text = text.finish();
        for line in [
            "wharf_plugin_state{plugin=\"a\",state=\"healthy\"} 0",
            "wharf_plugin_state{plugin=\"a\",state=\"degraded\"} 1",
            "wharf_plugin_memory_bytes{plugin=\"b\"} 65536",
            "wharf_plugin_errors_total{plugin=\"b\",function=\"judge\"} 1",
            "wharf_plugin_call_duration_seconds_bucket{plugin=\"a\",function=\"judge\",le=\"0.000005\"} 1",
            "wharf_plugin_user_hits{plugin=\"a\",k=\"v\"} 3",
            "wharf_plugin_user_took_count{plugin=\"b\",k=\"v\"} 1",
            "wharf_plugin_reports_dropped_total{plugin=\"a\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(!text.contains("wharf_plugin_user_hits{plugin=\"b\""), "{text}");
    }
}
