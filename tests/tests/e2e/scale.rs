//! Many containers: nothing is lost, and what the daemon holds for each stays small. Times are printed, not judged.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharf_tests::{Case, Daemon, poll, suite};

suite![many_containers];

/// How many requests are under way at once.
const CLIENTS: usize = 4;

/// What a process holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    /// Proportional share of memory in KiB.
    memory: u64,
}

impl Held {
    fn by(pid: u32) -> Held {
        let entries = |dir: &str| fs::read_dir(format!("/proc/{pid}/{dir}")).unwrap().count();
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let pss = rollup.lines().find_map(|l| l.strip_prefix("Pss:")).unwrap();
        Held { descriptors: entries("fd"), threads: entries("task"), memory: pss.trim().trim_end_matches(" kB").parse().unwrap() }
    }
}

fn milliseconds(what: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    what();
    begin.elapsed().as_secs_f64() * 1e3
}

/// Does the work with several clients at once; the middle of what the first and the last tenth took, in milliseconds.
fn times(all: &[String], work: impl Fn(&str) + Sync) -> (f64, f64) {
    let mut took: Vec<(usize, f64)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let work = &work;
                let mine = all.iter().enumerate().skip(client).step_by(CLIENTS);
                scope.spawn(move || mine.map(|(i, id)| (i, milliseconds(|| work(id)))).collect::<Vec<_>>())
            })
            .collect();
        clients.into_iter().flat_map(|c| c.join().unwrap()).collect()
    });
    took.sort_by_key(|(i, _)| *i);
    let middle = |part: &[(usize, f64)]| {
        let mut times: Vec<f64> = part.iter().map(|(_, t)| *t).collect();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let tenth = all.len() / 10;
    (middle(&took[..tenth]), middle(&took[all.len() - tenth..]))
}

fn list(daemon: &Daemon, query: &str) -> Vec<Value> {
    daemon.http().get(&format!("/containers/json?{query}")).expect(200).json().as_array().unwrap().clone()
}

fn many_containers(case: &Case) {
    // dockerd takes ten times as long, and only shows that the test is right.
    let (stopped, running) = if case.engine().is_dockerd() { (90, 20) } else { (1000, 200) };
    let daemon = case.own_daemon(Some(json!({"live-restore": true})));
    let mut events = daemon.http().open("GET", "/events?filters=%7B%22type%22:%5B%22container%22%5D%7D", &[], b"").unwrap();
    let before = Held::by(daemon.pid());

    let names: Vec<String> = (0..stopped + running).map(|i| format!("c{i}")).collect();
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000000"], "Labels": {"wharf.test": "many_containers"}});
    let create = times(&names, |name| drop(daemon.http().post_json(&format!("/containers/create?name={name}"), &body).expect(201)));
    let start = times(&names[..running], |name| drop(daemon.http().post(&format!("/containers/{name}/start")).expect(204)));
    let inspect = times(&names, |name| drop(daemon.http().get(&format!("/containers/{name}/json")).expect(200)));
    let list_all = milliseconds(|| assert_eq!(list(&daemon, "all=1").len(), names.len()));
    let list_running = milliseconds(|| assert_eq!(list(&daemon, "").len(), running));
    assert_eq!(list(&daemon, "filters=%7B%22name%22:%5B%22%5E/c7$%22%5D%7D").len(), 1);

    // A listener that keeps reading misses nothing.
    events.patience(poll::PATIENCE);
    let (mut created, mut started) = (0, 0);
    while (created, started) != (names.len(), running) {
        let event: Value = serde_json::from_str(&events.line().expect("an event")).unwrap();
        match event["Action"].as_str().unwrap() {
            "create" => created += 1,
            "start" => started += 1,
            other => panic!("event {other}"),
        }
    }
    drop(events);

    // Idle threads of the pool go after some seconds.
    let settled = || Some(Held::by(daemon.pid())).filter(|h| h.threads <= before.threads + 8);
    let held = poll::within(Duration::from_secs(15), settled).unwrap_or_else(|| Held::by(daemon.pid()));
    println!("{stopped} stopped and {running} running; milliseconds at the beginning and at the end:");
    println!("  create {:.1} {:.1}, start {:.1} {:.1}, inspect {:.1} {:.1}", create.0, create.1, start.0, start.1, inspect.0, inspect.1);
    println!("  list all {list_all:.1}, running {list_running:.1}; before {before:?}, now {held:?}");
    if !case.engine().is_dockerd() {
        assert!(held.threads <= before.threads + 8, "{held:?}, before {before:?}");
        assert!(held.descriptors <= before.descriptors + 4 * running + 50, "{held:?}, before {before:?}");
        let each = held.memory.saturating_sub(before.memory) / names.len() as u64;
        assert!(each <= 32, "{each} KiB for each container: {held:?}, before {before:?}");
    }

    let boot = milliseconds(|| daemon.crash());
    assert_eq!((list(&daemon, "all=1").len(), list(&daemon, "").len()), (names.len(), running));
    println!("  after a crash all are back in {boot:.0} ms");
    times(&names, |name| drop(daemon.http().delete(&format!("/containers/{name}?force=1")).expect(204)));
}
