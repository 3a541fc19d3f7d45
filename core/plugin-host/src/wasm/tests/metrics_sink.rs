//! Metrics sinks.

use super::{Answers, LOOP, World, list, package, trouble};
use std::time::Duration;
use wharf_spi::metrics::{Family, Histogram, Number, Series};
use wharf_types::Timestamp;

const INTERESTS: &str = "sink@0.1.0#interests";
const PUSH: &str = "sink@0.1.0#push";

/// Wants numbers whose names begin so.
fn wanting(period: u64, name: &str) -> Answers {
    let mut answers = Answers::of(&["metrics"]);
    let name = list(answers.place(name.as_bytes()), name.len());
    let names = list(answers.place(&name), 1);
    answers.answer(INTERESTS, &[&period.to_le_bytes()[..], &names, &[1]].concat())
}

fn families() -> Vec<Family> {
    let label = || vec![("k".to_owned(), "v".to_owned())];
    let histogram = Number::Histogram(Histogram { buckets: vec![(0.1, 2)], sum: 0.1, count: 2 });
    let series = |value| Series { labels: label(), value };
    vec![Family {
        name: "wharf_x".to_owned(),
        help: "x".to_owned(),
        series: vec![series(Number::Counter(2.5)), series(Number::Gauge(-1.0)), series(histogram)],
    }]
}

#[tokio::test]
async fn snapshots_arrive() {
    let world = World::new();
    // The time, then the list; its first series' value: the case at 8, the number at 16.
    let series = "(i32.load (i32.add (local.get 1) (i32.const 16)))";
    let push = format!(
        "(if (i64.ne (local.get 0) (i64.const 9)) (then unreachable)) (if (i32.ne (local.get 2) (i32.const 1)) (then unreachable))
         (if (f64.ne (f64.load (i32.add {series} (i32.const 16))) (f64.const 2.5)) (then unreachable)) (i32.const 64)"
    );
    let plugin = world.kind(&wanting(5_000, "wharf_").body(PUSH, &push), "").await;
    let sink = plugin.metrics_sink().unwrap();
    let interest = sink.interest();
    assert_eq!((interest.period, interest.deltas, interest.names.as_slice()), (Duration::from_secs(5), true, &["wharf_".to_owned()][..]));
    sink.push(Timestamp::from_nanos(9), &families()).await.unwrap();
}

#[tokio::test]
async fn impossible_wishes_keep_it_from_being_loaded() {
    let world = World::new();
    for (period, name, why) in
        [(999, "wharf_", "the shortest period is 1s"), (1_000, "", "no name of numbers"), (1_000, "a-b", "no name of numbers")]
    {
        let refusal = world.host.load(package(wanting(period, name).component(), "")).await.err().unwrap().to_string();
        assert!(refusal.contains("it answered nonsense: ") && refusal.contains(why), "{refusal}");
    }
}

#[tokio::test]
async fn a_sink_that_fails_is_seen() {
    let world = World::new();
    for (body, expected) in [("unreachable", "it panicked (see its log)"), (LOOP, "it did not answer within 300ms")] {
        let plugin = world.kind(&wanting(1_000, "a").body(PUSH, body), "").await;
        assert_eq!(trouble(&plugin, plugin.metrics_sink().unwrap().push(Timestamp::from_nanos(9), &families()).await), expected);
    }
}
