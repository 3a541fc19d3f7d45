//! A network namespace per daemon under test, so that bridges, addresses and firewall rules of two daemons never meet.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;

use crate::{command, sys};

/// An anonymous network namespace with the loopback up. It ends with the last process in it and this handle.
#[derive(Clone)]
pub struct NetNs(Arc<OwnedFd>);

impl NetNs {
    /// Makes a new namespace.
    pub fn new() -> NetNs {
        // A thread of its own is thrown into the new namespace; the caller stays where it is.
        let fd = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("unshare a network namespace (needs root)");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let ns = NetNs(Arc::new(fd.join().unwrap().into()));
        ns.sh("ip link set lo up");
        ns
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        sys::enter_netns(&mut command, self.0.clone());
        command
    }

    /// Runs a shell line inside and returns what it printed; fails the test when it fails.
    pub fn sh(&self, line: &str) -> String {
        let mut sh = self.command("sh");
        sh.args(["-c", line]);
        command::run(&mut sh).ok()
    }

    /// Names of the interfaces, sorted.
    pub fn links(&self) -> Vec<String> {
        let listing = self.sh("ip -o link");
        let mut names: Vec<String> =
            listing.lines().filter_map(|l| l.split(": ").nth(1)).map(|n| n.split('@').next().unwrap_or(n).to_owned()).collect();
        names.sort();
        names
    }

    /// The firewall's chains and rules without their counters, sorted: dockerd changes their order at each start.
    pub fn ruleset(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.sh("nft -s list ruleset 2>/dev/null").lines().map(|l| l.trim().to_owned()).collect();
        lines.sort();
        lines
    }
}

impl Default for NetNs {
    fn default() -> Self {
        NetNs::new()
    }
}
