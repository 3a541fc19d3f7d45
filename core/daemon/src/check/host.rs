//! The table of checks: what is looked for, whether it is essential, how it is found out, and what one loses without it.

use super::cgroups::Version;
use super::facts::Facts;
use super::probe;
use super::report::{Row, State};
use super::scratch::{Scratch, nearest};
use crate::config::{Bridge, Config, Runtimes};
use crate::shim_path;
use std::path::Path;

/// What the checks look at.
pub struct Host<'a> {
    /// What can be read.
    pub facts: &'a Facts,
    /// What the daemon would be.
    pub config: &'a Config,
}

type Finding = (State, String);

struct Check {
    name: &'static str,
    essential: bool,
    lost: &'static str,
    find: fn(&Host<'_>) -> Finding,
}

const fn must(name: &'static str, lost: &'static str, find: fn(&Host<'_>) -> Finding) -> Check {
    Check { name, essential: true, lost, find }
}

const fn may(name: &'static str, lost: &'static str, find: fn(&Host<'_>) -> Finding) -> Check {
    Check { name, essential: false, lost, find }
}

#[rustfmt::skip]
static CHECKS: &[Check] = &[
    must("kernel", "older kernels are not tested, and 4.18 is the first with all that is needed", kernel),
    must("monitor (wharf-shim)", "every container has one; build or install it, or name it with --shim-path", shim),
    must("mount namespace", "no container can have its own root file system", |_| namespace("mnt")),
    must("pid namespace", "no container can have its own processes", |_| namespace("pid")),
    must("network namespace", "no container can have its own network", |_| namespace("net")),
    must("ipc namespace", "no container can have its own shared memory", |_| namespace("ipc")),
    must("uts namespace", "no container can have its own host name", |_| namespace("uts")),
    may("cgroup namespace", "containers see the host's cgroup paths", |_| namespace("cgroup")),
    may("user namespace", "nothing that this version uses", |_| namespace("user")),
    may("time namespace", "nothing that this version uses", |_| namespace("time")),
    must("control groups", "containers can be neither limited, paused nor told apart", cgroups),
    may("memory limit", "--memory", |h| limit(h.facts.limits.memory)),
    may("swap limit", "--memory-swap; a memory limit does not bound swap", |h| limit(h.facts.limits.swap)),
    may("process limit", "--pids-limit", |h| limit(h.facts.limits.pids)),
    may("cpu shares", "--cpu-shares", |h| limit(h.facts.limits.cpu_shares)),
    may("cpu quota", "--cpus and --cpu-quota", |h| limit(h.facts.limits.cpu_cfs_quota)),
    may("cpuset", "--cpuset-cpus and --cpuset-mems", |h| limit(h.facts.limits.cpuset)),
    may("block device weight", "--blkio-weight", |h| limit(h.facts.limits.blkio_weight)),
    may("block device throttling", "--device-read-bps and its like", |h| limit(h.facts.limits.blkio_throttle)),
    may("device access rules", "containers with CAP_MKNOD reach devices of the host", devices),
    may("overlay file system", "the overlay2 storage driver; with vfs every layer is a full copy", overlay),
    may("overlay layers one by one", "images with very many layers, whose paths exceed one page of mount options", overlay_append),
    may("bridge", "the default network; --network host and none remain", |_| tried(probe::attempt("link=bridge"))),
    may("veth", "the default network; --network host and none remain", |_| tried(probe::attempt("link=veth"))),
    may("nftables", "masquerading and published ports (package nftables, or --iptables=false)", |_| tried(probe::attempt("nft"))),
    may("IPv4 forwarding", "containers reach the host only, unless --ip-forward turns it on", ip_forward),
    may("seccomp", "the system call filter; containers need --security-opt seccomp=unconfined", |h| limit(h.facts.seccomp)),
    may("AppArmor", "one of several fences; the others stand", |h| limit(h.facts.apparmor)),
    may("inotify limits", "programs in containers that watch files run out of watches", inotify),
    may("disk space", "room for images and containers", disk),
];

/// Runs all checks.
pub fn rows(host: &Host<'_>) -> Vec<Row> {
    CHECKS
        .iter()
        .map(|check| {
            let (state, found) = (check.find)(host);
            let lost = if state == State::Ok { "" } else { check.lost };
            Row { name: check.name, state, essential: check.essential, found, lost }
        })
        .collect()
}

fn tried(result: Result<(), String>) -> Finding {
    match result {
        Ok(()) => (State::Ok, "works".into()),
        Err(why) => (State::Missing, why),
    }
}

fn namespace(name: &str) -> Finding {
    tried(probe::attempt(&format!("namespace={name}")))
}

fn limit(there: bool) -> Finding {
    if there { (State::Ok, "supported".into()) } else { (State::Missing, "not supported by this kernel or not turned on".into()) }
}

fn kernel(host: &Host<'_>) -> Finding {
    /// Debian 11's; what the project is tested on at least.
    const TESTED: (u32, u32) = (5, 10);
    const NEEDED: (u32, u32) = (4, 18);
    let state = match host.facts.kernel_version() {
        version if version >= TESTED => State::Ok,
        version if version >= NEEDED => State::Degraded,
        _ => State::Missing,
    };
    (state, format!("{} ({})", host.facts.kernel, host.facts.os))
}

fn shim(host: &Host<'_>) -> Finding {
    match shim_path::find(host.config.shim_path.as_deref(), std::env::current_exe().ok().as_deref()) {
        Ok(path) => (State::Ok, path.display().to_string()),
        Err(e) => (State::Missing, e.message().to_owned()),
    }
}

fn cgroups(host: &Host<'_>) -> Finding {
    let controllers: Vec<_> = host.facts.cgroups.controllers.keys().map(String::as_str).collect();
    let found = controllers.join(" ");
    match host.facts.cgroups.version {
        Version::None => (State::Missing, "no hierarchy is mounted".into()),
        Version::V1 => (State::Ok, format!("v1: {found}")),
        Version::Hybrid => (State::Ok, format!("v1 with a v2 hierarchy beside it: {found}")),
        Version::V2 => (State::Ok, format!("v2: {found}")),
    }
}

fn devices(host: &Host<'_>) -> Finding {
    // On v2 the rules are a BPF program that the built-in runtime does not load.
    if host.facts.cgroups.version == Version::V2 && host.config.runtimes.default == Runtimes::BUILTIN {
        return (State::Degraded, "the builtin runtime does not enforce them on cgroup v2; --default-runtime runc does".into());
    }
    limit(host.facts.limits.devices)
}

fn overlay(host: &Host<'_>) -> Finding {
    on_data_root(host.config, "overlay")
}

fn overlay_append(host: &Host<'_>) -> Finding {
    on_data_root(host.config, "overlay-append")
}

fn on_data_root(config: &Config, name: &str) -> Finding {
    let scratch = match Scratch::near(&config.data_root) {
        Ok(scratch) => scratch,
        Err(e) => return (State::Missing, format!("can not write to {}: {e}", nearest(&config.data_root).display())),
    };
    tried(probe::attempt(&format!("{name}={}", scratch.path().display())))
}

fn ip_forward(host: &Host<'_>) -> Finding {
    let network = &host.config.network;
    match (host.facts.ip_forward, network.ip_forward && network.bridge != Bridge::None) {
        (true, _) => (State::Ok, "on".into()),
        (false, true) => (State::Ok, "off; the daemon turns it on".into()),
        (false, false) => (State::Degraded, "off".into()),
    }
}

fn inotify(host: &Host<'_>) -> Finding {
    // The kernel's own defaults; distributions that lower them break file watchers.
    const INSTANCES: u64 = 128;
    const WATCHES: u64 = 8192;
    let (instances, watches) = (host.facts.inotify_instances, host.facts.inotify_watches);
    let state = if instances >= INSTANCES && watches >= WATCHES { State::Ok } else { State::Degraded };
    (state, format!("{instances} instances, {watches} watches per user"))
}

fn disk(host: &Host<'_>) -> Finding {
    /// Less than this is gone after a few images.
    const COMFORTABLE: u64 = 2 << 30;
    let place: &Path = nearest(&host.config.data_root);
    match rustix::fs::statvfs(place) {
        Ok(fs) => {
            let free = fs.f_bavail.saturating_mul(fs.f_frsize);
            let state = if free >= COMFORTABLE { State::Ok } else { State::Degraded };
            (state, format!("{:.1} GiB free at {}", free as f64 / f64::from(1 << 30), place.display()))
        }
        Err(e) => (State::Degraded, format!("{}: {e}", place.display())),
    }
}
