//! Further processes in a container.

use crate::{
    matrix,
    stage::{Stage, demultiplex, drain, exec_id, exec_request},
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use wharf_runtime::task::{ExecRequest, ExecStarted, Stdio, Task};
use wharf_types::{ErrorKind, ExecId, Signal};

matrix!(
    output_and_exit_code,
    the_exit_is_on_record_before_the_stream_ends,
    a_leashed_exec_ends_with_its_client,
    failures_are_told_in_the_words_that_clients_parse,
    joins_the_container,
    the_seccomp_filter_holds,
    standard_input,
    a_terminal,
    a_background_process_does_not_hold_the_stream_for_ever,
    many_at_once,
    dies_with_the_container,
    another_user,
    signals,
);

async fn container(stage: Stage) -> (Stage, Task) {
    let stage = stage.script("sleep 1000");
    let task = stage.start().await;
    (stage, task)
}

async fn end(stage: &Stage, task: &Task) {
    task.kill(Signal::KILL).await.unwrap();
    task.wait().await.unwrap();
    stage.finish(task).await;
}

async fn run(stage: &Stage, task: &Task, args: &[&str]) -> (String, String, i32) {
    let id = exec_id();
    let ExecStarted { stream, .. } = task.exec(&id, exec_request(stage, args)).await.unwrap();
    let (out, err) = demultiplex(&drain(stream.unwrap()).await);
    (out, err, task.exec_exit(&id).await.unwrap().code)
}

async fn output_and_exit_code(stage: Stage) {
    let (stage, task) = container(stage).await;
    for _ in 0..3 {
        let result = run(&stage, &task, &["sh", "-c", "echo out; echo err >&2; exit 5"]).await;
        assert_eq!(result, ("out\n".into(), "err\n".into(), 5));
    }
    assert_eq!(task.exec_exit(&exec_id()).await.unwrap_err().kind(), ErrorKind::NotFound);
    end(&stage, &task).await;
}

async fn the_exit_is_on_record_before_the_stream_ends(stage: Stage) {
    let (stage, task) = container(stage).await;
    for _ in 0..10 {
        let id = exec_id();
        let started = task.exec(&id, exec_request(&stage, &["false"])).await.unwrap();
        drain(started.stream.unwrap()).await;
        let file = stage.host.task_dir(&stage.launch.id).join("exec").join(id.as_str()).join("exit.json");
        let record: wharf_runtime::task::ExitRecord = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(record.code, 1);
    }
    end(&stage, &task).await;
}

async fn a_leashed_exec_ends_with_its_client(stage: Stage) {
    let (stage, task) = container(stage).await;
    let id = exec_id();
    let request = ExecRequest { leashed: true, ..exec_request(&stage, &["sleep", "1000"]) };
    let started = task.exec(&id, request).await.unwrap();
    drop(started.stream);
    assert_eq!(task.exec_exit(&id).await.unwrap().code, 137);
    end(&stage, &task).await;
}

async fn failures_are_told_in_the_words_that_clients_parse(stage: Stage) {
    let (stage, task) = container(stage).await;
    for (program, text) in [
        ("nosuch", r#"exec: "nosuch": executable file not found in $PATH"#),
        ("/x", r#"exec: "/x": stat /x: no such file or directory"#),
        ("/etc/passwd", r#"exec: "/etc/passwd": permission denied"#),
    ] {
        let error = task.exec(&exec_id(), exec_request(&stage, &[program])).await.unwrap_err();
        assert!(error.message().contains(text), "{error}");
        assert!(error.message().starts_with("exec failed: unable to start container process: "), "{error}");
    }
    assert_eq!(run(&stage, &task, &["true"]).await.2, 0);
    end(&stage, &task).await;
}

async fn joins_the_container(stage: Stage) {
    let (stage, task) = container(stage).await;
    let script = "cat /proc/sys/kernel/hostname; cat /proc/1/cmdline | tr '\\0' ' '; grep -c wharf-test /proc/self/cgroup; id -G; grep NoNewPrivs /proc/self/status | tr -d '\\t'; grep SigIgn /proc/self/status | tr -d '\\t'; ls /proc/self/fd";
    let (out, err, code) = run(&stage, &task, &["sh", "-c", script]).await;
    assert_eq!((err.as_str(), code), ("", 0));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[0], "test");
    assert!(lines[1].starts_with("sh -c sleep 1000 ") || lines[1].starts_with("sleep 1000"), "{out}");
    assert!(out.contains("\n0\nNoNewPrivs:0\nSigIgn:0000000000000000\n0\n1\n2\n3\n"), "{out}");
    let id = exec_id();
    let started = task.exec(&id, exec_request(&stage, &["sleep", "1000"])).await.unwrap();
    assert!(task.pids().await.unwrap().contains(&started.pid));
    end(&stage, &task).await;
}

async fn the_seccomp_filter_holds(mut stage: Stage) {
    stage.spec["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    });
    let (stage, task) = container(stage).await;
    let (out, err, code) = run(&stage, &task, &["sh", "-c", "grep Seccomp: /proc/self/status | tr -d '\\t'; mkdir /tmp/x"]).await;
    assert_eq!((out.as_str(), code), ("Seccomp:2\n", 1), "{err}");
    assert!(err.contains("Operation not permitted"), "{err}");
    end(&stage, &task).await;
}

async fn standard_input(stage: Stage) {
    let (stage, task) = container(stage).await;
    let id = exec_id();
    let mut request = exec_request(&stage, &["sh", "-c", "cat; exit 3"]);
    request.stdin = true;
    request.attach = Some(Stdio { stdin: true, stdout: true, stderr: true });
    let mut stream = task.exec(&id, request).await.unwrap().stream.unwrap();
    stream.write_all(b"text").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(demultiplex(&drain(stream).await).0, "text");
    assert_eq!(task.exec_exit(&id).await.unwrap().code, 3);
    end(&stage, &task).await;
}

async fn a_terminal(stage: Stage) {
    let (stage, task) = container(stage).await;
    let id = exec_id();
    let mut request = exec_request(&stage, &["sh", "-c", "stty size; ls -l /proc/self/fd/1; exit 4"]);
    request.process.set_terminal(Some(true));
    request.process.set_console_size(None);
    request.tty = true;
    request.console_size = Some([12, 34]);
    let stream = task.exec(&id, request).await.unwrap().stream.unwrap();
    let text = String::from_utf8(drain(stream).await).unwrap();
    assert!(text.contains("/dev/pts/"), "{text:?}");
    assert_eq!(task.exec_exit(&id).await.unwrap().code, 4);
    end(&stage, &task).await;
}

async fn a_background_process_does_not_hold_the_stream_for_ever(stage: Stage) {
    let (stage, task) = container(stage).await;
    let begun = Instant::now();
    let (out, _, code) = run(&stage, &task, &["sh", "-c", "sleep 500 & echo done"]).await;
    assert_eq!((out.as_str(), code), ("done\n", 0));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    end(&stage, &task).await;
}

async fn many_at_once(stage: Stage) {
    let (stage, task) = container(stage).await;
    let ids: Vec<ExecId> = (0..8).map(|_| exec_id()).collect();
    let started = ids.iter().enumerate().map(|(n, id)| {
        let mut request = exec_request(&stage, &["sh", "-c", &format!("exit {n}")]);
        request.attach = None;
        let (task, id) = (task.clone(), id.clone());
        tokio::spawn(async move {
            task.exec(&id, request).await.unwrap();
            task.exec_exit(&id).await.unwrap().code
        })
    });
    let started: Vec<_> = started.collect();
    for (n, handle) in started.into_iter().enumerate() {
        assert_eq!(handle.await.unwrap(), n as i32);
    }
    end(&stage, &task).await;
}

async fn dies_with_the_container(stage: Stage) {
    let (stage, task) = container(stage).await;
    let id = exec_id();
    let stream = task.exec(&id, exec_request(&stage, &["sleep", "1000"])).await.unwrap().stream.unwrap();
    task.kill(Signal::KILL).await.unwrap();
    drain(stream).await;
    assert_eq!(task.exec_exit(&id).await.unwrap().code, 137);
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

async fn another_user(stage: Stage) {
    let (stage, task) = container(stage).await;
    let mut request =
        exec_request(&stage, &["sh", "-c", "id -u; id -g; id -G; echo $HOME; echo again > /proc/self/fd/1; grep CapEff /proc/self/status"]);
    let user = serde_json::from_value(json!({"uid": 1000, "gid": 1000, "additionalGids": [7]})).unwrap();
    request.process.set_user(user);
    request
        .process
        .set_capabilities(Some(serde_json::from_value(json!({"bounding": ["CAP_KILL"], "permitted": [], "effective": []})).unwrap()));
    let id = exec_id();
    let stream = task.exec(&id, request).await.unwrap().stream.unwrap();
    let (out, err) = demultiplex(&drain(stream).await);
    assert_eq!((out.as_str(), err.as_str()), ("1000\n1000\n1000 7\n/srv/app\nagain\nCapEff:\t0000000000000000\n", ""));
    end(&stage, &task).await;
}

async fn signals(stage: Stage) {
    let (stage, task) = container(stage).await;
    let id = exec_id();
    let mut request = exec_request(&stage, &["sleep", "1000"]);
    request.attach = None;
    task.exec(&id, request).await.unwrap();
    task.kill_exec(&id, Signal::TERM).await.unwrap();
    assert_eq!(task.exec_exit(&id).await.unwrap().code, 143);
    assert_eq!(task.kill_exec(&id, Signal::TERM).await.unwrap_err().kind(), ErrorKind::NotFound);
    end(&stage, &task).await;
}
