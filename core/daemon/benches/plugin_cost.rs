//! What an authorization plugin that allows everything costs a client: the same requests to a daemon without and to one with it,
//! over one connection.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a benchmark that cannot run may panic

#[path = "../../plugin-host/benches/authz/trivial.rs"]
mod trivial;

use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const CONFIG: &str = r#"{"interface": {"types": ["docker.authz/1.0"], "protocolScheme": "wasm.component/1"}}"#;
/// A new daemon compiles the plugin before it listens.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

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

/// Sends a request and reads its answer, whose head and body are small enough for one read.
fn ask(connection: &mut UnixStream, path: &str) {
    let mut answer = [0; 4096];
    write!(connection, "GET {path} HTTP/1.1\r\nHost: d\r\n\r\n").unwrap();
    let length = connection.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..length]));
}

fn benches(c: &mut Criterion) {
    let daemons = [("without", Daemon::start(false)), ("with", Daemon::start(true))];
    for (name, path) in [("ping", "/_ping"), ("list", "/v1.41/containers/json")] {
        let mut group = c.benchmark_group(name);
        group.measurement_time(Duration::from_secs(5));
        for (plugin, daemon) in &daemons {
            let mut connection = daemon.connect();
            group.bench_function(*plugin, |b| b.iter(|| ask(&mut connection, path)));
        }
        group.finish();
    }
}

criterion_group!(all, benches);
criterion_main!(all);
