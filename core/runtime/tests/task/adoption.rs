//! A daemon that comes back, and one that finds only ruins.

use crate::{
    matrix,
    stage::{Stage, all, drain, exec_id, exec_request},
};
use std::{fs, time::Duration};
use tokio::time::{sleep, timeout};
use wharf_runtime::task::{Adopted, ShimHost, Task, TaskEvent, TaskState};
use wharf_types::{ErrorKind, Signal};

matrix!(
    a_running_container_goes_on_without_a_daemon,
    a_created_container_can_be_started_later,
    an_exit_without_a_daemon_is_on_record,
    a_killed_monitor_is_noticed_and_cleaned_up,
    an_interrupted_launch_is_cleaned_up,
    a_cancelled_create_leaves_nothing,
);

async fn adopt(stage: &Stage) -> (Task, TaskState) {
    match stage.host.adopt(&stage.launch.id).await.unwrap() {
        Adopted::Alive { task, state, .. } => (task, state),
        other => panic!("{other:?}"),
    }
}

async fn a_running_container_goes_on_without_a_daemon(stage: Stage) {
    let stage = stage.script("while :; do echo x; usleep 20000; done");
    let task = stage.start().await;
    let exec = exec_id();
    let mut request = exec_request(&stage, &["sleep", "1000"]);
    request.attach = None;
    let exec_pid = task.exec(&exec, request).await.unwrap().pid;
    let pid = task.pid();
    drop(task);
    sleep(Duration::from_millis(100)).await;
    let before = stage.log().len();
    sleep(Duration::from_millis(300)).await;
    assert!(stage.log().len() > before);
    match stage.host.adopt(&stage.launch.id).await.unwrap() {
        Adopted::Alive { task, state, started_at, pid: found, execs } => {
            assert_eq!((state, found, task.pid()), (TaskState::Running, pid, pid));
            assert!(started_at.is_some());
            assert_eq!(execs.iter().map(|e| (e.id.clone(), e.pid)).collect::<Vec<_>>(), [(exec.clone(), exec_pid)]);
            let stream = task.attach(all()).await.unwrap().stream;
            sleep(Duration::from_millis(100)).await;
            task.kill_exec(&exec, Signal::KILL).await.unwrap();
            assert_eq!(task.exec_exit(&exec).await.unwrap().code, 137);
            task.kill(Signal::KILL).await.unwrap();
            assert!(!drain(stream).await.is_empty());
            assert_eq!(task.wait().await.unwrap().code, 137);
            stage.finish(&task).await;
        }
        other => panic!("{other:?}"),
    }
}

async fn a_created_container_can_be_started_later(stage: Stage) {
    let stage = stage.script("echo hello; exit 3");
    drop(stage.create().await.unwrap());
    assert_eq!(stage.host.list().unwrap(), std::slice::from_ref(&stage.launch.id));
    let (task, state) = adopt(&stage).await;
    assert_eq!(state, TaskState::Created);
    task.start().await.unwrap();
    assert_eq!(task.wait().await.unwrap().code, 3);
    let (again, state) = adopt(&stage).await;
    assert_eq!(state, TaskState::Exited);
    assert_eq!(again.wait().await.unwrap().code, 3);
    stage.finish(&again).await;
    assert!(matches!(stage.host.adopt(&stage.launch.id).await.unwrap(), Adopted::Absent));
}

async fn an_exit_without_a_daemon_is_on_record(stage: Stage) {
    let stage = stage.script("usleep 200000; echo late; exit 9");
    drop(stage.start().await);
    let exit = stage.host.task_dir(&stage.launch.id).join("exit.json");
    timeout(Duration::from_secs(10), async {
        while !exit.exists() || !stage.processes().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    match stage.host.adopt(&stage.launch.id).await.unwrap() {
        Adopted::Exited(record) => assert_eq!(record.code, 9),
        other => panic!("{other:?}"),
    }
    assert!(stage.cgroups().is_empty());
    assert!(stage.log_text().contains("late"));
    stage.host.cleanup(&stage.launch.id).await.unwrap();
    stage.assert_nothing_left();
}

async fn a_killed_monitor_is_noticed_and_cleaned_up(stage: Stage) {
    let stage = stage.script("sleep 1000 & sleep 1000");
    let task = stage.start().await;
    let mut events = task.subscribe();
    stage.kill_monitor();
    assert_eq!(timeout(Duration::from_secs(5), events.recv()).await.unwrap().unwrap(), TaskEvent::Gone);
    assert_eq!(task.wait().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(matches!(stage.host.adopt(&stage.launch.id).await.unwrap(), Adopted::Lost));
    stage.host.cleanup(&stage.launch.id).await.unwrap();
    stage.assert_nothing_left();
    // Its body may still wait to be collected.
    let stat = fs::read_to_string(format!("/proc/{}/stat", task.pid())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    stage.host.cleanup(&stage.launch.id).await.unwrap();
}

async fn an_interrupted_launch_is_cleaned_up(stage: Stage) {
    let stage = stage.script("sleep 1000");
    // What a daemon leaves that was killed before it spawned the monitor: a directory, perhaps with half of the launch.
    let dir = stage.host.task_dir(&stage.launch.id);
    for half in [None, Some("")] {
        fs::create_dir(&dir).unwrap();
        if let Some(text) = half {
            fs::write(dir.join("launch.new"), text).unwrap();
        }
        assert!(matches!(stage.host.adopt(&stage.launch.id).await.unwrap(), Adopted::Lost));
        stage.host.cleanup(&stage.launch.id).await.unwrap();
        stage.assert_nothing_left();
    }
    // And a monitor that is killed at any moment of its launch.
    for delay in [1, 3, 6, 10, 20] {
        let (host, launch, spec) = (stage.host.clone(), stage.launch.clone(), serde_json::from_value(stage.spec.clone()).unwrap());
        let creating = tokio::spawn(async move { host.create(&launch, &spec).await.map(|_| ()) });
        sleep(Duration::from_millis(delay)).await;
        if dir.join("shim.pid").exists() {
            stage.kill_monitor();
        }
        let _ = creating.await.unwrap();
        stage.host.cleanup(&stage.launch.id).await.unwrap();
        stage.assert_nothing_left();
    }
}

async fn a_cancelled_create_leaves_nothing(stage: Stage) {
    let spec = serde_json::from_value(stage.spec.clone()).unwrap();
    let host: &ShimHost = &stage.host;
    assert!(timeout(Duration::from_millis(1), host.create(&stage.launch, &spec)).await.is_err());
    timeout(Duration::from_secs(10), async {
        sleep(Duration::from_millis(100)).await;
        while !host.list().unwrap().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    stage.assert_nothing_left();
}
