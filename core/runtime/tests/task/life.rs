//! From create to release: exit codes, signals, errors, limits.

use crate::{
    matrix,
    stage::{Stage, all, demultiplex, drain, shim},
};
use serde_json::json;
use std::{fs, time::Duration};
use tokio::time::timeout;
use wharf_runtime::task::TaskEvent;
use wharf_shim_proto::RuntimeKind;
use wharf_types::{ErrorKind, Signal};

matrix!(
    reports_output_and_exit_code,
    a_signalled_process_exits_with_128_and_its_number,
    a_missing_program_fails_create_in_the_words_that_clients_parse,
    a_broken_program_exits_after_start,
    kills_for_want_of_memory_are_told,
    pause_stops_and_resume_continues,
    update_changes_limits,
    a_paused_container_can_be_killed,
    a_kill_meets_a_pause,
    a_torn_state_is_deleted,
    a_created_container_can_be_killed,
    missing_privileges_are_no_failure,
    a_fresh_network_has_a_loopback_interface,
    without_a_pid_namespace_nothing_survives,
    an_existing_task_is_a_conflict,
    the_standard_streams_belong_to_the_user,
    an_init_forwards_signals_and_reaps,
);

async fn reports_output_and_exit_code(stage: Stage) {
    let stage = stage.script("echo out; echo err >&2; exit 7");
    let (out, err, record) = stage.run().await;
    assert_eq!((out.as_str(), err.as_str(), record.code, record.signal), ("out\n", "err\n", 7, None));
    assert!(!record.started_at.is_zero() && record.exited_at >= record.started_at);
    assert!(!record.oom_killed && record.error.is_none());
    let mut lines: Vec<_> = stage.log().into_iter().map(|e| (e.source.as_str(), e.line)).collect();
    lines.sort();
    assert_eq!(lines, [("stderr", b"err".to_vec()), ("stdout", b"out".to_vec())]);
}

async fn a_signalled_process_exits_with_128_and_its_number(stage: Stage) {
    for (signal, code) in [("KILL", 137), ("TERM", 143)] {
        // Without a handler the first process of a pid namespace ignores signals from inside, not from outside.
        let stage = &stage;
        let mut script = stage.spec.clone();
        script["process"]["args"] = json!(["sh", "-c", "trap - TERM; sleep 100 & wait"]);
        script["linux"]["namespaces"] = json!([{"type": "uts"}, {"type": "mount"}]);
        let task = stage.host.create(&stage.launch, &serde_json::from_value(script).unwrap()).await.unwrap();
        task.start().await.unwrap();
        task.kill(signal.parse().unwrap()).await.unwrap();
        let record = task.wait().await.unwrap();
        assert_eq!((record.code, record.signal), (code, Some(code - 128)));
        assert_eq!(task.kill(Signal::KILL).await.unwrap_err().kind(), ErrorKind::NotFound);
        stage.finish(&task).await;
    }
}

async fn a_missing_program_fails_create_in_the_words_that_clients_parse(mut stage: Stage) {
    for (program, text) in [
        ("nosuch", r#"exec: "nosuch": executable file not found in $PATH"#),
        ("/x", r#"exec: "/x": stat /x: no such file or directory"#),
        ("/etc", r#"exec: "/etc": is a directory"#),
        ("/etc/passwd", r#"exec: "/etc/passwd": permission denied"#),
    ] {
        stage.spec["process"]["args"] = json!([program]);
        let error = stage.create().await.unwrap_err();
        // runc 1.1 says "permission denied" for a directory.
        let directory = program == "/etc" && error.message().contains("permission denied");
        assert!(error.message().contains(text) || directory, "{error}");
        assert!(error.message().starts_with("runc create failed: unable to start container process: "), "{error}");
        stage.assert_nothing_left();
    }
}

async fn a_broken_program_exits_after_start(mut stage: Stage) {
    let path = stage.dir.path().join("rootfs/bin/broken");
    fs::write(&path, "\x7fELFnonsense").unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    stage.spec["process"]["args"] = json!(["broken"]);
    let task = stage.create().await.unwrap();
    task.start().await.unwrap();
    assert_ne!(task.wait().await.unwrap().code, 0);
    stage.finish(&task).await;
    assert!(stage.log_text().contains("exec format error"), "{}", stage.log_text());
}

async fn kills_for_want_of_memory_are_told(stage: Stage) {
    let mut stage = stage.script("tail /dev/zero");
    stage.spec["linux"]["resources"]["memory"] = json!({"limit": 16 << 20, "swap": 16 << 20});
    let task = stage.create().await.unwrap();
    let mut events = task.subscribe();
    task.start().await.unwrap();
    let record = timeout(Duration::from_secs(30), task.wait()).await.unwrap().unwrap();
    assert!(record.oom_killed, "{record:?}");
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    assert!(seen.contains(&TaskEvent::Oom), "{seen:?}");
    assert!(matches!(seen.last(), Some(TaskEvent::Exited(r)) if *r == record), "{seen:?}");
    stage.finish(&task).await;
}

async fn pause_stops_and_resume_continues(stage: Stage) {
    let stage = stage.script("while :; do echo x; usleep 10000; done");
    let task = stage.start().await;
    task.pause().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let paused = stage.log().len();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stage.log().len(), paused);
    task.resume().await.unwrap();
    timeout(Duration::from_secs(10), async {
        while stage.log().len() == paused {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    task.kill(Signal::KILL).await.unwrap();
    assert_eq!(task.wait().await.unwrap().code, 137);
    stage.finish(&task).await;
}

async fn update_changes_limits(stage: Stage) {
    let stage = stage.script("sleep 100");
    let task = stage.start().await;
    let resources = serde_json::from_value(json!({"pids": {"limit": 77}})).unwrap();
    task.update(&resources).await.unwrap();
    let limit = stage.cgroups().into_iter().find_map(|d| fs::read_to_string(d.join("pids.max")).ok());
    assert_eq!(limit.as_deref(), Some("77\n"));
    task.kill(Signal::KILL).await.unwrap();
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

async fn a_paused_container_can_be_killed(stage: Stage) {
    let stage = stage.script("sleep 100");
    let task = stage.start().await;
    task.pause().await.unwrap();
    task.kill(Signal::KILL).await.unwrap();
    let record = timeout(Duration::from_secs(10), task.wait()).await.unwrap().unwrap();
    assert_eq!(record.code, 137);
    stage.finish(&task).await;
}

/// Whichever comes first, the end finds nobody at work on the container's state, and nothing is left.
async fn a_kill_meets_a_pause(stage: Stage) {
    let stage = stage.script("sleep 100");
    for delay in [0, 500, 1000, 2000, 4000, 8000] {
        let task = stage.start().await;
        let kill = async {
            tokio::time::sleep(Duration::from_micros(delay)).await;
            let _ = task.kill(Signal::KILL).await;
        };
        let _ = tokio::join!(task.pause(), kill);
        // The pause may have come last.
        let _ = task.kill(Signal::KILL).await;
        timeout(Duration::from_secs(10), task.wait()).await.unwrap().unwrap();
        stage.finish(&task).await;
    }
}

/// The embedded runtime's own file of its state; other runtimes have other files.
async fn a_torn_state_is_deleted(stage: Stage) {
    let stage = stage.script("sleep 100");
    let task = stage.start().await;
    if let RuntimeKind::Builtin = stage.launch.runtime {
        fs::write(stage.launch.runtime_root.join(stage.launch.id.as_str()).join("state.json"), "").unwrap();
    }
    task.kill(Signal::KILL).await.unwrap();
    timeout(Duration::from_secs(10), task.wait()).await.unwrap().unwrap();
    stage.finish(&task).await;
}

async fn a_created_container_can_be_killed(stage: Stage) {
    let task = stage.create().await.unwrap();
    assert_eq!(task.pids().await.unwrap(), [task.pid()]);
    assert_eq!(task.release().await.unwrap_err().kind(), ErrorKind::Conflict);
    task.kill(Signal::KILL).await.unwrap();
    let record = task.wait().await.unwrap();
    assert!(record.started_at.is_zero());
    assert_eq!(record.code, 137);
    assert_eq!(task.start().await.unwrap_err().kind(), ErrorKind::Conflict);
    stage.finish(&task).await;
}

async fn missing_privileges_are_no_failure(stage: Stage) {
    let mut stage = stage.script("grep -c . /proc/self/limits; cat /proc/self/oom_score_adj");
    stage.spec["process"]["oomScoreAdj"] = json!(-999);
    stage.spec["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "hard": 1u64 << 40, "soft": 1024}]);
    stage.spec["process"]["noNewPrivileges"] = json!(false);
    let (_, err, record) = stage.run().await;
    assert_eq!((record.code, err.as_str()), (0, ""));
}

async fn a_fresh_network_has_a_loopback_interface(stage: Stage) {
    let (out, _, _) = stage.script("ip addr show lo").run().await;
    assert!(out.contains("LOOPBACK,UP"), "{out}");
}

async fn without_a_pid_namespace_nothing_survives(stage: Stage) {
    let mut stage = stage.script("sleep 1000 & sleep 1000 >/dev/null & echo started");
    stage.spec["linux"]["namespaces"] = json!([{"type": "uts"}, {"type": "mount"}]);
    let begun = std::time::Instant::now();
    let (out, _, record) = stage.run().await;
    assert_eq!((out.as_str(), record.code), ("started\n", 0));
    assert!(begun.elapsed() < Duration::from_secs(2), "the stream was held open for {:?}", begun.elapsed());
}

async fn an_existing_task_is_a_conflict(stage: Stage) {
    let stage = stage.script("sleep 100");
    let task = stage.start().await;
    assert_eq!(stage.create().await.unwrap_err().kind(), ErrorKind::Conflict);
    let stream = task.attach(all()).await.unwrap().stream;
    task.kill(Signal::KILL).await.unwrap();
    drain(stream).await;
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

async fn the_standard_streams_belong_to_the_user(stage: Stage) {
    let mut stage = stage.script("echo again > /proc/self/fd/1; id -u; echo $HOME; grep Groups: /proc/self/status | tr -d ' \\t'");
    stage.spec["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    let (out, err, _) = stage.run().await;
    assert_eq!((out.as_str(), err.as_str()), ("again\n1000\n/srv/app\nGroups:\n", ""));
}

async fn an_init_forwards_signals_and_reaps(mut stage: Stage) {
    let script = "trap 'ps; exit 5' TERM; (usleep 1000 &); echo ready; while :; do usleep 10000; done";
    stage.spec["process"]["args"] = json!(["/sbin/docker-init", "--", "sh", "-c", script]);
    let mount =
        json!({"destination": "/sbin/docker-init", "type": "bind", "source": shim().canonicalize().unwrap(), "options": ["bind", "ro"]});
    stage.spec["mounts"].as_array_mut().unwrap().push(mount);
    let task = stage.create().await.unwrap();
    let stream = task.attach(all()).await.unwrap().stream;
    task.start().await.unwrap();
    timeout(Duration::from_secs(10), async {
        while !stage.log_text().contains("ready") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    task.kill(Signal::TERM).await.unwrap();
    assert_eq!(task.wait().await.unwrap().code, 5);
    let (out, _) = demultiplex(&drain(stream).await);
    assert!(out.contains("docker-init") && !out.contains("[usleep]"), "{out}");
    stage.finish(&task).await;
}
