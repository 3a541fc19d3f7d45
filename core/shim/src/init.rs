//! `init`: the first process of a container that was asked for one. Runs a command, forwards signals to it, and reaps orphans.

use crate::sys::{self, Fork, Signals};
use rustix::process::{Pid, WaitOptions, kill_process, kill_process_group, wait};
use std::{ffi::CString, io, os::unix::ffi::OsStringExt};

/// Runs `command` and returns its exit code, 128 + n after signal n.
pub fn run(command: Vec<std::ffi::OsString>) -> i32 {
    let args: Vec<CString> = command.into_iter().filter_map(|a| CString::new(a.into_vec()).ok()).collect();
    match supervise(&args) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("init: {e}");
            127
        }
    }
}

fn supervise(args: &[CString]) -> io::Result<i32> {
    let program = args.first().ok_or_else(|| io::Error::other("no command given"))?;
    Signals::all().block()?;
    let child = match sys::fork()? {
        Fork::Parent(pid) => Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork"))?,
        Fork::Child => execute(program, args),
    };
    loop {
        let signal = Signals::all().wait();
        if signal == libc::SIGCHLD {
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                if pid == child && !status.stopped() {
                    return Ok(status.exit_status().or_else(|| status.terminating_signal().map(|n| 128 + n)).unwrap_or(255));
                }
            }
        } else if let Some(signal) = sys::signal(signal) {
            // Stops from the terminal are meant for the foreground group, which is not ours.
            let _ = kill_process(child, signal).or_else(|_| kill_process_group(child, signal));
        }
    }
}

/// The command gets a group of its own, in the foreground of the terminal if there is one.
fn execute(program: &CString, args: &[CString]) -> ! {
    let _ = rustix::process::setpgid(None, None);
    let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
    sys::reset_signals();
    let env: Vec<CString> =
        std::env::vars_os().filter_map(|(k, v)| CString::new([k.into_vec(), b"=".to_vec(), v.into_vec()].concat()).ok()).collect();
    let name = program.to_string_lossy();
    let path = std::env::var("PATH").unwrap_or_default();
    let error = match crate::oci::program::find(&name, &path) {
        Ok(path) => CString::new(path.into_os_string().into_vec()).map_or_else(io::Error::other, |p| sys::execve(&p, args, &env)),
        Err(text) => io::Error::other(text),
    };
    eprintln!("init: {error}");
    sys::exit_now(if error.raw_os_error() == Some(libc::EACCES) { 126 } else { 127 })
}
