//! The built component in the engine's own plugin host.

use wharf_plugin_testing::{Plugin, json};

fn plugin() -> Plugin {
    let mut plugin = Plugin::build(env!("CARGO_MANIFEST_DIR"));
    plugin.secret("PASSWORD", "hunter2");
    plugin
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
fn the_password_is_a_secret() {
    let mut plugin = plugin();
    let volume = json!({"name": "data"});
    let plan = plugin.volume("publish", &volume).unwrap();
    assert!(plan["secrets"] == json!(["password="]) && !plan.to_string().contains("hunter2"), "{plan}");
    plugin.remove_secret("PASSWORD");
    assert!(plugin.volume("publish", &volume).unwrap_err().contains("PASSWORD"));
}

#[test]
fn the_share_is_a_setting() {
    let mut plugin = plugin();
    plugin.settings(&json!({"SHARE": "//storage/exports"})).unwrap();
    assert_eq!(plugin.volume("publish", &json!({"name": "data"})).unwrap()["source"], "//storage/exports");
    assert!(plugin.settings(&json!({"SHARE": "nowhere"})).unwrap_err().contains("//server/name"));
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
