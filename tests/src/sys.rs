//! The two things that need code between fork and exec: entering a network namespace and taking a terminal.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

/// Makes `command` start inside the network namespace `ns`.
pub fn enter_netns(command: &mut Command, ns: Arc<OwnedFd>) -> &mut Command {
    // SAFETY: setns(2) is a bare system call, allowed between fork and exec; `ns` lives as long as the closure.
    unsafe { command.pre_exec(move || nix::sched::setns(&*ns, nix::sched::CloneFlags::CLONE_NEWNET).map_err(Into::into)) }
}

/// Makes `command` start in a session of its own whose controlling terminal is `tty`.
pub fn own_terminal(command: &mut Command, tty: Arc<OwnedFd>) -> &mut Command {
    // SAFETY: setsid(2) and ioctl(2) are bare system calls, allowed between fork and exec; `tty` lives as long as the closure.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            if libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        })
    }
}
