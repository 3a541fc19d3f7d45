//! What the engine says of itself, before anything happened.

use serde_json::{Value, json};

use super::Seen;

pub fn all(seen: &mut Seen<'_>) {
    seen.get("version", "/version");
    seen.get("info", "/info");
    seen.get("empty list", "/containers/json?all=1");
    seen.get_in("empty df", "/system/df", &["1.25", "1.41"]);
    for path in
        ["/_ping", "/no/such/page", "/containers/none/json", "/images/none/json", "/exec/none/json", "/containers/none/logs?stdout=1"]
    {
        seen.get_in(&format!("get {path}"), path, &["1.19", "1.24", "1.41"]);
    }
    let bad = [
        ("no config", json!({})),
        ("no image", json!({"Image": "none"})),
        ("no command", json!({"Image": "busybox", "Cmd": [], "Entrypoint": []})),
        ("type", json!({"Image": 5})),
    ];
    for (what, body) in bad {
        for version in ["1.19", "1.41"] {
            seen.ask(&format!("create {what}"), version, "POST", "/containers/create", &body);
        }
    }
    for path in ["/containers/prune", "/images/prune"] {
        seen.ask(&format!("empty post {path}"), "1.41", "POST", path, &Value::Null);
    }
}
