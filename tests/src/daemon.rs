//! A daemon under test: its process, its files, its network; and the check that it leaves nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::Http;
use crate::{Engine, NetNs, Output, command, leaks, poll};

/// A running (or just killed) daemon. Dropping it removes its containers, stops it, and fails the test if anything is left.
pub struct Daemon {
    /// Which daemon it is.
    pub engine: Engine,
    /// The namespace that it lives in.
    pub net: NetNs,
    dir: TempDir,
    flags: Vec<String>,
    process: Mutex<Option<Child>>,
    fresh: OnceLock<(Vec<String>, Vec<String>)>,
    closed: Mutex<bool>,
    killed: Mutex<bool>,
}

impl Daemon {
    /// Starts a fresh daemon with this `daemon.json` and waits until it answers.
    pub fn start(config: Option<Value>) -> Daemon {
        Daemon::start_with(config, &[])
    }

    /// The same with more flags.
    pub fn start_with(config: Option<Value>, flags: &[&str]) -> Daemon {
        Daemon::start_as(Engine::from_env(), config, flags)
    }

    /// The same, of this engine.
    pub fn start_as(engine: Engine, config: Option<Value>, flags: &[&str]) -> Daemon {
        // Short names: the path of a unix socket holds 107 bytes.
        let dir = tempfile::Builder::new().prefix("whe2e-").tempdir_in("/tmp").unwrap();
        fs::write(dir.path().join("daemon.json"), config.unwrap_or_else(|| json!({})).to_string()).unwrap();
        let daemon = Daemon {
            engine,
            net: NetNs::new(),
            dir,
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            process: Mutex::default(),
            fresh: OnceLock::new(),
            closed: Mutex::default(),
            killed: Mutex::default(),
        };
        daemon.boot();
        daemon.fresh.set((daemon.net.links(), daemon.net.ruleset())).unwrap();
        daemon
    }

    /// Starts the process again on the same files and waits until it answers.
    pub fn boot(&self) {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.engine.command(self.dir.path(), &self.net);
        command.args(&self.flags).stdin(std::process::Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).current_dir("/");
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut process = self.process();
        let process = process.insert(child);
        let http = self.http();
        poll::until("the daemon answers _ping", || {
            if let Some(status) = process.try_wait().unwrap() {
                panic!("the daemon ended with {status}\n{}", self.log_tail());
            }
            http.open("GET", "/_ping", &[], b"").is_ok_and(|r| r.head.status == 200).then_some(())
        });
    }

    /// SIGTERM and wait; returns the exit code.
    pub fn stop(&self) -> i32 {
        let mut process = self.process();
        let Some(child) = process.as_mut() else { return 0 };
        kill(pid(child), Signal::SIGTERM).unwrap();
        let status = poll::within(poll::PATIENCE, || child.try_wait().unwrap());
        if status.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        *process = None;
        command::code(status.unwrap_or_else(|| panic!("SIGTERM did not end the daemon\n{}", self.log_tail())))
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill9(&self) {
        if let Some(mut child) = self.process().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        *self.killed.lock().unwrap() = true;
        self.engine.forget_helpers(self.dir.path());
    }

    /// Kills the daemon and starts it again.
    pub fn crash(&self) {
        self.kill9();
        self.boot();
    }

    /// The process id of the daemon, which must run.
    pub fn pid(&self) -> u32 {
        self.process().as_ref().expect("the daemon runs").id()
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    /// The directory that holds all its files; part of every path, so it marks mounts and processes.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A raw client.
    pub fn http(&self) -> Http {
        Http::new(self.socket())
    }

    /// The docker CLI with these arguments, not started yet.
    pub fn docker_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        let (host, config) = (format!("unix://{}", self.socket().display()), self.dir.path().join("cli"));
        command.args(args).env("DOCKER_HOST", host).env("DOCKER_CONFIG", config).env("DOCKER_CLI_HINTS", "false");
        command.env_remove("DOCKER_CONTEXT").env_remove("DOCKER_API_VERSION");
        command
    }

    /// Runs the docker CLI to its end.
    #[track_caller]
    pub fn docker(&self, args: &[&str]) -> Output {
        command::run(&mut self.docker_command(args))
    }

    /// Loads an archive and returns the progress stream.
    #[track_caller]
    pub fn load(&self, archive: &[u8]) -> String {
        let said =
            self.http().request("POST", "/images/load?quiet=1", &[("Content-Type", "application/x-tar")], archive).expect(200).text();
        assert!(!said.contains("errorDetail"), "{said}");
        said
    }

    /// The newest lines of the daemon's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        format!("--- daemon log ---\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
    }

    /// Removes every container that `filters` selects (JSON of the list call) and waits until they are gone.
    pub fn remove_containers(&self, filters: &str) {
        let http = self.http();
        let list = format!("/containers/json?all=1&filters={}", urlencode(filters));
        let left = poll::within(Duration::from_secs(20), || {
            let containers = http.get(&list).expect(200).json();
            let ids: Vec<_> = containers.as_array().unwrap().iter().map(|c| c["Id"].as_str().unwrap().to_owned()).collect();
            if ids.is_empty() {
                return Some(());
            }
            for id in &ids {
                // 404 and 409: somebody else (AutoRemove) is faster.
                http.delete(&format!("/containers/{id}?force=1&v=1"));
            }
            None
        });
        assert!(left.is_some(), "containers cannot be removed: {}\n{}", http.get(&list).text(), self.log_tail());
    }

    /// Removes all containers, stops the daemon and looks for what is left. Errors name each leak.
    pub fn close(&self) -> Result<(), String> {
        if std::mem::replace(&mut *self.closed.lock().unwrap(), true) {
            return Ok(());
        }
        if self.process().is_none() {
            self.boot();
        }
        self.remove_containers("{}");
        let mut found = Vec::new();
        // A killed dockerd never tidies up: its next life adds rules again, and forgets mounts and half-started containers.
        let forgetful = self.engine.is_dockerd() && *self.killed.lock().unwrap();
        if let Some((links, rules)) = self.fresh.get().filter(|_| !forgetful) {
            let clean = || (self.net.links() == *links && self.net.ruleset() == *rules).then_some(());
            if poll::within(Duration::from_secs(5), clean).is_none() {
                found.push(format!("interfaces {:?}, at start {links:?}", self.net.links()));
                if self.net.ruleset() != *rules {
                    found.push(format!("firewall rules {:#?}\nat start {rules:#?}", self.net.ruleset()));
                }
            }
        }
        match self.stop() {
            0 => {}
            code => found.push(format!("the daemon's exit code {code}")),
        }
        let left = leaks::after(self.engine, self.dir.path());
        found.extend(left.into_iter().filter(|_| !forgetful));
        found.truncate(20);
        if found.is_empty() { Ok(()) } else { Err(format!("left behind:\n  {}\n{}", found.join("\n  "), self.log_tail())) }
    }

    /// The process; also after a test panicked while it held the lock.
    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; checks would only add panics to a panic.
            eprintln!("{}", self.log_tail());
            self.kill9();
            return leaks::clean(self.dir.path());
        }
        if let Err(leak) = self.close() {
            panic!("{leak}");
        }
    }
}

/// Percent-encodes a query value.
pub fn urlencode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}
