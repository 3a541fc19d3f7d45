//! What an authorization plugin that allows everything costs a client: the same requests to a daemon without and to one with it,
//! over one connection each, in turn, all on one processor. Not criterion: between what it measures one after the other, the machine
//! changes by more than the plugin costs, and on several processors it matters most which of them wakes up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a benchmark that cannot run may panic

#[path = "../../plugin-host/benches/authz/trivial.rs"]
mod trivial;

use rustix::thread::CpuSet;
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const CONFIG: &str = r#"{"interface": {"types": ["docker.authz/1.0"], "protocolScheme": "wasm.component/1"}}"#;
/// A new daemon compiles the plugin before it listens.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);
const CONTAINERS: usize = 100;

/// A daemon of its own, without networks.
struct Daemon {
    dir: tempfile::TempDir,
    process: Child,
}

impl Daemon {
    fn start(plugin: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let config = if plugin {
            fs::create_dir_all(at("plugin/rootfs")).unwrap();
            fs::write(at("plugin/config.json"), CONFIG).unwrap();
            fs::write(at("plugin/rootfs/plugin.wasm"), trivial::plugin()).unwrap();
            format!(r#"{{"plugins": [{{"name": "trivial", "path": {:?}}}], "authorization-plugins": ["trivial"]}}"#, at("plugin"))
        } else {
            "{}".to_owned()
        };
        fs::write(at("daemon.json"), config).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_wharfd"))
            .args(["--bridge", "none", "-G", "root", "-H"])
            .arg(format!("unix://{}", at("socket").display()))
            .arg("--config-file")
            .arg(at("daemon.json"))
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("run"))
            .arg("--pidfile")
            .arg(at("pid"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { dir, process }
    }

    fn connect(&self) -> UnixStream {
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        (0..tries).find_map(|_| UnixStream::connect(socket(self.dir.path())).inspect_err(|_| thread::sleep(PAUSE)).ok()).unwrap()
    }

    /// A request that is the last of its connection.
    fn post(&self, path: &str, kind: &str, body: &[u8]) {
        let (mut connection, mut answer) = (self.connect(), Vec::new());
        write!(
            connection,
            "POST {path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        connection.write_all(body).unwrap();
        connection.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer));
    }

    fn make_containers(&self) {
        self.post("/images/create?fromSrc=-&repo=empty&tag=1", "application/x-tar", &[0; 1024]);
        for number in 0..CONTAINERS {
            let body =
                br#"{"Image": "empty:1", "Cmd": ["true"], "Labels": {"com.example.team": "a"}, "HostConfig": {"NetworkMode": "none"}}"#;
            self.post(&format!("/containers/create?name=c{number}"), "application/json", body);
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.process.wait().unwrap();
    }
}

fn socket(dir: &Path) -> std::path::PathBuf {
    dir.join("socket")
}

/// Sends a request and reads its answer to the end, which its head tells. How long that took.
fn ask(connection: &mut UnixStream, path: &str, answer: &mut [u8]) -> Duration {
    let began = Instant::now();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    let (mut length, mut whole) = (0, None);
    while whole.is_none_or(|whole| length < whole) {
        length += connection.read(&mut answer[length..]).unwrap();
        whole = whole.or_else(|| end_of(&answer[..length]));
    }
    let took = began.elapsed();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..length]));
    took
}

/// Where an answer ends, when its head is there.
fn end_of(answer: &[u8]) -> Option<usize> {
    const LENGTH: &str = "content-length: ";
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let lines = String::from_utf8_lossy(&answer[..head]).to_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix(LENGTH)).expect("an answer without its length");
    Some(head + length.parse::<usize>().unwrap())
}

/// Asks both in turn, so that what else goes on on the machine meets both, and tells the medians and that of the differences.
fn compare(name: &str, path: &str, daemons: &[Daemon; 2], pairs: usize) {
    let mut connections = daemons.each_ref().map(Daemon::connect);
    let mut answer = vec![0; 1 << 20];
    let mut took = [Vec::with_capacity(pairs), Vec::with_capacity(pairs)];
    for pair in 0..pairs + pairs / 10 {
        // Neither is always the first.
        for which in [pair % 2, 1 - pair % 2] {
            let time = ask(&mut connections[which], path, &mut answer).as_secs_f64() * 1e6;
            if pair >= pairs / 10 {
                took[which].push(time);
            }
        }
    }
    let mut more: Vec<f64> = took[1].iter().zip(&took[0]).map(|(with, without)| with - without).collect();
    let [without, with] = took.each_mut().map(|times| quantiles(times, [0.1, 0.5]));
    // The interval of a median by ranks: two standard deviations, of sqrt(n) / 2 ranks each, on both sides.
    let width = 1.0 / (pairs as f64).sqrt();
    let [low, median, high] = quantiles(&mut more, [0.5 - width, 0.5, 0.5 + width]);
    println!(
        "{name}: without p10 {:.1} p50 {:.1} µs, with p10 {:.1} p50 {:.1} µs; difference {median:.1} µs ({low:.1} to {high:.1} with 95 %), {:+.1} %",
        without[0],
        without[1],
        with[0],
        with[1],
        median / without[1] * 100.0
    );
}

fn quantiles<const N: usize>(values: &mut [f64], at: [f64; N]) -> [f64; N] {
    values.sort_by(f64::total_cmp);
    at.map(|part| values[(values.len() as f64 * part) as usize])
}

fn main() {
    let mut one = CpuSet::new();
    one.set(rustix::thread::sched_getcpu());
    rustix::thread::sched_setaffinity(None, &one).unwrap();
    // `cargo bench` says so; a test only sees whether it runs.
    let pairs = if std::env::args().any(|argument| argument == "--bench") { 20_000 } else { 10 };
    let daemons = [Daemon::start(false), Daemon::start(true)];
    compare("_ping", "/_ping", &daemons, pairs);
    compare("empty list", "/v1.41/containers/json?all=1", &daemons, pairs);
    daemons.iter().for_each(Daemon::make_containers);
    compare("list of 100", "/v1.41/containers/json?all=1", &daemons, pairs / 2);
}
