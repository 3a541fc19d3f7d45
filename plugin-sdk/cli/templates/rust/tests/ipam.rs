//! The built component in the engine's own plugin host.

use wharf_plugin_testing::{Plugin, json};

const POOL: &str = "10.1.0.0/29";

fn plugin() -> Plugin {
    let mut plugin = Plugin::build(env!("CARGO_MANIFEST_DIR"));
    plugin.ipam("open_pool", &json!({"subnet": POOL})).unwrap();
    plugin
}

#[test]
fn every_address_has_one_owner() {
    let mut plugin = plugin();
    let mut given = Vec::new();
    for endpoint in 0..5 {
        let lease = plugin.ipam("allocate", &json!({"pool": POOL, "owner": {"endpoint": endpoint.to_string()}})).unwrap();
        assert!(!given.contains(&lease["address"]), "{lease}");
        given.push(lease["address"].clone());
    }
    let none = plugin.ipam("allocate", &json!({"pool": POOL, "owner": {"endpoint": "5"}})).unwrap_err();
    assert!(none.contains("has no free address"), "{none}");
}

#[test]
fn instances_come_and_go() {
    let mut plugin = plugin();
    let lease = plugin.ipam("allocate", &json!({"pool": POOL, "owner": {"endpoint": "web"}})).unwrap();
    plugin.restart().unwrap();
    assert_eq!(plugin.ipam("usage", &json!({"pool": POOL})).unwrap()["used"], 1);
    plugin.ipam("release", &json!({"pool": POOL, "address": lease["address"]})).unwrap();
    assert_eq!(plugin.ipam("usage", &json!({"pool": POOL})).unwrap()["used"], 0);
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
