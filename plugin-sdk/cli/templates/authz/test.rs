//! The built component in the engine's own plugin host.

use wharf_plugin_testing::{Plugin, json};

fn plugin() -> Plugin {
    Plugin::build(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn administrators_are_a_setting() {
    let mut plugin = plugin();
    let create = json!({"action": "container.create", "caller": {"unix": {"uid": 1000}}});
    let denied = plugin.judge(&create);
    assert!(denied.denies() && denied.reason == "uid 1000 may not container.create", "{denied:?}");

    plugin.settings(&json!({"ADMINISTRATORS": [1000]})).unwrap();
    assert!(plugin.judge(&create).allows());

    // What does not fit the schema is refused before the plugin sees it.
    assert!(plugin.settings(&json!({"ADMINISTRATORS": ["me"]})).unwrap_err().contains("ADMINISTRATORS"));
}

#[test]
fn instances_come_and_go() {
    let mut plugin = plugin();
    let look = json!({"action": "container.list"});
    assert!(plugin.judge(&look).allows());
    plugin.restart().unwrap();
    assert!(plugin.judge(&look).allows());
    assert!(plugin.log().iter().any(|line| line.contains("administrators")));
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
