//! Log drivers and transformations.

use super::{Answers, LOOP, World, list, trouble};
use crate::wasm::Plugin;
use std::time::{Duration, Instant};
use wharf_spi::logging::{
    LogContainer, LogSink, Outcome,
    batch::{Entry, Stream, append},
};
use wharf_types::{ErrorKind, Timestamp};

const PUSH: &str = "[method]sink.push";

fn batch(lines: &[&str]) -> Vec<u8> {
    let mut batch = Vec::new();
    for line in lines {
        append(&mut batch, &Entry { time: 1, stream: Stream::Out, partial: false, line: line.as_bytes() }).unwrap();
    }
    batch
}

async fn sink(plugin: &Plugin, cursor: u64) -> Box<dyn LogSink> {
    let text = str::to_owned;
    let container = LogContainer {
        id: text("id"),
        name: text("name"),
        image_id: text("image"),
        image_name: text("alpine"),
        command: text("sh"),
        created: Timestamp::from_nanos(1),
        labels: vec![(text("k"), text("v"))],
        env: Vec::new(),
    };
    plugin.log_driver().unwrap().open(&container, &[], cursor).await.unwrap()
}

fn calls(plugin: &Plugin, function: &str) -> u64 {
    plugin.statistics().iter().find(|(name, _)| *name == function).map_or(0, |(_, calls)| calls.seconds.count)
}

#[tokio::test]
async fn batches_go_to_a_sink_that_is_made_once() {
    let world = World::new();
    let plugin = world.kind(&Answers::of(&["logging"]), "").await;
    assert!(plugin.authorizer().is_none() && plugin.log_transform().is_none() && plugin.volume_driver().is_none());
    plugin.log_driver().unwrap().validate(&[("a".into(), "b".into())]).await.unwrap();
    let mut sink = sink(&plugin, 0).await;
    for cursor in 1..4 {
        assert_eq!(sink.push(&batch(&["a", "b"]), cursor).await.unwrap(), Outcome::Committed);
    }
    sink.close().await.unwrap();
    assert_eq!((calls(&plugin, "logging.open"), calls(&plugin, "logging.push"), calls(&plugin, "logging.close")), (1, 3, 1));
}

#[tokio::test]
async fn outcomes_come_back_within_reason() {
    let world = World::new();
    // result<outcome, string>: case of the result at 0, of the outcome at 8, its value at 16.
    let case = |case: u8, value: &[u8]| [&[0; 8][..], &[case], &[0; 7], value].concat();
    for (milliseconds, seconds) in [(3_000u64, 3.0), (0, 0.1), (u64::MAX, 3_600.0)] {
        let later = Answers::of(&["logging"]).answer(PUSH, &case(1, &milliseconds.to_le_bytes()));
        let outcome = sink(&world.kind(&later, "").await, 0).await.push(&batch(&["a"]), 1).await.unwrap();
        assert_eq!(outcome, Outcome::RetryAfter(Duration::from_secs_f64(seconds)));
    }
    let rejecting = |places: &[u32]| {
        let mut answers = Answers::of(&["logging"]);
        let at = answers.place(&places.iter().flat_map(|p| p.to_le_bytes()).collect::<Vec<_>>());
        answers.answer(PUSH, &case(2, &list(at, places.len())))
    };
    for good in [&[0, 2][..], &[]] {
        let outcome = sink(&world.kind(&rejecting(good), "").await, 0).await.push(&batch(&["a", "b", "c"]), 1).await.unwrap();
        assert_eq!(outcome, Outcome::Rejected(good.to_vec()));
    }
    for bad in [&[3][..], &[1, 0], &[1, 1], &[0, u32::MAX]] {
        let plugin = world.kind(&rejecting(bad), "").await;
        let text = trouble(&plugin, sink(&plugin, 0).await.push(&batch(&["a", "b", "c"]), 1).await);
        assert!(text.starts_with("it answered nonsense: it rejects entries that a batch of 3 does not have"), "{text}");
        assert_eq!(plugin.statistics().iter().find(|(name, _)| *name == "logging.push").unwrap().1.traps, 1);
    }
}

#[tokio::test]
async fn a_new_sink_begins_after_what_was_acknowledged() {
    let world = World::new();
    // A batch that ends at 2 is too much for a sink that began at 0: its instance traps.
    let answers = Answers::of(&["logging"])
        .field("(global $began (mut i64) (i64.const 0))")
        // The constructor's parameters are in memory: the record, the options, and the cursor at 72.
        .body("[constructor]sink", "(global.set $began (i64.load (i32.add (local.get 0) (i32.const 72)))) (call $new (i32.const 7))")
        .body(PUSH, "(if (i32.and (i64.eq (local.get 3) (i64.const 2)) (i64.eqz (global.get $began))) (then unreachable)) (i32.const 64)");
    let plugin = world.kind(&answers, "").await;
    let mut one = sink(&plugin, 0).await;
    one.push(&batch(&["a"]), 1).await.unwrap();
    assert_eq!(trouble(&plugin, one.push(&batch(&["b"]), 2).await), "it panicked (see its log)");
    assert_eq!(one.push(&batch(&["b"]), 2).await.unwrap(), Outcome::Committed);
    assert_eq!(plugin.health().status.word(), "healthy");
    plugin.reload(serde_json::Value::Null).await.unwrap();
    one.push(&batch(&["c"]), 2).await.unwrap();
    assert_eq!(calls(&plugin, "logging.open"), 3);
}

#[tokio::test]
async fn a_dead_driver_holds_nobody_longer_than_its_deadline() {
    let world = World::new();
    let plugin = world.kind(&Answers::of(&["logging"]).body(PUSH, LOOP), "").await;
    let (mut one, mut two) = (sink(&plugin, 0).await, sink(&plugin, 0).await);
    let lines = batch(&["a"]);
    let began = Instant::now();
    let (one, two) = tokio::join!(one.push(&lines, 1), two.push(&lines, 1));
    // The deadline is 300 ms; the second waits for the one instance that there is.
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(one.unwrap_err().to_string(), "it did not answer within 300ms");
    assert_eq!(two.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn sinks_that_nobody_closed_are_dropped() {
    let world = World::new();
    let plugin = world.kind(&Answers::of(&["logging"]).body("[dtor]sink", "unreachable"), "").await;
    let mut first = sink(&plugin, 0).await;
    first.push(&batch(&["a"]), 1).await.unwrap();
    drop(first);
    let mut second = sink(&plugin, 0).await;
    assert_eq!(trouble(&plugin, second.push(&batch(&["a"]), 1).await), "it panicked (see its log)");
    second.push(&batch(&["a"]), 1).await.unwrap();
}

#[tokio::test]
async fn options_are_refused_in_the_plugins_words() {
    let world = World::new();
    let mut answers = Answers::of(&["logging"]);
    let at = answers.place(b"no");
    let plugin = world.kind(&answers.answer("driver@0.1.0#validate", &[&[1, 0, 0, 0][..], &list(at, 2)].concat()), "").await;
    let error = plugin.log_driver().unwrap().validate(&[]).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidParameter, "no"));
    assert_eq!(plugin.health().status.word(), "healthy");
}

#[tokio::test]
async fn transformations_answer_whole_entries() {
    let world = World::new();
    let apply = "transform@0.1.0#apply";
    // ok, and the same bytes.
    let same = "(i32.store (i32.const 516) (local.get 0)) (i32.store (i32.const 520) (local.get 1)) (i32.const 512)";
    let plugin = world.kind(&Answers::of(&["log-transform"]).body(apply, same), "").await;
    let lines = batch(&["a", "bc"]);
    assert_eq!(plugin.log_transform().unwrap().apply(&lines).await.unwrap(), lines);
    assert!(plugin.log_driver().is_none());
    for (body, expected) in [
        (same.replace("(local.get 1)", "(i32.const 5)"), "it answered nonsense: entry 0 of the batch is cut off"),
        ("unreachable".to_owned(), "it panicked (see its log)"),
        (LOOP.to_owned(), "it did not answer within 300ms"),
    ] {
        let plugin = world.kind(&Answers::of(&["log-transform"]).body(apply, &body), "").await;
        assert_eq!(trouble(&plugin, plugin.log_transform().unwrap().apply(&lines).await), expected);
    }
}
