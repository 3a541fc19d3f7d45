//! Plugins that break every rule: each is refused in words that tell why, and the next call finds a fresh instance.

use super::{Guest, Package, World, guest::ZEROS, package, refused, request};
use crate::wasm::{engine::INSTANCES, policy};
use std::time::{Duration, Instant};
use wharf_spi::authz::Verdict;
use wharf_types::ErrorKind;

#[tokio::test]
async fn an_endless_loop_meets_its_deadline() {
    let world = World::new();
    let plugin = world.load(&Guest::judging("(loop $l (br $l)) unreachable")).await.unwrap();
    let began = Instant::now();
    assert_eq!(refused(&plugin).await, "it did not answer within 300ms");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(plugin.statistics().iter().find(|(name, _)| *name == "judge").unwrap().1.timeouts, 1);
}

#[tokio::test]
async fn a_loop_lets_others_run() {
    let world = World::new();
    let plugin = world.load(&Guest::judging("(loop $l (br $l)) unreachable")).await.unwrap();
    let other = async {
        for n in 0.. {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if n == 5 {
                return;
            }
        }
    };
    // One thread: the loop has to be left for the other to finish first.
    tokio::select! {
        _ = refused(&plugin) => panic!("the loop was first"),
        () = other => {}
    }
}

#[tokio::test]
async fn endless_host_calls_meet_their_deadline() {
    let world = World::new();
    let clock = Guest::judging("(loop $l (drop (call $clock-now)) (br $l)) unreachable").import("clock", &[("now", "(result i64)")]);
    assert_eq!(refused(&world.load(&clock).await.unwrap()).await, "it did not answer within 300ms");
    let random = Guest::judging(
        "(loop $l (global.set $next (i32.const 4096)) (call $random-bytes (i32.const 1000) (i32.const 128)) (br $l)) unreachable",
    )
    .import("random", &[("bytes", "(param i32 i32)")]);
    assert_eq!(refused(&world.load(&random).await.unwrap()).await, "it did not answer within 300ms");
}

#[tokio::test]
async fn memory_has_an_end() {
    let world = World::new();
    let plugin = world.load(&Guest::judging("(loop $l (drop (memory.grow (i32.const 16))) (br $l)) unreachable")).await.unwrap();
    assert_eq!(refused(&plugin).await, "it needed more than its 4194304 bytes of memory");
    let judge = format!("(drop (table.grow 0 (ref.null func) (i32.const 1000000))) {ZEROS}");
    let guest = Guest { fields: "(table 1 funcref)".to_owned(), ..Guest::judging(&judge) };
    let plugin = world.load(&guest).await.unwrap();
    plugin.authorizer().unwrap().judge(&request()).await.expect("a table that does not grow is an answer");
}

#[tokio::test]
async fn the_stack_has_an_end() {
    let world = World::new();
    let mut guest = Guest::judging("(call $deep)");
    guest.fields = "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))".to_owned();
    assert_eq!(refused(&world.load(&guest).await.unwrap()).await, "it ran out of stack");
}

#[tokio::test]
async fn garbage_is_no_answer() {
    let world = World::new();
    for (what, judge) in [
        ("a pointer out of memory", "(i32.const -4)"),
        ("an unknown case", "(i32.store8 (i32.const 512) (i32.const 7)) (i32.const 512)"),
        ("an unknown verdict", "(i32.store8 (i32.const 516) (i32.const 9)) (i32.const 512)"),
        (
            "a string out of memory",
            "(i32.store (i32.const 532) (i32.const 0x7fffffff)) (i32.store (i32.const 536) (i32.const 9)) (i32.const 512)",
        ),
        (
            "a string that is none",
            "(i32.store8 (i32.const 600) (i32.const 0xff)) (i32.store (i32.const 532) (i32.const 600)) (i32.store (i32.const 536) (i32.const 1)) (i32.const 512)",
        ),
        ("a list without end", "(i32.store8 (i32.const 516) (i32.const 1)) (i32.store (i32.const 524) (i32.const -1)) (i32.const 512)"),
    ] {
        let text = refused(&world.load(&Guest::judging(judge)).await.unwrap()).await;
        assert!(text.starts_with("it crashed: "), "{what}: {text}");
    }
}

#[tokio::test]
async fn too_much_randomness_is_refused() {
    let world = World::new();
    let guest = Guest::judging("(call $random-bytes (i32.const 65537) (i32.const 128)) unreachable")
        .import("random", &[("bytes", "(param i32 i32)")]);
    assert!(refused(&world.load(&guest).await.unwrap()).await.contains("65537 random bytes"));
}

#[tokio::test]
async fn a_flood_of_denied_requests_meets_its_deadline() {
    let world = World::new();
    let nothing = "(i32.const 0) ".repeat(8);
    let guest = Guest::judging(&format!(
        "(loop $l (global.set $next (i32.const 4096))
           (call $http-send (i32.const 600) (i32.const 3) (i32.const 604) (i32.const 18) {nothing} (i32.const 704))
           (br_if $l (i32.eq (i32.load8_u (i32.const 708)) (i32.const 0)))) {ZEROS}"
    ));
    let mut guest = guest.import("http", &[("send", &format!("(param {})", "i32 ".repeat(13)))]);
    guest.fields.push_str("(data (i32.const 600) \"GET\") (data (i32.const 604) \"http://example.org\")");
    assert_eq!(refused(&world.with(&guest, "http:127.0.0.1").await).await, "it did not answer within 300ms");
}

#[tokio::test]
async fn state_has_a_quota() {
    let world = World::new();
    // Puts 64 KiB under one key after another, until that is refused; the refusal must be the quota (case 0).
    let mut guest = Guest::judging(
        "(i32.store (i32.const 644) (i32.const 620)) (i32.store (i32.const 648) (i32.const 4)) (i32.store (i32.const 652) (i32.const 0))
         (i32.store (i32.const 656) (i32.const 65536))
         (loop $l
           (i32.store (i32.const 620) (i32.add (i32.const 0x61616161) (local.get $n))) (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (call $state-commit (i32.const 640) (i32.const 1) (i32.const 704))
           (br_if $l (i32.eqz (i32.load8_u (i32.const 704)))))
         (if (i32.load8_u (i32.const 712)) (then unreachable))
         (if (i32.ne (local.get $n) (i32.const 16)) (then unreachable))
         (call $state-get (i32.const 601) (i32.const 4) (i32.const 704)) (if (i32.load8_u (i32.const 704)) (then unreachable))
         (if (i32.ne (i32.load (i32.const 720)) (i32.const 65536)) (then unreachable)) (i32.const 64)",
    )
    .import("state", &[("commit", "(param i32 i32 i32)"), ("get", "(param i32 i32 i32)")]);
    guest.fields.push_str("(data (i32.const 601) \"aaaa\")");
    let mut package = package(guest.component(), "state");
    package.limits.state = Some(1 << 20);
    package.limits.deadline = Some(Duration::from_secs(20));
    let plugin = world.host.load(package).await.unwrap();
    plugin.authorizer().unwrap().judge(&request()).await.unwrap();
    let file = std::fs::metadata(world.dir.path().join("state/p/state")).unwrap();
    assert!(file.len() < (1 << 20) + 4096, "{}", file.len());
}

#[tokio::test]
async fn a_component_is_not_made_of_everything() {
    let world = World::new();
    for (what, part, most) in [("memories", "(memory 1)", 2), ("tables", "(table 1 funcref)", 8), ("instances", "", 64)] {
        let component = |count: usize| {
            let instances = "(core instance (instantiate $m))".repeat(count);
            wat::parse_str(format!("(component (core module $m {part}) {instances})")).unwrap()
        };
        world.host.describe(component(most)).await.unwrap_or_else(|e| panic!("{what}: {e}"));
        let text = world.host.describe(component(most + 1)).await.err().unwrap().to_string();
        assert!(text.contains(what), "{text}");
    }
}

#[tokio::test]
async fn who_finds_no_room_is_not_to_blame() {
    let world = World::new();
    let wasm = Guest::judging("unreachable").component();
    let load = |n: u32| world.host.load(Package { name: n.to_string(), ..package(wasm.clone(), "") });
    let mut all = Vec::new();
    for n in 0..INSTANCES {
        all.push(load(n).await.unwrap());
    }
    // One goes, and another one takes its place.
    assert_eq!(refused(&all[0]).await, "it panicked (see its log)");
    let last = load(INSTANCES).await.unwrap();
    let text = refused(&all[0]).await;
    assert!(text.starts_with("it is busy: "), "{text}");
    assert_eq!(all[0].health().failures, 1);
    for error in [load(INSTANCES + 1).await.err().unwrap(), last.reload(serde_json::Value::Null).await.unwrap_err()] {
        assert!(error.kind() == ErrorKind::Unavailable && error.message().contains("it is busy: "), "{error}");
    }
    assert_eq!(last.health().status.word(), "healthy");
    drop(last);
    assert_eq!(refused(&all[0]).await, "it panicked (see its log)");
}

#[tokio::test]
async fn what_it_says_has_an_end() {
    let world = World::new();
    // A text of a megabyte: fresh memory is full of zeros.
    let long = |at: u32| {
        format!(
            "(i32.store (i32.const {at}) (i32.mul (memory.grow (i32.const 16)) (i32.const 65536))) (i32.store (i32.const {}) (i32.const 1000000))",
            at + 4
        )
    };
    let error = Guest::judging(&format!("(i32.store8 (i32.const 512) (i32.const 1)) {} (i32.const 512)", long(516)));
    assert!(refused(&world.load(&error).await.unwrap()).await.len() < 5_000);
    let denial = Guest::judging(&format!("(i32.store8 (i32.const 516) (i32.const 2)) {} {} (i32.const 512)", long(520), long(532)));
    let decision = world.load(&denial).await.unwrap().authorizer().unwrap().judge(&request()).await.unwrap();
    let Verdict::Deny(denial) = decision.verdict else { panic!("no denial") };
    assert!(denial.reason.len() < 5_000 && denial.reason.ends_with('…') && decision.rule.len() < 5_000);
}

#[tokio::test]
async fn a_crash_loop_is_quarantined_until_it_is_reloaded() {
    let world = World::new();
    let plugin = world.load(&Guest::judging("unreachable")).await.unwrap();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = heard.clone();
    plugin.watch(std::sync::Arc::new(move |health| log.lock().unwrap().push(health.status.word())));
    for _ in 0..5 {
        assert_eq!(refused(&plugin).await, "it panicked (see its log)");
    }
    let health = plugin.health();
    assert_eq!((health.status.word(), health.failures), ("quarantined", 5));
    let began = Instant::now();
    let text = refused(&plugin).await;
    assert!(text.contains("quarantined") && text.contains("panicked"), "{text}");
    assert!(began.elapsed() < Duration::from_millis(100));
    assert_eq!(plugin.statistics().iter().find(|(name, _)| *name == "judge").unwrap().1.traps, 5);
    plugin.reload(serde_json::Value::Null).await.unwrap();
    assert_eq!(plugin.health().status.word(), "healthy");
    assert_eq!(*heard.lock().unwrap(), ["degraded", "quarantined", "healthy"]);
    assert_eq!(refused(&plugin).await, "it panicked (see its log)");
    assert!(plugin.log().iter().any(|line| line.contains("judge: it panicked")));
}

#[tokio::test]
async fn a_trap_costs_one_instance_only() {
    let world = World::new();
    // The third call of every instance traps.
    let judge = format!(
        "(global.set $calls (i32.add (global.get $calls) (i32.const 1))) (if (i32.eq (global.get $calls) (i32.const 3)) (then unreachable)) {ZEROS}"
    );
    let guest = Guest { fields: "(global $calls (mut i32) (i32.const 0))".to_owned(), ..Guest::judging(&judge) };
    let plugin = world.load(&guest).await.unwrap();
    assert_eq!(plugin.memory() % 65_536, 0);
    assert!(plugin.memory() > 0);
    let authorizer = plugin.authorizer().unwrap();
    for round in 0..3 {
        for _ in 0..2 {
            authorizer.judge(&request()).await.unwrap();
        }
        assert_eq!(refused(&plugin).await, "it panicked (see its log)", "round {round}");
    }
    authorizer.judge(&request()).await.unwrap();
    assert_eq!(plugin.health().status.word(), "healthy");
}

#[tokio::test]
async fn a_plugin_that_does_not_start_is_not_loaded() {
    let world = World::new();
    let slow = Guest { start: "(loop $l (br $l)) unreachable".to_owned(), ..Guest::default() };
    assert_eq!(world.load(&slow).await.err().unwrap().to_string(), "plugin \"p\": it did not answer within 300ms");
    let bad = Guest {
        fields: "(data (i32.const 600) \"no policy\")".to_owned(),
        start: "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const 600)) (i32.store (i32.const 520) (i32.const 9)) (i32.const 512)".to_owned(),
        ..Guest::default()
    };
    assert_eq!(world.load(&bad).await.err().unwrap().to_string(), "plugin \"p\": no policy");
}

#[tokio::test]
async fn limits_have_limits() {
    let world = World::new();
    let mut package = package(Guest::default().component(), "");
    package.limits.memory = Some(policy::MEMORY_MAX + 1);
    assert!(world.host.load(package).await.err().unwrap().to_string().contains("at the most"));
}
