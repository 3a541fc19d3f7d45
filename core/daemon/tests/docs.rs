//! The generated pages of the manual say what the table of options says. `make docs` writes them.

#![allow(clippy::unwrap_used)] // the harness functions of these tests too

use std::path::PathBuf;
use wharf_daemon::config::reference;

fn compare(name: &str, generated: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/operator").join(name);
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == generated, "docs/operator/{name} is not current; run `make docs`");
}

#[test]
fn the_reference_is_current() {
    compare("daemon-json.md", &reference::markdown());
}

#[test]
fn the_schema_is_current() {
    compare("daemon.schema.json", &format!("{}\n", serde_json::to_string_pretty(&reference::schema()).unwrap()));
}
