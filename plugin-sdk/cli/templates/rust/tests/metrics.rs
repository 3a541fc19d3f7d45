//! The built component in the engine's own plugin host.

use std::time::Duration;
use wharf_plugin_testing::{Plugin, json};

fn plugin() -> Plugin {
    Plugin::build(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn snapshots_have_their_time() {
    let mut plugin = plugin();
    let interests = plugin.metrics("interests", &json!(null)).unwrap();
    let period = Duration::from_millis(interests["period"].as_u64().unwrap());
    for running in [3, 4] {
        let series = json!([{"labels": {"state": "running"}, "value": {"gauge": running}}]);
        plugin.metrics("push", &json!({"families": [{"name": "wharf_containers", "series": series}]})).unwrap();
        plugin.advance(period).unwrap();
    }
    let log = plugin.log();
    let line = |end: &str| log.iter().find(|line| line.ends_with(end)).map(|line| line.rsplit(' ').nth(2).unwrap().parse::<u64>().unwrap());
    let (first, second) = (line("{state=running} 3").unwrap(), line("{state=running} 4").unwrap());
    assert_eq!(Duration::from_nanos(second - first), period);
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
