//! Objects and events of the engine.

use super::{Guest, World, package, request, settings_in};
use crate::wasm::{Facts, Settings, WasmHost};
use std::sync::Arc;
use wharf_spi::{
    authz::ObjectKind,
    facts::{EngineFacts, EventFacts, ObjectFacts},
};
use wharf_types::{ErrorKind, Timestamp};

/// One container, and ten events.
struct Engine;

impl EngineFacts for Engine {
    fn find(&self, kind: ObjectKind, key: &str) -> Option<ObjectFacts> {
        (kind == ObjectKind::Container && key == "web").then(|| ObjectFacts {
            id: "4711".to_owned(),
            name: "web".to_owned(),
            labels: vec![("a".to_owned(), "b".to_owned())],
            image: "sha256:1".to_owned(),
            detail: "{\"Id\":\"4711\"}".to_owned(),
        })
    }
    fn events_since(&self, cursor: u64, limit: usize) -> Vec<EventFacts> {
        let event = |cursor| EventFacts {
            cursor,
            time: Timestamp::from_nanos(5),
            kind: "container".to_owned(),
            action: format!("action-{cursor}"),
            id: "4711".to_owned(),
            attributes: vec![("name".to_owned(), "web".to_owned())],
        };
        (cursor + 1..=10).take(limit).map(event).collect()
    }
}

fn world() -> (World, Facts) {
    let dir = tempfile::tempdir().unwrap();
    let facts = Facts::default();
    let host = WasmHost::new(Settings { facts: facts.clone(), ..settings_in(dir.path()) }).unwrap();
    (World { host, dir }, facts)
}

/// Looks for a key, and tells the text at this place of the object, or nothing when there is none.
fn finding(kind: u8, key: &str, place: u32) -> Guest {
    let judge = format!(
        "(call $objects-find (i32.const {kind}) (i32.const 600) (i32.const {}) (i32.const 704))
         (i32.store (i32.const 532) (i32.load (i32.const {}))) (i32.store (i32.const 536) (i32.load (i32.const {})))
         (if (i32.eqz (i32.load8_u (i32.const 704))) (then (i32.store (i32.const 536) (i32.const 0)))) (i32.const 512)",
        key.len(),
        704 + place,
        708 + place,
    );
    let mut guest = Guest::judging(&judge).import("objects", &[("find", "(param i32 i32 i32 i32)")]);
    guest.fields.push_str(&format!("(data (i32.const 600) \"{key}\")"));
    guest
}

async fn rule(world: &World, guest: &Guest, grants: &str) -> String {
    world.with(guest, grants).await.authorizer().unwrap().judge(&request()).await.unwrap().rule
}

#[tokio::test]
async fn objects_are_found_by_their_kinds() {
    let (world, facts) = world();
    assert_eq!(rule(&world, &finding(0, "web", 8), "objects:container").await, "", "before the engine has come so far");
    assert!(facts.set(Arc::new(Engine)).is_ok());
    for (place, text) in [(8, "4711"), (16, "web"), (32, "sha256:1"), (40, "{\"Id\":\"4711\"}")] {
        assert_eq!(rule(&world, &finding(0, "web", place), "objects:container").await, text);
    }
    for (kind, key, grants) in [(0, "db", "objects:container"), (1, "web", "objects:image"), (0, "web", "objects:image objects:volume")] {
        assert_eq!(rule(&world, &finding(kind, key, 8), grants).await, "", "{kind} {key} {grants}");
    }
    let refusal = world.host.load(package(finding(0, "web", 8).component(), "events")).await.err().unwrap();
    assert!(refusal.kind() == ErrorKind::Forbidden && refusal.to_string().ends_with("objects:KIND"), "{refusal}");
}

#[tokio::test]
async fn events_go_on_after_a_place() {
    let (world, facts) = world();
    // Tells the action of the last of at most `limit` events after 3; nothing when there is none.
    let guest = |limit: u32| {
        let judge = format!(
            "(call $events-since (i64.const 3) (i32.const {limit}) (i32.const 704))
             (i32.store (i32.const 536) (i32.const 0))
             (if (i32.load (i32.const 708)) (then
               (local.set $n (i32.add (i32.load (i32.const 704)) (i32.mul (i32.const 48) (i32.sub (i32.load (i32.const 708)) (i32.const 1)))))
               (if (i64.ne (i64.load offset=8 (local.get $n)) (i64.const 5)) (then unreachable))
               (i32.store (i32.const 532) (i32.load offset=24 (local.get $n))) (i32.store (i32.const 536) (i32.load offset=28 (local.get $n)))))
             (i32.const 512)"
        );
        Guest::judging(&judge).import("events", &[("since", "(param i64 i32 i32)")])
    };
    assert_eq!(rule(&world, &guest(5), "events").await, "");
    assert!(facts.set(Arc::new(Engine)).is_ok());
    assert_eq!(rule(&world, &guest(1), "events").await, "action-4");
    assert_eq!(rule(&world, &guest(u32::MAX), "events").await, "action-10");
    assert_eq!(rule(&world, &guest(0), "events").await, "");
    let refusal = world.host.load(package(guest(1).component(), "objects:image")).await.err().unwrap();
    assert!(refusal.kind() == ErrorKind::Forbidden && refusal.to_string().ends_with("events"), "{refusal}");
}
