//! `GET /events`.

use std::collections::BTreeMap;

wire! {
    /// One event. `status`, `id` and `from` exist below API 1.52, for containers and images.
    EventMessage {
        ? "status" status: String,
        ? "id" id: String,
        ? "from" from: String,
        "Type" kind: String,
        "Action" action: String,
        "Actor" actor: Actor,
        "scope" scope: String,
        "time" time: i64,
        "timeNano" time_nano: i64,
    }
}
wire! {
    /// The object that an event is about.
    Actor {
        "ID" id: String,
        "Attributes" attributes: BTreeMap<String, String>,
    }
}
