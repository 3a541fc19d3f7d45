//! One container from image to greeting: a throw-away daemon on directories of its own loads a tiny image and runs it through
//! the API, as any client would. A daemon that serves already is not touched.

mod client;
mod image;

use super::scratch::Scratch;
use crate::config::Config;
use crate::shim_path;
use client::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wharf_types::{Error, Result, error::Context};

/// A daemon without containers starts and stops in a small part of this.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a daemon that starts or stops.
const INTERVAL: Duration = Duration::from_millis(10);

/// Runs the hello container and returns what it said.
///
/// # Errors
/// The first step that failed.
pub fn run(config: &Config) -> Result<String> {
    let (shim, image) = monitor_and_image(config)?;
    // Data where the data would be, sockets where the sockets would be: the file systems are part of what is tried.
    let data = Scratch::near(&config.data_root)?;
    let run = Scratch::near(&config.exec_root)?;
    let daemon = Daemon::start(config, &shim, data.path(), run.path())?;
    greet(&daemon.client, &image)
}

/// Writes the hello image as `docker load` takes it.
///
/// # Errors
/// When the monitor, whose binary is the image's program, is not there, or `out` can not be written.
pub fn write_image(config: &Config, out: &mut dyn Write) -> Result<()> {
    let (_, image) = monitor_and_image(config)?;
    out.write_all(&image).and_then(|()| out.flush()).context("write the hello image")
}

fn monitor_and_image(config: &Config) -> Result<(PathBuf, Vec<u8>)> {
    let shim = shim_path::find(config.shim_path.as_deref(), std::env::current_exe().ok().as_deref())?;
    let program = std::fs::read(&shim).context(format_args!("read {}", shim.display()))?;
    Ok((shim, image::archive(&program)?))
}

fn greet(client: &Client, image: &[u8]) -> Result<String> {
    client.call("POST", "/images/load", "application/x-tar", image)?;
    let body = json!({"Image": image::TAG, "HostConfig": {"NetworkMode": "none"}}).to_string();
    let created = json(&client.call("POST", "/containers/create", "application/json", body.as_bytes())?)?;
    let id = created.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let said = client.call("POST", &format!("/containers/{id}/start"), "", b"").and_then(|_| outcome(client, &id));
    // Also after a failure: the daemon must not keep a running container when it is told to stop.
    let removed = client.call("DELETE", &format!("/containers/{id}?force=1"), "", b"");
    said.and_then(|said| removed.map(|_| said))
}

fn outcome(client: &Client, id: &str) -> Result<String> {
    let waited = json(&client.call("POST", &format!("/containers/{id}/wait"), "", b"")?)?;
    let log = client.call("GET", &format!("/containers/{id}/logs?stdout=1&stderr=1"), "", b"")?;
    let said = unframe(&log);
    match waited.get("StatusCode").and_then(Value::as_i64) {
        Some(0) if !said.is_empty() => Ok(said),
        Some(0) => Err(Error::system("the hello container's output is lost")),
        code => Err(Error::system(format!("the hello container ended with {code:?}: {said}"))),
    }
}

fn json(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).context("read an answer of the daemon")
}

/// The text in a multiplexed stream: frames of eight bytes (stream, three zeros, big-endian length) and their content.
fn unframe(mut stream: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some((header, rest)) = stream.split_first_chunk::<8>() {
        let [_, _, _, _, length @ ..] = *header;
        let (content, rest) = rest.split_at_checked(u32::from_be_bytes(length) as usize).unwrap_or((rest, &[]));
        text.extend(content);
        stream = rest;
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// The throw-away daemon; told to stop when dropped.
struct Daemon {
    process: Child,
    client: Client,
}

impl Daemon {
    fn start(config: &Config, shim: &Path, data: &Path, run: &Path) -> Result<Self> {
        let at = |name: &str| run.join(name).display().to_string();
        std::fs::write(run.join("daemon.json"), "{}")?;
        let log = std::fs::File::create(run.join("log"))?;
        let process = Command::new("/proc/self/exe")
            .args([
                "--config-file",
                &at("daemon.json"),
                "--host",
                &format!("unix://{}", at("sock")),
                "--pidfile",
                &at("pid"),
                "--group",
                "0",
            ])
            .args(["--bridge", "none", "--iptables=false", "--ip-forward=false", "--exec-root", &at("run")])
            .args(config.storage_driver.map(|driver| format!("--storage-driver={driver}")))
            .arg("--data-root")
            .arg(data)
            .arg("--shim-path")
            .arg(shim)
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start a daemon")?;
        let mut daemon = Self { process, client: Client::new(&run.join("sock")) };
        let deadline = Instant::now() + PATIENCE;
        while daemon.client.call("GET", "/_ping", "", b"").is_err() {
            let ended = daemon.process.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(run.join("log")).unwrap_or_default();
                return Err(Error::system(format!("the daemon does not serve: {}", log.lines().last().unwrap_or("no word from it"))));
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // It may have ended by itself; the wait below tells.
        _ = i32::try_from(self.process.id()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                _ = self.process.kill();
            }
            std::thread::sleep(INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart() {
        assert_eq!(unframe(b"\x01\0\0\0\0\0\0\x03hi \x02\0\0\0\0\0\0\x05you\n\n"), "hi you");
        assert_eq!(unframe(b"\x01\0\0\0\0\0\0\x09cut"), "cut");
        assert_eq!(unframe(b""), "");
    }
}
