//! Measurements, for people: `WHARF_SHIM=… cargo test -p wharf-runtime --release --test task speed -- --ignored --nocapture --test-threads 1`.

use crate::stage::{Stage, all, drain, exec_id, exec_request};
use std::{fs, time::Instant};
use wharf_runtime::task::{LogSettings, Task};
use wharf_types::{ContainerId, Signal};

#[tokio::test]
#[ignore = "a measurement"]
async fn life_builtin() {
    life(Stage::builtin()).await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn life_runc() {
    if let Some(stage) = Stage::runc() {
        life(stage).await;
    }
}

/// Milliseconds of each step of a container that does nothing, the median of many.
async fn life(mut stage: Stage) {
    const ROUNDS: usize = 40;
    let mut steps: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        stage.launch.id = ContainerId::random().unwrap();
        let mut clock = Instant::now();
        let mut lap = |step: usize, steps: &mut [Vec<f64>; 5]| {
            steps[step].push(clock.elapsed().as_secs_f64() * 1e3);
            clock = Instant::now();
        };
        let task = stage.create().await.unwrap();
        lap(0, &mut steps);
        task.start().await.unwrap();
        lap(1, &mut steps);
        task.wait().await.unwrap();
        lap(2, &mut steps);
        task.release().await.unwrap();
        lap(3, &mut steps);
        let total = steps[..4].iter().map(|s| s.last().unwrap()).sum();
        steps[4].push(total);
    }
    let median = |s: &mut Vec<f64>| {
        s.sort_by(f64::total_cmp);
        s[s.len() / 2]
    };
    let [create, start, wait, release, total] = steps.each_mut().map(median);
    println!("create {create:.1} start {start:.1} exit {wait:.1} release {release:.1} total {total:.1} ms");
}

#[tokio::test]
#[ignore = "a measurement"]
async fn throughput() {
    for (name, attach) in [("log only", false), ("log and client", true)] {
        let mut stage = Stage::builtin().script("for i in 0 1 2 3 4 5 6 7 8 9; do cat /lines; done");
        let line = "x".repeat(99) + "\n";
        fs::write(stage.dir.path().join("rootfs/lines"), line.repeat(1_000_000)).unwrap();
        if !attach {
            stage.launch.log = LogSettings::JsonFile {
                path: stage.dir.path().join("log"),
                max_size: Some(100 << 20),
                max_file: 1,
                compress: false,
                attrs: Default::default(),
            };
        }
        let task = stage.create().await.unwrap();
        let stream = if attach { Some(task.attach(all()).await.unwrap().stream) } else { None };
        let begun = Instant::now();
        task.start().await.unwrap();
        if let Some(stream) = stream {
            drain(stream).await;
        }
        task.wait().await.unwrap();
        println!("{name}: {:.0} MB/s", 1000.0 / begun.elapsed().as_secs_f64());
        stage.finish(&task).await;
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn exec_latency() {
    let stage = Stage::builtin().script("sleep 1000");
    let task = stage.start().await;
    let begun = Instant::now();
    for _ in 0..50 {
        let id = exec_id();
        let started = task.exec(&id, exec_request(&stage, &["true"])).await.unwrap();
        drain(started.stream.unwrap()).await;
    }
    println!("exec {:.1} ms", begun.elapsed().as_secs_f64() * 1e3 / 50.0);
    task.kill(Signal::KILL).await.unwrap();
    task.wait().await.unwrap();
    stage.finish(&task).await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn memory_of_an_idle_monitor() {
    const MANY: usize = 20;
    let mut running: Vec<(Stage, Task)> = Vec::new();
    for _ in 0..MANY {
        let mut stage = Stage::builtin().script("echo hello; sleep 1000");
        if let Some((first, _)) = running.first() {
            // One daemon has one copy of the program.
            stage.host = first.host.clone();
        }
        let task = stage.start().await;
        running.push((stage, task));
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let (mut pss, mut anonymous) = (0, 0);
    for (stage, _) in &running {
        let file = stage.host.task_dir(&stage.launch.id).join("shim.pid");
        let pid = fs::read_to_string(file).unwrap().split(' ').next().unwrap().to_owned();
        for line in fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap().lines() {
            let value = || line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
            if line.starts_with("Pss:") {
                pss += value();
            } else if line.starts_with("Anonymous:") {
                anonymous += value();
            }
        }
    }
    println!("each of {MANY}: PSS {} kB, anonymous {} kB", pss / MANY as u64, anonymous / MANY as u64);
    for (_, task) in &running {
        task.kill(Signal::KILL).await.unwrap();
        task.wait().await.unwrap();
        task.release().await.unwrap();
    }
    running.iter().for_each(|(stage, _)| stage.assert_nothing_left());
}
