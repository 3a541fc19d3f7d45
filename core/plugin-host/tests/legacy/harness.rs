//! A plugin process, what it was asked, and a request to judge.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use wharf_plugin_host::legacy::{Discovery, NativePlugins, Plugins, Timeouts};
use wharf_spi::authz::{Action, Authorizer, AuthzRequest, Caller, RawView};

/// `plugin.py` in a process; its plugin is called `guard`.
pub struct Script {
    dir: TempDir,
    child: Child,
}

/// One call, as the plugin saw it.
#[derive(Deserialize)]
pub struct Call {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    pub connection: u32,
}

impl Call {
    /// A header by its name in any case; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }
    pub fn field(&self, name: &str) -> Value {
        serde_json::from_str::<Value>(&self.body).unwrap()[name].clone()
    }
    /// A field that is base64 of text.
    pub fn decoded(&self, name: &str) -> String {
        String::from_utf8(STANDARD.decode(self.field(name).as_str().unwrap()).unwrap()).unwrap()
    }
}

/// Deadlines that a test can wait for.
pub fn fast() -> Timeouts {
    Timeouts { call: Duration::from_millis(500), activation: Duration::from_secs(2), patience: Duration::from_secs(5) }
}

/// A request with a body and secrets in its headers.
pub fn request() -> AuthzRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![header("User-Agent", "Docker-Client"), header("Authorization", "SECRET"), header("X-Registry-Auth", "SECRET")];
    AuthzRequest {
        caller: Caller::default(),
        action: Action("container.create"),
        api_version: "1.45".to_owned(),
        targets: Vec::new(),
        exposure: None,
        input: r#"{"name":"c","body":{"Image":"a","HostConfig":{"Privileged":true}}}"#.to_owned(),
        http: RawView { method: "POST".to_owned(), uri: "/v1.45/containers/create?name=c".to_owned(), headers },
    }
}

/// Runs the example of the documentation as `guard` in this directory, and waits until its socket is there.
pub fn documented(dir: &Path) -> Child {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugin-author/docker-v1.md")).unwrap();
    let example = page.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let example = example.replace("/run/docker/plugins/", &format!("{}/", dir.display()));
    let child = Command::new("python3").arg("-c").arg(example).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..500 {
        if dir.join("guard.sock").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn run(dir: &Path, mode: &str, tls: &[PathBuf]) -> (Child, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/legacy/plugin.py");
    let mut python = Command::new("python3");
    python.arg(script).arg(dir.join("run/guard.sock")).arg(mode).arg(dir.join("calls")).args(tls).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ready"), "the plugin did not start");
    (child, ready)
}

impl Script {
    /// Starts it; it can be reached when this returns.
    pub fn start(mode: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("run")).unwrap();
        let (child, _) = run(dir.path(), mode, &[]);
        Self { dir, child }
    }

    /// Starts it with certificate, key and the authority of its clients; the port that it listens on.
    pub fn start_tls(tls: &[PathBuf; 3]) -> (Self, u16) {
        let dir = tempfile::tempdir().unwrap();
        let (child, ready) = run(dir.path(), "allow", tls);
        (Self { dir, child }, ready.trim().split_once(' ').unwrap().1.parse().unwrap())
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it and starts it again in another mode.
    pub fn restart(&mut self, mode: &str) {
        self.kill();
        self.child = run(self.dir.path(), mode, &[]).0;
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/guard.sock")
    }

    pub fn plugins(&self, timeouts: Timeouts) -> Arc<Plugins> {
        let discovery = Discovery { sockets: self.dir.path().join("run"), specs: Vec::new() };
        Plugins::new(discovery, timeouts, NativePlugins::Refused)
    }

    pub fn authorizer(&self, timeouts: Timeouts) -> Arc<dyn Authorizer> {
        self.plugins(timeouts).authorizer("guard")
    }

    /// What it was asked so far.
    pub fn calls(&self) -> Vec<Call> {
        let text = fs::read_to_string(self.dir.path().join("calls")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
