//! What a test gets: a daemon shared with other tests, and names and labels of its own.

use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};

use crate::http::Http;
use crate::{Daemon, Engine, Output, Pty, command, image, suite};

static SHARED: Mutex<Option<Arc<Daemon>>> = Mutex::new(None);

/// One test. Its containers carry its label and are removed at the end.
pub struct Case {
    name: &'static str,
    daemon: OnceLock<Arc<Daemon>>,
}

impl Case {
    pub(crate) fn new(name: &'static str) -> Case {
        Case { name, daemon: OnceLock::new() }
    }

    /// The daemon that most tests share; started at first use, with the test images loaded.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.get_or_init(|| {
            let mut shared = SHARED.lock().unwrap();
            shared.get_or_insert_with(|| Arc::new(Case::fresh_daemon(None))).clone()
        })
    }

    /// A daemon for this test alone, with the test images loaded.
    pub fn own_daemon(&self, config: Option<Value>) -> Daemon {
        Case::fresh_daemon(config)
    }

    fn fresh_daemon(config: Option<Value>) -> Daemon {
        let daemon = Daemon::start(config);
        let loaded = daemon.load(&image::basic_archive());
        assert!(loaded.contains("Loaded image: busybox:latest"), "{loaded}");
        daemon
    }

    /// Ends the shared daemon; the result of its leak check.
    pub fn close_shared() -> Result<(), String> {
        SHARED.lock().unwrap_or_else(|p| p.into_inner()).take().map_or(Ok(()), |d| d.close())
    }

    /// The engine under test.
    pub fn engine(&self) -> Engine {
        Engine::from_env()
    }

    /// Says that this machine or engine cannot do it; return after it.
    pub fn skip(&self, reason: &str) {
        suite::note_skip(self.name, reason);
    }

    /// A container name that no other test uses.
    pub fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// The label of this test's containers.
    pub fn label(&self) -> String {
        format!("wharf.test={}", self.name)
    }

    /// A raw client of the shared daemon.
    pub fn http(&self) -> Http {
        self.daemon().http()
    }

    /// `docker ARGS`.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Output {
        self.daemon().docker(args)
    }

    /// `docker ARGS` with this standard input.
    #[track_caller]
    pub fn docker_stdin(&self, args: &[&str], stdin: &str) -> Output {
        command::run_with_stdin(&mut self.daemon().docker_command(args), stdin.as_bytes())
    }

    /// `docker run --label … ARGS`.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Output {
        command::run(&mut self.run_command(args))
    }

    /// `docker run --label … ARGS` with this standard input.
    #[track_caller]
    pub fn run_stdin(&self, args: &[&str], stdin: &str) -> Output {
        command::run_with_stdin(&mut self.run_command(args), stdin.as_bytes())
    }

    /// `docker run --label … ARGS`, not started yet.
    pub fn run_command(&self, args: &[&str]) -> Command {
        let label = self.label();
        self.daemon().docker_command(&[&["run", "--label", &label], args].concat())
    }

    /// `docker run -d --name NAME busybox sh -c SCRIPT`; returns the name.
    #[track_caller]
    pub fn spawn(&self, part: &str, options: &[&str], script: &str) -> String {
        let name = self.name(part);
        self.run(&[&["-d", "--name", &name], options, &["busybox", "sh", "-c", script]].concat()).ok();
        name
    }

    /// `docker ARGS` on a terminal.
    pub fn pty(&self, args: &[&str]) -> Pty {
        Pty::spawn(self.daemon().docker_command(args))
    }

    /// `docker run -it --label … ARGS` on a terminal.
    pub fn pty_run(&self, args: &[&str]) -> Pty {
        Pty::spawn(self.run_command(&[&["-it"], args].concat()))
    }

    /// `docker inspect -f FORMAT NAME`.
    #[track_caller]
    pub fn inspect(&self, name: &str, format: &str) -> String {
        self.docker(&["inspect", "-f", format, name]).ok()
    }

    /// Creates a container through the API; `config` is the body without its label. Returns the ID.
    #[track_caller]
    pub fn create(&self, config: Value) -> String {
        self.create_named("", config)
    }

    /// The same with `?name=`.
    #[track_caller]
    pub fn create_named(&self, name: &str, mut config: Value) -> String {
        config["Labels"]["wharf.test"] = json!(self.name);
        if config.get("Image").is_none() {
            config["Image"] = json!("busybox");
        }
        let query = if name.is_empty() { String::new() } else { format!("?name={name}") };
        let reply = self.http().post_json(&format!("/containers/create{query}"), &config).expect(201);
        reply.json()["Id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let Some(daemon) = self.daemon.get() else { return };
        let remove = || daemon.remove_containers(&json!({"label": [self.label()]}).to_string());
        if std::thread::panicking() {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(remove)).ok();
        } else {
            remove();
        }
    }
}
