//! The built component in the engine's own plugin host.

use wharf_plugin_testing::{Plugin, json};

fn plugin() -> Plugin {
    Plugin::build(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn words_are_a_setting() {
    let mut plugin = plugin();
    plugin.settings(&json!({"WORDS": ["secret"]})).unwrap();
    let made = plugin.transform(&json!(["a secret", "", {"line": "x", "stream": "stderr"}])).unwrap();
    let made: Vec<_> = made.iter().map(|line| (line.text(), line.stream.as_str())).collect();
    assert_eq!(made, [("a ***", "stdout"), ("x", "stderr")]);

    // What does not fit the schema is refused before the plugin sees it, and what it refuses itself does not start.
    assert!(plugin.settings(&json!({"WORDS": "secret"})).unwrap_err().contains("WORDS"));
    assert!(plugin.settings(&json!({"WORDS": [""]})).unwrap_err().contains("an empty word"));
}

#[test]
fn cases() {
    plugin().cases("tests/cases.jsonl");
}
