//! `cleanup`: ends a monitor that does not answer any more, and removes what is left of its container.

use crate::{
    cgroup::Cgroup,
    oci,
    runtime::{Invocation, Verb},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};
use wharf_shim_proto::{CreatedRecord, Launch, ProcessRef, RuntimeKind, file, stat_fields};
use wharf_types::{Error, Result, error::Context};

/// How long a killed process may take to vanish.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
const PAUSE: Duration = Duration::from_millis(2);
/// How long a process may take to execute another program. There are some that never have a command line.
const EXEC: Duration = Duration::from_millis(200);

/// Flags in `/proc/PID/stat` (`include/linux/sched.h`).
const PF_EXITING: u32 = 0x4;
const PF_KTHREAD: u32 = 0x0020_0000;

/// Cleans up after the task in `dir`; the directory itself is left to the caller.
pub fn run(dir: &Path) -> Result<()> {
    end_helpers(dir)?;
    let launch: Launch = match fs::read(dir.join(file::LAUNCH)) {
        Ok(text) => serde_json::from_slice(&text)?,
        // Without a launch, no monitor was ever started.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).context(dir.display()),
    };
    let created: Option<CreatedRecord> = fs::read(dir.join(file::CREATED)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut cgroups = vec![Cgroup::at(created.iter().flat_map(|c| c.cgroups.clone()).collect())];
    cgroups.extend(launch.cgroup_path.as_deref().map(Cgroup::named));
    for cgroup in &cgroups {
        cgroup.thaw();
        cgroup.kill_all()?;
    }
    if let Some(created) = created {
        kill(created.init)?;
    }
    delete(&launch)?;
    cgroups.iter().try_for_each(Cgroup::remove)
}

/// Kills the monitor of a task, and whatever it has forked to run a runtime, which would go on without it.
fn end_helpers(dir: &Path) -> Result<()> {
    let mut deadline = Instant::now() + EXEC;
    loop {
        let (helpers, unsure) = helpers(dir);
        if !helpers.is_empty() {
            // One that is killed may have forked another since the list was made.
            helpers.into_iter().try_for_each(kill)?;
            deadline = Instant::now() + EXEC;
        } else if unsure && Instant::now() < deadline {
            sleep(PAUSE);
        } else {
            return Ok(());
        }
    }
}

/// The helpers that there are, and whether there may be another. A process is known by its command line, which names the directory.
fn helpers(dir: &Path) -> (Vec<ProcessRef>, bool) {
    let own = std::process::id().to_string();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().map(|e| e.file_name());
    let pids = pids.filter_map(|name| name.into_string().ok()).filter(|name| *name != own && name.parse::<i32>().is_ok());
    let (mut helpers, mut unsure) = (Vec::new(), false);
    for pid in pids {
        let Ok(cmdline) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        if !cmdline.is_empty() && !is_helper(&cmdline, dir) {
            continue;
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        if cmdline.is_empty() {
            unsure |= executes(&stat);
        } else {
            helpers.extend(ProcessRef::from_stat(&stat));
        }
    }
    (helpers, unsure)
}

/// Whether a process without a command line may be about to get one: within `execve` it has none. Threads of the kernel, and what is
/// ending, have none either.
fn executes(stat: &str) -> bool {
    let mut fields = stat_fields(stat);
    let (state, flags) = (fields.next(), fields.nth(5).and_then(|flags| flags.parse::<u32>().ok()));
    !matches!(state, None | Some("Z" | "X")) && flags.is_some_and(|flags| flags & (PF_EXITING | PF_KTHREAD) == 0)
}

fn is_helper(cmdline: &[u8], dir: &Path) -> bool {
    let args: Vec<&Path> = cmdline.split(|b| *b == 0).map(|a| Path::new(OsStr::from_bytes(a))).collect();
    let monitor = matches!(args.as_slice(), [name, verb, task, ..] if name.ends_with("wharf-shim") && **verb == *"monitor" && *task == dir);
    // A runtime writes its log into the directory.
    let option = args.iter().position(|a| **a == *"--log");
    monitor || option.and_then(|at| args.get(at + 1)).is_some_and(|log| log.parent() == Some(dir))
}

/// Kills a process that is still the one meant, and waits for its end.
fn kill(process: ProcessRef) -> Result<()> {
    let Some(pid) = Pid::from_raw(process.pid) else { return Ok(()) };
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid));
    if !stat.is_ok_and(|stat| ProcessRef::from_stat(&stat).is_ok_and(|p| p == process)) {
        return Ok(());
    }
    // One that ends by itself at this moment is as good.
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    // Told when the last of its threads is gone: the first one may be a zombie while another still makes a cgroup.
    match retry_on_intr(|| poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&PATIENCE))).context("wait for a process")? {
        0 => Err(Error::system(format!("process {} does not die", process.pid))),
        _ => Ok(()),
    }
}

fn delete(launch: &Launch) -> Result<()> {
    let call = Invocation { root: launch.runtime_root.clone(), log: None, id: launch.id.to_string(), verb: Verb::Delete { force: true } };
    match &launch.runtime {
        RuntimeKind::Builtin => oci::run(&call),
        RuntimeKind::External { .. } if !launch.runtime_root.join(launch.id.as_str()).exists() => Ok(()),
        RuntimeKind::External { path, args } => {
            let output = Command::new(path).args(args).args(call.arguments()).output().context(path.display())?;
            let why = String::from_utf8_lossy(&output.stderr);
            if output.status.success() { Ok(()) } else { Err(Error::system(format!("{}: {}", path.display(), why.trim()))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_and_nobody_elses() {
        let dir = Path::new("/run/wharf/tasks/1");
        assert!(is_helper(b"wharf-shim\0monitor\0/run/wharf/tasks/1\0", dir));
        assert!(is_helper(b"/usr/sbin/runc\0--root\0/r\0--log\0/run/wharf/tasks/1/runtime-2.log\0create\0", dir));
        assert!(!is_helper(b"wharf-shim\0monitor\0/run/wharf/tasks/12\0", dir));
        assert!(!is_helper(b"wharf-shim\0cleanup\0/run/wharf/tasks/1\0", dir));
        assert!(!is_helper(b"tail\0-f\0/run/wharf/tasks/1/shim.log\0", dir));
    }

    #[test]
    fn knows_who_executes() {
        // Two processes, one of them with brackets in its name; a zombie, one that is ending, a thread of the kernel.
        assert!(executes("7 (runc) R 1 7 7 0 -1 4194304 0 0"));
        assert!(executes("7 (a) Z (b) S 1 7 7 0 -1 4194304 0 0"));
        assert!(!executes("7 (runc) Z 1 7 7 0 -1 4194308 0 0"));
        assert!(!executes("7 (runc) R 1 7 7 0 -1 4194308 0 0"));
        assert!(!executes("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0"));
        assert!(!executes(""));
        assert!(executes(&fs::read_to_string("/proc/self/stat").unwrap()));
    }
}
