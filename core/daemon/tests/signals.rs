//! Signals to a daemon that takes long to drain; this test program plays that daemon, too.

#![allow(clippy::unwrap_used)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The child of the other test: announces the first signal and never ends by itself.
#[test]
#[ignore = "run by the_third_signal_ends_the_process"]
fn a_daemon_that_never_drains() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (shutdown, _requests) = wharf_daemon::signals::watch().unwrap();
        println!("ready");
        println!("first {}", shutdown.await);
        std::future::pending::<()>().await;
    });
}

#[test]
fn the_third_signal_ends_the_process() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_daemon_that_never_drains", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("ready")));
    kill(pid, Signal::SIGHUP).unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(lines.next().unwrap(), "first 15");
    assert!(child.try_wait().unwrap().is_none());
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        // Signals that arrive together count as one, so more than two may be needed.
        _ = kill(pid, Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(20));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "still there");
    };
    assert_eq!(status.code(), Some(128 + 15));
}
