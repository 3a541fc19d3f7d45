//! The built component in the engine's own plugin host.

use wharf_plugin_testing::{Outcome, Plugin, json};

fn plugin() -> Plugin {
    Plugin::build(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn whole_lines_count() {
    let mut plugin = plugin();
    let parts = json!([{"line": "a beginning", "partial": true}, ", and the end"]);
    assert_eq!(plugin.push("web", &parts), Ok(Outcome::Committed));
    assert_eq!(plugin.numbers()["lines{container=\"web\"}"], 1.0);
    assert!(plugin.logging("validate", &json!({"colour": "red"})).unwrap_err().contains("'colour'"));
}

#[test]
fn instances_come_and_go() {
    let mut plugin = plugin();
    plugin.push("web", &json!(["one", "two"])).unwrap();
    plugin.restart().unwrap();
    plugin.push("web", &json!(["three"])).unwrap();
    assert!(plugin.log().iter().any(|line| line.ends_with("web begins after 2")));
    plugin.logging("close", &json!("web")).unwrap();
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
