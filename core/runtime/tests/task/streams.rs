//! Attached clients: framing, terminals, standard input, slow readers.

use crate::{
    matrix,
    stage::{Stage, all, demultiplex, drain},
};
use serde_json::json;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};
use wharf_runtime::task::AttachRequest;
use wharf_types::Signal;

matrix!(
    a_terminal_has_its_size_and_one_raw_stream,
    standard_input_ends_with_its_only_client,
    standard_input_stays_open_for_the_next_client,
    a_slow_reader_loses_nothing,
    streams_can_be_chosen,
    without_standard_input_a_read_ends_at_once,
    much_input_arrives_whole,
    an_ended_container_gives_an_ended_stream,
);

async fn expect(stream: &mut UnixStream, text: &str) -> String {
    let mut seen = Vec::new();
    timeout(Duration::from_secs(20), async {
        while !String::from_utf8_lossy(&seen).contains(text) {
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).await.unwrap();
            assert!(n > 0, "ended after {:?}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..n]);
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{text:?} did not come, only {:?}", String::from_utf8_lossy(&seen)));
    String::from_utf8_lossy(&seen).into_owned()
}

async fn a_terminal_has_its_size_and_one_raw_stream(stage: Stage) {
    let stage = stage.script("stty -echo; stty size; read x; stty size; echo got $x >&2; ls -l /proc/self/fd/0").tty([33, 101]);
    let task = stage.create().await.unwrap();
    let mut stream = task.attach(all()).await.unwrap().stream;
    task.start().await.unwrap();
    expect(&mut stream, "33 101\r\n").await;
    task.resize(None, 44, 120).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    let rest = String::from_utf8(drain(stream).await).unwrap();
    assert!(rest.contains("44 120\r\n") && rest.contains("got hello\r\n") && rest.contains("/dev/pts/0"), "{rest:?}");
    assert_eq!(task.wait().await.unwrap().code, 0);
    stage.finish(&task).await;
    assert!(stage.log().iter().all(|e| e.source.as_str() == "stdout"));
}

async fn standard_input_ends_with_its_only_client(stage: Stage) {
    let stage = stage.script("cat; echo end").stdin(true);
    let task = stage.create().await.unwrap();
    let mut stream = task.attach(all()).await.unwrap().stream;
    task.start().await.unwrap();
    stream.write_all(b"some text\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(demultiplex(&drain(stream).await).0, "some text\nend\n");
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

async fn standard_input_stays_open_for_the_next_client(stage: Stage) {
    let stage = stage.script("while read line; do echo got $line; done").stdin(false);
    let task = stage.start().await;
    for text in ["one", "two"] {
        let mut stream = task.attach(all()).await.unwrap().stream;
        stream.write_all(format!("{text}\n").as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        expect(&mut stream, &format!("got {text}\n")).await;
    }
    task.close_stdin(None).await.unwrap();
    assert_eq!(task.wait().await.unwrap().code, 0);
    stage.finish(&task).await;
}

async fn a_slow_reader_loses_nothing(stage: Stage) {
    const SIZE: usize = 8 << 20;
    let stage = stage.script("yes 0123456789 | head -c 8388608");
    let task = stage.create().await.unwrap();
    let stream = task.attach(all()).await.unwrap().stream;
    task.start().await.unwrap();
    // Longer than it takes to fill every buffer, and than the grace for output after an exit.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (out, _) = demultiplex(&drain(stream).await);
    assert_eq!(out.len(), SIZE);
    assert!(out.lines().take(700_000).all(|l| l == "0123456789"));
    task.wait().await.unwrap();
    stage.finish(&task).await;
    let logged: usize = stage.log().iter().map(|e| e.line.len() + usize::from(e.ends_line())).sum();
    assert_eq!(logged, SIZE);
}

#[tokio::test]
async fn a_stuck_reader_does_not_stall_the_container() {
    let stage = Stage::builtin().script("yes 0123456789 | head -c 8388608");
    let task = stage.create().await.unwrap();
    let _stuck = task.attach(all()).await.unwrap();
    task.start().await.unwrap();
    let record = timeout(Duration::from_secs(25), task.wait()).await.expect("the container ends").unwrap();
    assert_eq!(record.code, 0);
    stage.finish(&task).await;
    let logged: usize = stage.log().iter().map(|e| e.line.len() + usize::from(e.ends_line())).sum();
    assert_eq!(logged, 8 << 20);
}

async fn streams_can_be_chosen(stage: Stage) {
    let stage = stage.script("echo out; echo err >&2");
    let task = stage.create().await.unwrap();
    let out = task.attach(AttachRequest { stdout: true, ..Default::default() }).await.unwrap().stream;
    let err = task.attach(AttachRequest { stderr: true, ..Default::default() }).await.unwrap().stream;
    task.start().await.unwrap();
    assert_eq!(demultiplex(&drain(out).await), ("out\n".into(), String::new()));
    assert_eq!(demultiplex(&drain(err).await), (String::new(), "err\n".into()));
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

async fn without_standard_input_a_read_ends_at_once(stage: Stage) {
    let (out, _, record) = stage.script("cat; echo $?").run().await;
    assert_eq!((out.as_str(), record.code), ("0\n", 0));
}

async fn much_input_arrives_whole(stage: Stage) {
    let stage = stage.script("usleep 300000; wc -c").stdin(true);
    let task = stage.create().await.unwrap();
    let mut stream = task.attach(all()).await.unwrap().stream;
    task.start().await.unwrap();
    stream.write_all(&vec![b'x'; 3 << 20]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(demultiplex(&drain(stream).await).0.trim(), (3 << 20).to_string());
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

async fn an_ended_container_gives_an_ended_stream(mut stage: Stage) {
    stage.spec["process"]["args"] = json!(["true"]);
    let task = stage.start().await;
    task.wait().await.unwrap();
    assert!(drain(task.attach(all()).await.unwrap().stream).await.is_empty());
    assert!(task.kill(Signal::TERM).await.is_err());
    stage.finish(&task).await;
}
