//! The daemon dies, at any moment and in every way; containers, output and exit codes do not.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use wharf_tests::http::Http;
use wharf_tests::image::{self, Image, Layer};
use wharf_tests::{Case, Daemon, Footprint, poll, suite};

suite![
    logs_are_whole,
    exit_while_down,
    everything_works_after,
    interactive_after,
    auto_remove_while_down,
    kill_while_starting,
    restart_policies,
    graceful_stop_ends_containers,
    live_restore,
    monitor_killed,
    two_daemons,
    leaves_no_socket,
    broken_document,
    kill_at_random,
];

/// Containers outlive a SIGKILL of the daemon. dockerd keeps that promise only with `live-restore`.
fn surviving(case: &Case) -> Daemon {
    case.own_daemon(case.engine().is_dockerd().then(|| json!({"live-restore": true})))
}

/// `docker run -d` of a script; returns the name.
fn spawn(daemon: &Daemon, name: &str, options: &[&str], script: &str) -> String {
    daemon.docker(&[&["run", "-d", "--name", name], options, &["busybox", "sh", "-c", script]].concat()).ok();
    name.to_owned()
}

fn inspect(daemon: &Daemon, name: &str, format: &str) -> String {
    daemon.docker(&["inspect", "-f", format, name]).ok()
}

fn alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

fn logs_are_whole(case: &Case) {
    let daemon = surviving(case);
    // Ten lines at a time, until told that it is enough.
    let script = "i=0; while [ ! -e /enough ]; do echo line $i; i=$((i+1)); [ $((i % 10)) = 0 ] && usleep 5000; done; exit 3";
    let name = spawn(&daemon, "numbers", &[], script);
    let pid = inspect(&daemon, &name, "{{.State.Pid}}");
    for _ in 0..3 {
        let before = daemon.docker(&["logs", &name]).ok().lines().count();
        daemon.kill9();
        assert!(alive(&pid), "the container died with the daemon");
        std::thread::sleep(Duration::from_millis(150));
        daemon.boot();
        assert_eq!(inspect(&daemon, &name, "{{.State.Running}} {{.State.Pid}}"), format!("true {pid}"));
        // It goes on.
        poll::until("more lines", || (daemon.docker(&["logs", &name]).ok().lines().count() > before).then_some(()));
    }
    // The end of the container may overtake the end of `touch`, so its code says nothing.
    daemon.docker(&["exec", &name, "touch", "/enough"]);
    assert_eq!(daemon.docker(&["wait", &name]).ok(), "3");
    check_lines(case, &daemon.docker(&["logs", &name]).ok());
}

/// `line 0`, `line 1` and so on, without a gap.
fn check_lines(case: &Case, logs: &str) {
    let lines: Vec<&str> = logs.lines().collect();
    if case.engine().is_dockerd() {
        // What dockerd had read and not yet written died with it: order without doubles is all that can be asked.
        let numbers: Vec<u32> = lines.iter().map(|l| l.trim_start_matches("line ").parse().unwrap()).collect();
        return assert!(numbers.is_sorted_by(|a, b| a < b));
    }
    let first_wrong = lines.iter().enumerate().find(|(i, line)| **line != format!("line {i}"));
    assert_eq!(first_wrong, None, "of {} lines", lines.len());
}

/// Something that a container waits for, and that no daemon has to carry there.
struct Sign(tempfile::TempDir);

const WAIT: &str = "while [ ! -e /sign/given ]; do usleep 20000; done";

impl Default for Sign {
    fn default() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Sign {
    fn bind(&self) -> String {
        format!("{}:/sign", self.0.path().display())
    }
    fn give(&self) {
        std::fs::write(self.0.path().join("given"), "").unwrap();
    }
}

fn exit_while_down(case: &Case) {
    let daemon = surviving(case);
    let sign = Sign::default();
    let five = spawn(&daemon, "five", &["-v", &sign.bind()], &format!("{WAIT}; echo last words; exit 5"));
    let killed = spawn(&daemon, "killed", &[], "sleep 100");
    let pids = [&five, &killed].map(|n| inspect(&daemon, n, "{{.State.Pid}}"));
    daemon.kill9();
    sign.give();
    kill(Pid::from_raw(pids[1].parse().unwrap()), Signal::SIGKILL).unwrap();
    poll::until("the exits", || (!pids.iter().any(|pid| alive(pid))).then_some(()));
    let exited = std::time::SystemTime::now();
    std::thread::sleep(Duration::from_millis(1200));
    daemon.boot();
    let state = |name: &str| inspect(&daemon, name, "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}");
    poll::until("the first exit is known", || (state(&five) == "exited 5 0").then_some(()));
    poll::until("the second exit is known", || (state(&killed) == "exited 137 0").then_some(()));
    assert_eq!(daemon.docker(&["wait", &five]).ok(), "5");
    if case.engine().is_dockerd() {
        // It had no reader for the output, and takes the time of its own start as the time of the exit.
        return;
    }
    assert_eq!(daemon.docker(&["logs", &five]).ok(), "last words");
    let finished = inspect(&daemon, &five, "{{.State.FinishedAt}}");
    let finished = wharf_tests::run(std::process::Command::new("date").args(["-d", &finished, "+%s%3N"])).ok().parse::<u128>().unwrap();
    let exited = exited.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!(finished <= exited + 50, "finished {} ms after the processes were gone", finished - exited);
}

fn everything_works_after(case: &Case) {
    let daemon = surviving(case);
    let name =
        spawn(&daemon, "survivor", &["-e", "A=1", "--memory", "64m"], "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    poll::until("ready", || daemon.docker(&["logs", &name]).stdout.contains("ready").then_some(()));
    let address = inspect(&daemon, &name, "{{.NetworkSettings.IPAddress}}");
    daemon.crash();
    assert_eq!(daemon.docker(&["exec", &name, "sh", "-c", "echo $A"]).ok(), "1");
    assert_eq!(inspect(&daemon, &name, "{{.NetworkSettings.IPAddress}}"), address);
    daemon.net.sh(&format!("busybox ping -c 1 -W 5 {address}"));
    // Its address is not given to another one.
    let other = spawn(&daemon, "other", &[], "sleep 100");
    assert_ne!(inspect(&daemon, &other, "{{.NetworkSettings.IPAddress}}"), address);
    let taken = daemon.docker(&["run", "--rm", "--name", &name, "busybox", "true"]).fails(125);
    assert!(taken.contains("is already in use by container"), "{taken}");
    assert!(daemon.docker(&["top", &name]).ok().contains("sh -c"));
    daemon.docker(&["rename", &name, "renamed"]).ok();
    daemon.docker(&["stop", "-t", "20", "renamed"]).ok();
    assert_eq!(inspect(&daemon, "renamed", "{{.State.ExitCode}}"), "9");
    daemon.docker(&["start", "renamed"]).ok();
    daemon.crash();
    daemon.docker(&["rm", "-f", "renamed"]).ok();
}

fn interactive_after(case: &Case) {
    let daemon = surviving(case);
    daemon.docker(&["run", "-dit", "--name", "shell", "busybox", "sh"]).ok();
    daemon.crash();
    let mut pty = wharf_tests::Pty::spawn(daemon.docker_command(&["attach", "shell"]));
    pty.send("echo he''re\n");
    pty.expect("here");
    pty.send("exit 6\n");
    assert_eq!(pty.wait(), 6);
}

fn auto_remove_while_down(case: &Case) {
    let daemon = surviving(case);
    let sign = Sign::default();
    let name = spawn(&daemon, "brief", &["--rm", "-v", &sign.bind()], WAIT);
    let pid = inspect(&daemon, &name, "{{.State.Pid}}");
    daemon.kill9();
    sign.give();
    poll::until("the exit", || (!alive(&pid)).then_some(()));
    daemon.boot();
    poll::until("its removal", || (daemon.docker(&["inspect", &name]).code == 1).then_some(()));
}

fn kill_while_starting(case: &Case) {
    let daemon = surviving(case);
    for i in 0..6 {
        let name = format!("start-{i}");
        let id = daemon
            .http()
            .post_json(&format!("/containers/create?name={name}"), &json!({"Image": "busybox", "Cmd": ["sleep", "1000"]}))
            .expect(201)
            .json()["Id"]
            .as_str()
            .unwrap()
            .to_owned();
        let http = daemon.http();
        let starter = std::thread::spawn(move || drop(http.open("POST", &format!("/containers/{id}/start"), &[], b"")));
        std::thread::sleep(Duration::from_millis(i * 25));
        daemon.crash();
        starter.join().unwrap();
        works_or_is_gone(&daemon, &name);
        daemon.docker(&["rm", "-f", &name]).ok();
    }
}

fn restart_policies(case: &Case) {
    let daemon = case.own_daemon(None);
    let always = spawn(&daemon, "always", &["--restart", "always"], "sleep 1000");
    let stopped = spawn(&daemon, "stopped", &["--restart", "unless-stopped"], "sleep 1000");
    let never = spawn(&daemon, "never", &[], "sleep 1000");
    daemon.docker(&["stop", "-t", "0", &stopped]).ok();
    daemon.stop();
    daemon.boot();
    let status = |name: &str| inspect(&daemon, name, "{{.State.Status}}");
    poll::until("`always` runs again", || (status(&always) == "running").then_some(()));
    assert_eq!((status(&stopped).as_str(), status(&never).as_str()), ("exited", "exited"));
    // A restart that is pending when the daemon is killed still happens.
    let looping = spawn(&daemon, "looping", &["--restart", "always"], "echo run; exit 1");
    let runs = || daemon.docker(&["logs", &looping]).stdout.lines().count();
    poll::until("two runs", || (runs() >= 2).then_some(()));
    daemon.crash();
    let before = runs();
    poll::until("another run", || (runs() > before).then_some(()));
    daemon.docker(&["stop", &looping]).ok();
    daemon.crash();
    poll::until("`always` runs again", || (status(&always) == "running").then_some(()));
}

fn graceful_stop_ends_containers(case: &Case) {
    let daemon = case.own_daemon(None);
    let shared = tempfile::tempdir().unwrap();
    let mount = format!("{}:/m", shared.path().display());
    let name =
        spawn(&daemon, "polite", &["-v", &mount], "trap 'echo bye > /m/bye; exit 4' TERM; echo > /m/ready; while :; do sleep 0.05; done");
    poll::until("ready", || shared.path().join("ready").exists().then_some(()));
    let pid = inspect(&daemon, &name, "{{.State.Pid}}");
    assert_eq!(daemon.stop(), 0);
    assert!(!alive(&pid));
    assert_eq!(fs::read_to_string(shared.path().join("bye")).unwrap(), "bye\n");
    daemon.boot();
    assert_eq!(inspect(&daemon, &name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 4");
}

fn live_restore(case: &Case) {
    let daemon = case.own_daemon(Some(json!({"live-restore": true})));
    assert_eq!(daemon.http().get("/info").json()["LiveRestoreEnabled"], true);
    let name = spawn(&daemon, "lives", &[], "trap 'exit 8' TERM; while :; do echo tick; sleep 0.1; done");
    let pid = inspect(&daemon, &name, "{{.State.Pid}}");
    assert_eq!(daemon.stop(), 0);
    assert!(alive(&pid));
    daemon.boot();
    assert_eq!(inspect(&daemon, &name, "{{.State.Running}} {{.State.Pid}}"), format!("true {pid}"));
    let ticks = || daemon.docker(&["logs", &name]).ok().lines().count();
    let before = ticks();
    poll::until("another tick", || (ticks() > before).then_some(()));
    daemon.docker(&["stop", &name]).ok();
    assert_eq!(inspect(&daemon, &name, "{{.State.ExitCode}}"), "8");
}

/// The process above a container's first one dies: the container may not run on unwatched.
fn monitor_killed(case: &Case) {
    let daemon = case.own_daemon(None);
    let name = spawn(&daemon, "orphan", &[], "sleep 1000");
    let pid = inspect(&daemon, &name, "{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent: i32 = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let line = fs::read_to_string(format!("/proc/{parent}/cmdline")).unwrap();
    assert!(line.contains("shim"), "the parent of the container is {line:?}");
    kill(Pid::from_raw(parent), Signal::SIGKILL).unwrap();
    poll::until("the end is known", || (inspect(&daemon, &name, "{{.State.Status}} {{.State.ExitCode}}") == "exited 137").then_some(()));
    assert!(!alive(&pid), "the daemon calls it exited, but process {pid} runs");
    daemon.docker(&["start", &name]).ok();
    assert_eq!(daemon.docker(&["exec", &name, "echo", "again"]).ok(), "again");
}

fn two_daemons(case: &Case) {
    let daemon = case.own_daemon(None);
    let mut second = daemon.engine.command(daemon.dir(), &daemon.net);
    let mut second = second.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let status = poll::within(Duration::from_secs(20), || second.try_wait().unwrap());
    second.kill().ok();
    assert!(status.is_some_and(|s| !s.success()), "a second daemon runs on the same files: {status:?}");
    daemon.http().get("/_ping").expect(200);
}

fn leaves_no_socket(case: &Case) {
    let daemon = case.own_daemon(None);
    assert!(daemon.dir().join("pid").exists());
    assert_eq!(daemon.stop(), 0);
    assert!(!daemon.socket().exists() && !daemon.dir().join("pid").exists());
    daemon.boot();
}

/// One unreadable container does not keep the others from their daemon.
fn broken_document(case: &Case) {
    let daemon = case.own_daemon(None);
    let (good, bad) = (spawn(&daemon, "good", &[], "exit 1"), spawn(&daemon, "bad", &[], "exit 2"));
    for name in [&good, &bad] {
        daemon.docker(&["wait", name]).ok();
    }
    let id = inspect(&daemon, &bad, "{{.Id}}");
    daemon.stop();
    let mut broken = 0;
    for entry in fs::read_dir(daemon.dir().join("data/containers").join(&id)).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !name.contains("-json.log") {
            fs::write(entry.path(), "{ this is torn").unwrap();
            broken += 1;
        }
    }
    assert!(broken > 0, "no document of the container to break");
    daemon.boot();
    assert_eq!(inspect(&daemon, &good, "{{.State.ExitCode}}"), "1");
    spawn(&daemon, "new", &[], "exit 0");
}

/// A container that the daemon knows can be used; or it does not know it.
fn works_or_is_gone(daemon: &Daemon, name: &str) {
    let http = daemon.http();
    let reply = http.get(&format!("/containers/{name}/json"));
    if reply.status() == 404 {
        return;
    }
    let state = reply.expect(200).json()["State"]["Status"].as_str().unwrap().to_owned();
    match state.as_str() {
        "running" => {
            let exec = daemon.docker(&["exec", name, "echo", "works"]);
            // It may end between the two calls.
            let ended = || http.get(&format!("/containers/{name}/json")).json()["State"]["Running"] != true;
            assert!(exec.stdout == "works\n" || ended(), "{exec:?}");
        }
        "created" | "exited" => {
            let reply = http.post(&format!("/containers/{name}/start"));
            // dockerd forgets what its containerd had begun, and then stumbles over it.
            let stumbled = daemon.engine.is_dockerd() && reply.text().contains("already exists");
            assert!(stumbled || matches!(reply.status(), 204 | 304), "start of {name} ({state}): {}", reply.text());
        }
        "restarting" | "removing" => {}
        other => panic!("{name} is {other}"),
    }
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a client was told is there, and has not begun to remove since.
#[derive(Default)]
struct Promised {
    containers: Mutex<BTreeSet<String>>,
    image: AtomicBool,
}

/// Containers that are made, started, stopped and removed, until the daemon dies.
fn live_and_die(http: &Http, worker: u32, mut dice: Dice, stop: &AtomicBool, promised: &Promised) {
    while !stop.load(Ordering::Relaxed) {
        let name = format!("r{worker}-{}", dice.roll(3));
        let rm = dice.roll(4) == 0;
        let body = json!({"Image": "busybox", "Labels": {"random": ""}, "Cmd": ["sh", "-c", "echo $$; exec sleep 1000"], "HostConfig": {"AutoRemove": rm}});
        let json: &[(&str, &str)] = &[("Content-Type", "application/json")];
        // Any of these may meet a daemon that is dying; only its next life is judged.
        let created = http.open("POST", &format!("/containers/create?name={name}"), json, body.to_string().as_bytes());
        if created.is_ok_and(|c| c.head.status == 201) && !rm {
            promised.containers.lock().unwrap().insert(name.clone());
        }
        for step in ["start", "stop?t=0"] {
            let _ = http.open("POST", &format!("/containers/{name}/{step}"), &[], b"");
        }
        promised.containers.lock().unwrap().remove(&name);
        let _ = http.open("DELETE", &format!("/containers/{name}?force=1"), &[], b"");
    }
}

/// An image that is loaded and removed, until the daemon dies.
fn load_and_remove(http: &Http, archive: &[u8], stop: &AtomicBool, promised: &Promised) {
    while !stop.load(Ordering::Relaxed) {
        let loading = http.open("POST", "/images/load?quiet=1", &[("Content-Type", "application/x-tar")], archive);
        let mut said = String::new();
        let heard = loading.and_then(|mut stream| stream.read_to_string(&mut said));
        promised.image.store(heard.is_ok() && said.contains("Loaded image"), Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            return;
        }
        promised.image.store(false, Ordering::Relaxed);
        let _ = http.open("DELETE", "/images/random?force=1", &[], b"");
    }
}

/// Directories, mounts and processes of containers that the daemon does not know.
fn orphans(daemon: &Daemon, known: &BTreeSet<String>) -> Vec<String> {
    let is_id = |name: &str| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    // The first one: execs have ids of their own, below their container's.
    let unknown = |path: &str| path.split('/').find(|part| is_id(part)).is_some_and(|id| !known.contains(id));
    let files = Footprint::of(daemon).beyond(&Footprint::default()).into_iter().map(|p| p.display().to_string());
    let mut found: Vec<String> = files.filter(|p| !p.contains("/layers/overlay2/layers/") && unknown(p)).collect();
    let mark = daemon.dir().file_name().unwrap().to_str().unwrap();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let groups = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
        found.extend(groups.lines().find(|l| l.contains(mark) && unknown(l)).map(|l| format!("{} in {l}", process.path().display())));
    }
    found
}

/// The blobs and unpacked layers of all images.
fn content(daemon: &Daemon) -> BTreeSet<PathBuf> {
    let dirs = ["blobs/sha256", "blobs/tmp", "layers/overlay2/layers", "layers/overlay2/tmp"].map(|d| daemon.dir().join("data").join(d));
    dirs.iter().filter_map(|d| fs::read_dir(d).ok()).flatten().map(|e| e.unwrap().path()).collect()
}

fn kill_at_random(case: &Case) {
    let seed = std::env::var("WHARF_TEST_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    println!("kill_at_random: WHARF_TEST_SEED={seed}");
    let mut dice = Dice(seed);
    let daemon = surviving(case);
    // Directories that come with the first container count as there.
    daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
    // The kernel takes its interface back a little later.
    let quiet = || Some(daemon.net.links()).filter(|links| !links.iter().any(|link| link.starts_with("veth")));
    let (links, rules) = (poll::until("the first container's interface is gone", quiet), daemon.net.ruleset());
    let fresh = Footprint::of(&daemon);
    let images = content(&daemon);
    let script = "i=0; while [ ! -e /enough ]; do echo line $i; i=$((i+1)); [ $((i % 20)) = 0 ] && usleep 5000; done; exit 3";
    let writer = spawn(&daemon, "writer", &[], script);
    let pid = inspect(&daemon, &writer, "{{.State.Pid}}");
    let mut image = image::busybox();
    image.tags = vec!["random:latest".into()];
    image.layers.push((0u8..40).fold(Layer::new(), |l, i| l.file(&format!("f{i}"), 0o644, &[i; 50_000])).finish());
    let archive = Image::docker_archive(&[image]);
    let rounds = if case.engine().is_dockerd() { 3 } else { 24 };
    for round in 0..rounds {
        let (stop, promised) = (AtomicBool::new(false), Promised::default());
        std::thread::scope(|scope| {
            for worker in 0..2 {
                let (http, dice) = (daemon.http(), Dice(dice.roll(u64::MAX)));
                let (stop, promised) = (&stop, &promised);
                scope.spawn(move || live_and_die(&http, worker, dice, stop, promised));
            }
            scope.spawn(|| load_and_remove(&daemon.http(), &archive, &stop, &promised));
            std::thread::sleep(Duration::from_millis(20 + dice.roll(400)));
            stop.store(true, Ordering::Relaxed);
            daemon.kill9();
        });
        daemon.boot();
        let http = daemon.http();
        assert_eq!(inspect(&daemon, &writer, "{{.State.Running}} {{.State.Pid}}"), format!("true {pid}"));
        let list = http.get("/containers/json?all=1").expect(200).json();
        let known: BTreeSet<String> = list.as_array().unwrap().iter().map(|c| c["Id"].as_str().unwrap().to_owned()).collect();
        for name in promised.containers.into_inner().unwrap() {
            http.get(&format!("/containers/{name}/json")).expect(200);
        }
        let loaded = http.get("/images/random/json").status() == 200;
        assert!(loaded || !promised.image.into_inner(), "an image that was loaded is lost");
        if !case.engine().is_dockerd() {
            // What is removed is moved to the trash first; that is emptied in the background.
            let clean = poll::within(Duration::from_secs(10), || orphans(&daemon, &known).is_empty().then_some(()));
            assert!(clean.is_some(), "round {round}: {:#?}", orphans(&daemon, &known));
            if !loaded {
                // Killed between an image and its name, or between the name's end and the image's: it is there to be seen and pruned.
                daemon.docker(&["image", "prune", "-f"]).ok();
                let left: Vec<_> = content(&daemon).difference(&images).cloned().collect();
                assert!(left.is_empty(), "round {round}: of a load that was killed: {left:?}");
            }
        }
        if loaded {
            let ran = daemon.docker(&["run", "--rm", "--network", "none", "random", "sh", "-c", "cat /f* | wc -c"]);
            assert_eq!(ran.ok(), "2000000");
            http.delete("/images/random?force=1").expect(200);
        }
        for id in &known {
            if !list.as_array().unwrap().iter().any(|c| c["Id"] == **id && c["Names"][0] == "/writer") {
                works_or_is_gone(&daemon, id);
            }
        }
        // Half of the time the survivors meet the next round.
        if dice.roll(2) == 0 {
            daemon.remove_containers(r#"{"label":["random"]}"#);
        }
        println!("kill_at_random: round {round}, {} survivors", known.len() - 1);
    }
    // The container may end before `touch` does.
    daemon.docker(&["exec", &writer, "touch", "/enough"]);
    assert_eq!(daemon.docker(&["wait", &writer]).ok(), "3");
    check_lines(case, &daemon.docker(&["logs", &writer]).ok());
    // All names are free again, nothing of any round is left.
    daemon.remove_containers("{}");
    let name = spawn(&daemon, "r0-0", &[], "sleep 100");
    daemon.docker(&["rm", "-f", &name]).ok();
    if case.engine().is_dockerd() {
        // It leaves layers, network endpoints and rules of what was half done.
        return;
    }
    daemon.crash();
    let clean = || Footprint::of(&daemon).beyond(&fresh).is_empty() && daemon.net.links() == links && daemon.net.ruleset() == rules;
    let left = poll::within(Duration::from_secs(10), || clean().then_some(()));
    assert!(
        left.is_some(),
        "left: {:?}\nlinks {:?}, at start {links:?}\n{:?}",
        Footprint::of(&daemon).beyond(&fresh),
        daemon.net.links(),
        daemon.net.ruleset()
    );
    daemon.docker(&["image", "prune", "-f"]).ok();
    assert_eq!(content(&daemon), images);
    let processes: Value = daemon.http().get("/containers/json?all=1").json();
    assert_eq!(processes, json!([]));
}
