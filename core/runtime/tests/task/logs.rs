//! What ends up in log files.

use crate::stage::{Stage, all, demultiplex, drain};
use std::{fs, os::unix::fs::MetadataExt, time::Duration};
use tokio::{io::AsyncReadExt, time::timeout};
use wharf_runtime::task::{AttachRequest, LogSettings};
use wharf_shim_proto::journal::local;
use wharf_types::Signal;

#[tokio::test]
async fn json_file_is_what_docker_writes() {
    let mut stage = Stage::builtin().script("printf 'a<b>\\n'; head -c 20000 /dev/zero | tr '\\0' x");
    stage.launch.log = LogSettings::JsonFile {
        path: stage.dir.path().join("log"),
        max_size: None,
        max_file: 1,
        compress: false,
        attrs: [("tag".to_owned(), "t".to_owned())].into(),
    };
    let (_, _, record) = stage.run().await;
    assert_eq!(record.code, 0);
    let text = stage.log_text();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with(r#"{"log":"a\u003cb\u003e\n","stream":"stdout","attrs":{"tag":"t"},"time":"20"#), "{}", lines[0]);
    let sizes: Vec<_> = stage.log().iter().map(|e| (e.line.len(), e.ends_line())).collect();
    assert_eq!(sizes, [(4, true), (16384, false), (3616, false)]);
    assert_eq!(fs::metadata(stage.dir.path().join("log")).unwrap().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn local_is_readable_from_both_ends() {
    let mut stage = Stage::builtin().script("echo one; echo two >&2; seq 1 1000");
    let path = stage.dir.path().join("container.log");
    stage.launch.log = LogSettings::Local { path: path.clone(), max_size: None, max_file: 1, compress: false };
    stage.run().await;
    let data = fs::read(path).unwrap();
    let (mut rest, mut lines) = (&data[..], Vec::new());
    while let Some((entry, used)) = local::decode(rest).unwrap() {
        lines.push(entry.line);
        rest = &rest[used..];
    }
    assert_eq!((lines.len(), rest.len()), (1002, 0));
    assert_eq!(local::decode_last(&data).unwrap().unwrap().0.line, *lines.last().unwrap());
}

#[tokio::test]
async fn files_rotate_and_are_compressed() {
    let mut stage = Stage::builtin().script("seq 1 5000");
    let path = stage.dir.path().join("log");
    stage.launch.log =
        LogSettings::JsonFile { path: path.clone(), max_size: Some(100_000), max_file: 3, compress: true, attrs: Default::default() };
    stage.run().await;
    let numbered = |n: &str| stage.dir.path().join(format!("log.{n}"));
    timeout(Duration::from_secs(10), async {
        while !numbered("1.gz").exists() || numbered("1").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(numbered("2.gz").exists() && !numbered("3.gz").exists());
    assert!(fs::metadata(&path).unwrap().len() < 100_200);
    assert_eq!(stage.log().last().unwrap().line, b"5000");
}

#[tokio::test]
async fn replaying_the_log_leaves_no_gap_and_no_duplicate() {
    let stage = Stage::builtin().script("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done; printf unfinished; sleep 1; echo -rest");
    let task = stage.start().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    for round in 0..2 {
        let attached = task.attach(AttachRequest { logs: true, stdin: false, ..all() }).await.unwrap();
        let logged: Vec<_> = stage.log().into_iter().filter(|e| e.time <= attached.since).collect();
        let mut text: String = logged.iter().map(|e| String::from_utf8_lossy(&e.line).into_owned() + "\n").collect();
        if round == 0 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(attached);
            continue;
        }
        text += &demultiplex(&drain(attached.stream).await).0;
        let expected: String = (0..3000).map(|n| format!("{n}\n")).chain(["unfinished-rest\n".to_owned()]).collect();
        assert_eq!(text, expected);
    }
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_fails_create() {
    let mut stage = Stage::builtin();
    stage.launch.log = LogSettings::JsonFile {
        path: stage.dir.path().join("no/such/dir/log"),
        max_size: None,
        max_file: 1,
        compress: false,
        attrs: Default::default(),
    };
    let error = stage.create().await.unwrap_err();
    assert!(error.message().contains("no/such/dir/log"), "{error}");
    stage.assert_nothing_left();
}

#[tokio::test]
async fn without_a_log_clients_still_get_output() {
    let mut stage = Stage::builtin().script("echo hello");
    stage.launch.log = LogSettings::None;
    assert_eq!(stage.run().await.0, "hello\n");
}

#[tokio::test]
async fn an_unfinished_line_reaches_clients_at_once() {
    let stage = Stage::builtin().script("printf 'name? '; sleep 1000");
    let task = stage.create().await.unwrap();
    let mut stream = task.attach(all()).await.unwrap().stream;
    task.start().await.unwrap();
    let mut bytes = [0; 14];
    timeout(Duration::from_secs(10), stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(&bytes[8..], b"name? ");
    task.kill(Signal::KILL).await.unwrap();
    task.wait().await.unwrap();
    stage.finish(&task).await;
    assert_eq!(stage.log().last().unwrap().line, b"name? ");
}
