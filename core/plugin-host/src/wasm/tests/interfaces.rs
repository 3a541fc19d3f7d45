//! What a plugin sees: the request, field by field, and the interfaces of the host.

use super::{Guest, World, guest::ZEROS, package, request, settings_in};
use crate::wasm::{Clock, ManualClock, Settings, WasmHost};
use serde_json::json;
use std::time::Duration;
use wharf_spi::authz::{Interests, Object, ObjectKind, Patch, Verdict};
use wharf_types::Timestamp;

/// Answers `allow`, with the string whose pointer and length are at this place as the rule.
fn telling(place: &str) -> Guest {
    Guest::judging(&format!(
        "(i32.store (i32.const 532) (i32.load {place})) (i32.store (i32.const 536) (i32.load (i32.add (i32.const 4) {place}))) (i32.const 512)"
    ))
}

#[tokio::test]
async fn every_field_arrives() {
    let world = World::new();
    let rq = |offset: u32| format!("(i32.add (local.get $rq) (i32.const {offset}))");
    let inside = |place: String, offset: u32| format!("(i32.add (i32.load {place}) (i32.const {offset}))");
    for (place, text) in [
        (rq(0), "container.create"),
        (rq(8), "1.45"),
        (rq(44), "common"),
        (inside(rq(52), 0), "alternative"),
        (rq(84), "caller-container"),
        (inside(rq(116), 4), "named"),
        (inside(inside(rq(116), 28), 0), "label"),
        (inside(inside(rq(116), 28), 8), "value"),
        (inside(rq(128), 0), "privileged"),
        (inside(rq(136), 8), "/target"),
        (inside(rq(144), 0), "SYS_ADMIN"),
        (inside(rq(152), 0), "0.0.0.0:80/tcp"),
        (rq(160), "{\"Image\":\"x\"}"),
        (rq(168), "POST /containers/create"),
    ] {
        let decision = world.load(&telling(&place)).await.unwrap().authorizer().unwrap().judge(&request()).await.unwrap();
        assert_eq!((decision.verdict, decision.rule.as_str()), (Verdict::Allow, text), "{place}");
    }
    let numbers = Guest::judging(&format!(
        "(if (i32.ne (i32.load {}) (i32.const 1)) (then unreachable)) (if (i32.ne (i32.load {}) (i32.const 5)) (then unreachable))
         (if (i32.ne (i32.load8_u (i32.load {})) (i32.const 1)) (then unreachable)) {ZEROS}",
        rq(20),
        rq(36),
        rq(116),
    ));
    world.load(&numbers).await.unwrap().authorizer().unwrap().judge(&request()).await.unwrap();
}

#[tokio::test]
async fn verdicts_come_back() {
    let world = World::new();
    let mut guest = Guest::judging(
        "(i32.store8 (i32.const 516) (i32.const 2)) (i32.store (i32.const 520) (i32.const 600)) (i32.store (i32.const 524) (i32.const 2))
         (i32.store8 (i32.const 528) (i32.const 1)) (i32.const 512)",
    );
    guest.fields = "(data (i32.const 600) \"no\")".to_owned();
    let decision = world.load(&guest).await.unwrap().authorizer().unwrap().judge(&request()).await.unwrap();
    let Verdict::Deny(denial) = decision.verdict else { panic!("{decision:?}") };
    assert_eq!((denial.reason.as_str(), denial.hide), ("no", true));

    // Two patches of 24 bytes each: memory-limit and pids-limit.
    let patches = Guest::judging(
        "(i32.store8 (i32.const 516) (i32.const 1)) (i32.store (i32.const 520) (i32.const 640)) (i32.store (i32.const 524) (i32.const 2))
         (i32.store8 (i32.const 640) (i32.const 1)) (i64.store (i32.const 648) (i64.const 5000000000))
         (i32.store8 (i32.const 664) (i32.const 2)) (i32.store (i32.const 672) (i32.const 9)) (i32.const 512)",
    );
    let decision = world.load(&patches).await.unwrap().authorizer().unwrap().judge(&request()).await.unwrap();
    assert_eq!(decision.verdict, Verdict::AllowWith(vec![Patch::MemoryLimit(5_000_000_000), Patch::PidsLimit(9)]));

    let error = Guest::judging(
        "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const 600)) (i32.store (i32.const 520) (i32.const 2)) (i32.const 512)",
    );
    let error = Guest { fields: "(data (i32.const 600) \"no\")".to_owned(), ..error };
    let plugin = world.load(&error).await.unwrap();
    assert_eq!(super::refused(&plugin).await, "no");
    assert_eq!(plugin.health().status.word(), "healthy", "an error is an answer");
    assert_eq!(plugin.statistics().iter().find(|(name, _)| *name == "judge").unwrap().1.errors, 1);
}

#[tokio::test]
async fn lists_are_filtered_in_order() {
    let world = World::new();
    // ok(list of two: true, false)
    let guest = Guest {
        interests: "(i32.store8 (i32.const 701) (i32.const 1)) (i32.const 700)".to_owned(),
        filter: "(i32.store (i32.const 516) (i32.const 600)) (i32.store (i32.const 520) (i32.const 2)) (i32.store8 (i32.const 600) (i32.const 1)) (i32.const 512)".to_owned(),
        ..Guest::default()
    };
    let authorizer = world.load(&guest).await.unwrap().authorizer().unwrap();
    assert_eq!(authorizer.interests(), Interests { input: false, filter: true });
    let objects: Vec<Object> = (0..2).map(|n| Object::named(ObjectKind::Container, &n.to_string())).collect();
    assert_eq!(authorizer.filter(&request().caller, &objects).await.unwrap(), [true, false]);
    let error = authorizer.filter(&request().caller, &objects[..1]).await.unwrap_err();
    assert!(error.to_string().contains("asked about 1 objects and answered about 2"), "{error}");
}

#[tokio::test]
async fn settings_are_seen_with_defaults() {
    let world = World::new();
    let mut guest =
        Guest::judging("(call $config-settings (i32.const 532)) (i32.const 512)").import("config", &[("settings", "(param i32)")]);
    guest.reload = ZEROS.to_owned();
    let mut package = package(guest.component(), "");
    package.schema = Some(json!({"type": "object", "properties": {"n": {"type": "integer", "default": 7}}, "additionalProperties": false}));
    let plugin = world.host.load(package.clone()).await.unwrap();
    let authorizer = plugin.authorizer().unwrap();
    assert_eq!(authorizer.judge(&request()).await.unwrap().rule, r#"{"n":7}"#);
    plugin.reload(json!({"n": 8})).await.unwrap();
    assert_eq!(authorizer.judge(&request()).await.unwrap().rule, r#"{"n":8}"#);
    assert!(plugin.reload(json!({"m": 8})).await.unwrap_err().to_string().contains("invalid settings"));
    assert_eq!(authorizer.judge(&request()).await.unwrap().rule, r#"{"n":8}"#);
    package.settings = json!({"n": "x"});
    assert!(world.host.load(package).await.err().unwrap().to_string().contains("n: "));
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut() {
    let world = World::new();
    let write = "(call $log-write (i32.const 1) (i32.const 600) (i32.const 5))";
    let mut guest = Guest::judging(&format!(
        "(loop $l {write} (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 10000)))) {ZEROS}"
    ))
    .import("log", &[("write", "(param i32 i32 i32)")]);
    guest.fields.push_str("(data (i32.const 600) \"hello\")");
    let plugin = world.load(&guest).await.unwrap();
    plugin.authorizer().unwrap().judge(&request()).await.unwrap();
    let lines = plugin.log();
    assert!(lines.len() >= 100 && lines.len() <= 200, "{}", lines.len());
    assert!(lines[0].ends_with(" info hello"), "{}", lines[0]);
}

/// Puts the entry `k` = `v` at every start, and fails when that is refused.
fn storing() -> Guest {
    let mut guest = Guest::default().import("state", &[("commit", "(param i32 i32 i32)"), ("get", "(param i32 i32 i32)")]);
    guest.fields.push_str("(data (i32.const 600) \"kv\")");
    // change: case at 640, entry at 644 (key) and 652 (value); get: option at 712.
    guest.start = format!(
        "(i32.store (i32.const 644) (i32.const 600)) (i32.store (i32.const 648) (i32.const 1)) (i32.store (i32.const 652) (i32.const 601))
         (i32.store (i32.const 656) (i32.const 1)) (call $state-commit (i32.const 640) (i32.const 1) (i32.const 704))
         (if (i32.load8_u (i32.const 704)) (then unreachable)) {ZEROS}"
    );
    guest.judge = "(call $state-get (i32.const 600) (i32.const 1) (i32.const 704)) (if (i32.load8_u (i32.const 704)) (then unreachable))
        (i32.store (i32.const 532) (i32.load (i32.const 716))) (i32.store (i32.const 536) (i32.load (i32.const 720))) (i32.const 512)"
        .to_owned();
    guest
}

#[tokio::test]
async fn state_lasts_and_has_a_quota() {
    let world = World::new();
    let plugin = world.with(&storing(), "state").await;
    assert_eq!(plugin.authorizer().unwrap().judge(&request()).await.unwrap().rule, "v");
    plugin.stop().await;
    let reading = Guest { start: ZEROS.to_owned(), ..storing() };
    let plugin = world.with(&reading, "state").await;
    assert_eq!(plugin.authorizer().unwrap().judge(&request()).await.unwrap().rule, "v");
    plugin.stop().await;
    world.host.remove("p").unwrap();

    let mut package = package(storing().component(), "state");
    package.limits.state = Some(1);
    assert!(world.host.load(package).await.err().unwrap().to_string().contains("it panicked"), "over the quota");
}

#[tokio::test]
async fn numbers_are_reported() {
    let world = World::new();
    let mut guest =
        Guest::judging(&format!("(call $metrics-add (i32.const 600) (i32.const 4) (i32.const 0) (i32.const 0) (f64.const 2)) {ZEROS}"))
            .import("metrics", &[("add", "(param i32 i32 i32 i32 f64)")]);
    guest.fields.push_str("(data (i32.const 600) \"hits\")");
    let plugin = world.with(&guest, "metrics").await;
    for _ in 0..2 {
        plugin.authorizer().unwrap().judge(&request()).await.unwrap();
    }
    assert_eq!(
        plugin.series(),
        (vec![crate::wasm::Series { name: "hits".to_owned(), labels: Vec::new(), number: crate::wasm::Number::Counter(4.0) }], 0)
    );
}

#[tokio::test]
async fn timers_wake() {
    let world = World::new();
    let mut guest =
        Guest::default().import("timers", &[("set", "(param i32 i32 i64 i32 i64 i32)")]).import("log", &[("write", "(param i32 i32 i32)")]);
    guest.fields.push_str("(data (i32.const 600) \"tick\")");
    guest.start = format!(
        "(call $timers-set (i32.const 600) (i32.const 4) (i64.const 100) (i32.const 0) (i64.const 0) (i32.const 704)) (if (i32.load8_u (i32.const 704)) (then unreachable)) {ZEROS}"
    );
    guest.wake = format!("(call $log-write (i32.const 2) (local.get 0) (local.get 1)) {ZEROS}");
    let plugin = world.with(&guest, "timers").await;
    for _ in 0..100 {
        if plugin.log().iter().any(|line| line.ends_with(" warn tick")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", plugin.log());
}

#[tokio::test]
async fn time_passes_as_a_test_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new(Timestamp::from_nanos(1_000));
    let host = WasmHost::new(Settings { clock: Clock::Manual(clock.clone()), ..settings_in(dir.path()) }).unwrap();
    // A timer that goes off every minute; a decision after 90 seconds.
    let mut guest = Guest::default()
        .import("timers", &[("set", "(param i32 i32 i64 i32 i64 i32)")])
        .import("log", &[("write", "(param i32 i32 i32)")])
        .import("clock", &[("now", "(result i64)"), ("monotonic", "(result i64)")]);
    guest.fields.push_str("(data (i32.const 600) \"tick\")");
    guest.start = format!(
        "(call $timers-set (i32.const 600) (i32.const 4) (i64.const 60000) (i32.const 1) (i64.const 60000) (i32.const 704)) (if (i32.load8_u (i32.const 704)) (then unreachable)) {ZEROS}"
    );
    guest.wake = format!("(call $log-write (i32.const 2) (local.get 0) (local.get 1)) {ZEROS}");
    guest.judge = format!(
        "(if (i64.ne (call $clock-now) (i64.add (call $clock-monotonic) (i64.const 1000))) (then unreachable))
         (if (i64.ne (call $clock-monotonic) (i64.const 90000000000)) (then unreachable)) {ZEROS}"
    );
    let plugin = host.load(package(guest.component(), "timers")).await.unwrap();
    let ticks = || plugin.log().iter().filter(|line| line.ends_with(" warn tick")).count();
    plugin.pass(Duration::from_secs(59)).await.unwrap();
    assert_eq!(ticks(), 0);
    plugin.pass(Duration::from_secs(31)).await.unwrap();
    assert_eq!(ticks(), 1);
    plugin.authorizer().unwrap().judge(&request()).await.unwrap();
    plugin.pass(Duration::from_secs(600)).await.unwrap();
    assert_eq!(ticks(), 11);
    // An operator sets the clock: what was to come has passed.
    clock.set(Timestamp::from_nanos(clock.now().nanos() + 3_600_000_000_000));
    plugin.pass(Duration::ZERO).await.unwrap();
    assert_eq!(ticks(), 12);
    let other = World::new();
    assert!(other.load(&Guest::default()).await.unwrap().pass(Duration::ZERO).await.is_err());
}

#[tokio::test]
async fn changed_files_do_not_end_a_quarantine() {
    let world = World::new();
    let path = world.dir.path().join("policy");
    std::fs::write(&path, "old").unwrap();
    let name = path.to_str().unwrap();
    let mut guest = Guest::judging("unreachable").import("files", &[("read", "(param i32 i32 i32)")]);
    guest.fields.push_str(&format!("(data (i32.const 600) \"{name}\")"));
    guest.start = format!("(call $files-read (i32.const 600) (i32.const {}) (i32.const 704)) {ZEROS}", name.len());
    let plugin = world.with(&guest, &format!("files:{name}")).await;
    for _ in 0..5 {
        super::refused(&plugin).await;
    }
    std::fs::write(&path, "newer").unwrap();
    while !plugin.log().iter().any(|line| line.contains("changed: reloaded")) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(plugin.health().status.word(), "quarantined");
    plugin.reload(serde_json::Value::Null).await.unwrap();
    assert_eq!(plugin.health().status.word(), "healthy");
}

#[tokio::test]
async fn changed_files_reload_and_bad_ones_keep_the_last_good() {
    let world = World::new();
    let path = world.dir.path().join("policy");
    std::fs::write(&path, "good").unwrap();
    let name = path.to_str().unwrap();
    // Start and judge read the file; it must begin with "g". result<list<u8>, string> at 704.
    let read = format!(
        "(call $files-read (i32.const 600) (i32.const {}) (i32.const 704)) (if (i32.load8_u (i32.const 704)) (then unreachable))",
        name.len()
    );
    let mut guest = Guest::default().import("files", &[("read", "(param i32 i32 i32)")]);
    guest.fields.push_str(&format!("(data (i32.const 600) \"{name}\")"));
    guest.start = format!("{read} (if (i32.ne (i32.load8_u (i32.load (i32.const 708))) (i32.const 103)) (then unreachable)) {ZEROS}");
    guest.judge = format!(
        "{read} (i32.store (i32.const 532) (i32.load (i32.const 708))) (i32.store (i32.const 536) (i32.load (i32.const 712))) (i32.const 512)"
    );
    assert!(name.len() < 100);
    let plugin = world.with(&guest, &format!("files:{name}")).await;
    let authorizer = plugin.authorizer().unwrap();
    assert_eq!(authorizer.judge(&request()).await.unwrap().rule, "good");

    let until = async |word: &str| {
        for _ in 0..200 {
            if plugin.log().iter().any(|line| line.contains(word)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{word}: {:?}", plugin.log());
    };
    std::fs::write(&path, "bad").unwrap();
    until("it goes on with the old ones").await;
    let both = tokio::join!(async { authorizer.judge(&request()).await.unwrap().rule }, async {
        authorizer.judge(&request()).await.unwrap().rule
    });
    assert_eq!(both, ("good".to_owned(), "good".to_owned()));
    assert_eq!(plugin.health().status.word(), "healthy");
    std::fs::write(&path, "great").unwrap();
    until("changed: reloaded").await;
    assert_eq!(authorizer.judge(&request()).await.unwrap().rule, "great");
}
