//! Numbers that a plugin reports of itself.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use wharf_metrics::Distribution;
use wharf_spi::plugin::{LATENCY, Number, Series};

/// Series of one plugin.
const SERIES_MAX: usize = 100;
const LABELS_MAX: usize = 10;
const VALUE_MAX: usize = 128;
/// Labels that the engine itself gives to series.
const RESERVED: [&str; 2] = ["plugin", "le"];

type Key = (String, Vec<(String, String)>);

#[derive(Default)]
pub(super) struct Registry(Mutex<(BTreeMap<Key, Number>, u64)>);

/// What is reported.
#[derive(Clone, Copy)]
pub(super) enum Report {
    Add,
    Set,
    Observe,
}

impl Registry {
    /// Takes a number, or counts it as dropped: too many series, a bad name, another type than before, not a number.
    pub fn report(&self, report: Report, name: String, mut labels: Vec<(String, String)>, value: f64) {
        labels.sort();
        let fits = is_name(&name)
            && labels.len() <= LABELS_MAX
            && labels.iter().all(|(key, value)| is_name(key) && !RESERVED.contains(&key.as_str()) && value.len() <= VALUE_MAX)
            && labels.windows(2).all(|two| matches!(two, [(a, _), (b, _)] if a != b));
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (series, dropped) = &mut *guard;
        let taken = fits && value.is_finite() && {
            let same_type = |number: &Number| {
                matches!(
                    (number, report),
                    (Number::Counter(_), Report::Add) | (Number::Gauge(_), Report::Set) | (Number::Histogram(_), Report::Observe)
                )
            };
            let first = (name.clone(), Vec::new());
            let others = series.range(first..).next().is_none_or(|((other, _), number)| *other != name || same_type(number));
            let full = series.len() >= SERIES_MAX;
            let key = (name, labels);
            others && (!full || series.contains_key(&key)) && put(series, key, report, value)
        };
        if !taken {
            *dropped += 1;
        }
    }

    /// All series, and how many reports were dropped.
    pub fn read(&self) -> (Vec<Series>, u64) {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |(key, number): (&Key, &Number)| Series { name: key.0.clone(), labels: key.1.clone(), number: number.clone() };
        (guard.0.iter().map(one).collect(), guard.1)
    }
}

fn put(series: &mut BTreeMap<Key, Number>, key: Key, report: Report, value: f64) -> bool {
    let number = series.entry(key).or_insert(match report {
        Report::Add => Number::Counter(0.0),
        Report::Set => Number::Gauge(0.0),
        Report::Observe => Number::Histogram(Distribution::new(&LATENCY)),
    });
    match number {
        Number::Counter(_) if value < 0.0 => return false,
        Number::Counter(sum) => *sum += value,
        Number::Gauge(now) => *now = value,
        Number::Histogram(seconds) => seconds.add(value),
    }
    true
}

fn is_name(text: &str) -> bool {
    let head = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    head && text.len() <= VALUE_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn numbers_add_up_and_are_bounded() {
        let registry = Registry::default();
        registry.report(Report::Add, "hits".into(), label("who", "a"), 1.0);
        registry.report(Report::Add, "hits".into(), label("who", "a"), 2.0);
        registry.report(Report::Set, "hits".into(), label("who", "b"), 2.0);
        registry.report(Report::Add, "no-name".into(), Vec::new(), 1.0);
        registry.report(Report::Add, "hits".into(), label("who", "a"), f64::NAN);
        registry.report(Report::Add, "hits".into(), label("plugin", "another"), 1.0);
        registry.report(Report::Observe, "took".into(), Vec::new(), 0.1);
        let (series, dropped) = registry.read();
        assert_eq!(dropped, 4);
        assert_eq!(series[0], Series { name: "hits".into(), labels: label("who", "a"), number: Number::Counter(3.0) });
        let Number::Histogram(took) = &series[1].number else { panic!("{series:?}") };
        assert_eq!((took.cumulative.as_slice(), took.sum, took.count), (&[0, 0, 0, 0, 0, 0, 0, 1, 1, 1][..], 0.1, 1));
        for n in 0..200 {
            registry.report(Report::Set, "many".into(), label("n", &n.to_string()), 1.0);
        }
        assert_eq!((registry.read().0.len(), registry.read().1), (100, 4 + 102));
    }
}
