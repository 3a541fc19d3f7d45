//! The built component in the engine's own plugin host.

use wharf_plugin_testing::{Plugin, json};

fn plugin() -> Plugin {
    Plugin::build(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_volume_comes_and_goes() {
    let mut plugin = plugin();
    let volume = json!({"name": "data", "options": {"read-only": "true"}});
    for function in ["create", "remove", "remove"] {
        assert_eq!(plugin.volume(function, &volume).unwrap(), "done");
    }
    let plan = plugin.volume("publish", &volume).unwrap();
    assert!(plan["subdirectory"] == "data" && plan["read_only"] == true, "{plan}");
}

#[test]
fn the_share_is_a_setting() {
    let mut plugin = plugin();
    plugin.settings(&json!({"SHARE": "storage:/exports"})).unwrap();
    assert_eq!(plugin.volume("publish", &json!({"name": "data"})).unwrap()["source"], "storage:/exports");
    assert!(plugin.settings(&json!({"SHARE": "nowhere"})).unwrap_err().contains("server:/path"));
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
