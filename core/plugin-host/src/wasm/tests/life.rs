//! Loading, sharing, reloading, ending.

use super::{Guest, World, guest::ZEROS, host_in, package, request};
use std::{sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_run_side_by_side_up_to_the_limit() {
    let world = World::new();
    // Each call takes 40 ms of its own time.
    let mut guest = Guest::default().import("clock", &[("monotonic", "(result i64)")]);
    guest.judge = format!(
        "(local.set $end (i64.add (call $clock-monotonic) (i64.const 40000000)))
         (loop $l (br_if $l (i64.lt_u (call $clock-monotonic) (local.get $end)))) {ZEROS}"
    );
    let mut package = package(guest.component(), "");
    package.limits.instances = Some(4);
    package.limits.deadline = Some(Duration::from_secs(20));
    let plugin = world.host.load(package).await.unwrap();
    let authorizer = plugin.authorizer().unwrap();
    let calls: Vec<_> = (0..12)
        .map(|_| {
            let authorizer = Arc::clone(&authorizer);
            tokio::spawn(async move { authorizer.judge(&request()).await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let starts = plugin.statistics().iter().find(|(name, _)| *name == "start").unwrap().1.seconds.count;
    assert!((2..=4).contains(&starts), "{starts}");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing() {
    let world = World::new();
    let plugin = world.load(&Guest::judging("(loop $l (br $l)) unreachable")).await.unwrap();
    let authorizer = plugin.authorizer().unwrap();
    for _ in 0..40 {
        let _ = tokio::time::timeout(Duration::from_millis(1), authorizer.judge(&request())).await;
    }
    assert_eq!(plugin.health().status.word(), "healthy");
}

#[tokio::test]
async fn a_stopped_plugin_refuses() {
    let world = World::new();
    let plugin = world.load(&Guest::default()).await.unwrap();
    let authorizer = plugin.authorizer().unwrap();
    authorizer.judge(&request()).await.unwrap();
    plugin.stop().await;
    assert_eq!(authorizer.judge(&request()).await.unwrap_err().to_string(), "it is stopped");
    assert!(plugin.reload(serde_json::Value::Null).await.is_err());
}

#[tokio::test]
async fn another_host_loads_from_the_cache() {
    let world = World::new();
    let wasm = Guest::default().component();
    let digest = world.host.describe(wasm.clone()).await.unwrap().digest;
    let files = || {
        std::fs::read_dir(world.dir.path().join("cache"))
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().modified().unwrap())
            .collect::<Vec<_>>()
    };
    let before = files();
    let other = host_in(world.dir.path());
    other.load(package(wasm, "")).await.unwrap();
    assert_eq!((files(), before.len()), (before, 1));
    crate::wasm::retain(&world.dir.path().join("cache"), &[digest]).unwrap();
    assert_eq!(files().len(), 1);
    crate::wasm::retain(&world.dir.path().join("cache"), &[]).unwrap();
    assert_eq!(files().len(), 0);
}

/// Bytes of this process that are nobody else's.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Private_Dirty:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn ten_thousand_reloads_take_no_memory() {
    let world = World::new();
    let plugin = world.load(&Guest::default()).await.unwrap();
    let authorizer = plugin.authorizer().unwrap();
    let rounds = async |n: u32| {
        for _ in 0..n {
            plugin.reload(serde_json::Value::Null).await.unwrap();
            authorizer.judge(&request()).await.unwrap();
        }
    };
    rounds(100).await;
    let before = resident();
    rounds(10_000).await;
    let grown = resident().saturating_sub(before);
    // Other tests of this process run at the same time; a leak of one instance's memory each would be 64 MiB at least.
    assert!(grown < 32 << 20, "{grown} bytes more");
}
