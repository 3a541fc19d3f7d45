//! `exec`: another process in a container. Our own code, because libcontainer's applies no seccomp filter to such processes: the
//! process enters the namespaces and the cgroup of the first one, then takes on its restrictions in the order runc uses.

use super::{
    Log, bundle_dir,
    create::own_stdio,
    executor, failed, lifecycle, load_spec,
    prepare::{Host, resource},
    seccomp::{self, Filter},
};
use crate::{
    cgroup::Cgroup,
    runtime::Invocation,
    sys::{self, Fork},
};
use libcontainer::{
    apparmor, capabilities,
    container::ContainerStatus,
    syscall::{Syscall, syscall::create_syscall},
};
use oci_spec::runtime::{Linux, Process};
use rustix::{
    fs::{Mode, OFlags},
    net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType, connect, sendmsg, socket},
    process::{Pid, PidfdFlags, Rlimit, WaitOptions, ioctl_tiocsctty, pidfd_open, setrlimit, setsid, umask, waitpid},
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    thread::{
        Gid, ThreadNameSpaceType, Uid, move_into_thread_name_spaces, set_keep_capabilities, set_no_new_privs, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid,
    },
};
use std::{
    fs,
    io::{IoSlice, PipeReader, PipeWriter, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};
use wharf_types::{Error, Result, error::Context};

/// Namespaces by their names under `/proc/<pid>/ns`.
const NAMESPACES: [(&str, ThreadNameSpaceType); 8] = [
    ("user", ThreadNameSpaceType::USER),
    ("ipc", ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION),
    ("uts", ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("net", ThreadNameSpaceType::NETWORK),
    ("pid", ThreadNameSpaceType::PROCESS_ID),
    ("cgroup", ThreadNameSpaceType::CONTROL_GROUP),
    ("time", ThreadNameSpaceType::TIME),
    ("mnt", ThreadNameSpaceType::MOUNT),
];

pub fn exec(call: &Invocation, process: &Path, pid_file: Option<&Path>, console: Option<&Path>, log: &Log<'_>) -> Result<()> {
    let container = lifecycle::load(call)?;
    let init = match (container.status(), container.pid()) {
        (ContainerStatus::Created | ContainerStatus::Running, Some(pid)) => pid.as_raw(),
        (ContainerStatus::Paused, _) => return Err(Error::conflict("cannot exec in a paused container")),
        _ => return Err(Error::conflict("cannot exec in a stopped container")),
    };
    let mut process: Process = serde_json::from_slice(&fs::read(process).context(process.display())?)?;
    if process.terminal().unwrap_or(false) != console.is_some() {
        return Err(Error::invalid("a console socket is needed exactly when the process has a terminal"));
    }
    for warning in Host::detect()?.adapt(&mut process) {
        log.line("warning", &warning);
    }
    let spec = load_spec(&bundle_dir(call))?;
    let linux = spec.linux().as_ref();
    let plan = Plan {
        filter: filter(call, linux)?,
        console: console.map(connect_console).transpose()?,
        user_namespace: differs(init, "user"),
        process,
    };
    own_stdio(linux, &plan.process)?;
    let started = enter(init, &plan).map_err(|e| e.context("unable to start container process"))?;
    match pid_file {
        Some(path) => fs::write(path, started.to_string()).context(path.display()),
        None => Ok(()),
    }
}

/// The filter that `create` made.
fn filter(call: &Invocation, linux: Option<&Linux>) -> Result<Filter> {
    if linux.is_some_and(|l| l.seccomp().is_some()) {
        // Left to libcontainer because it notifies. The listener belongs to the first process; runc refuses such an exec likewise.
        return Err(Error::not_implemented("exec with a seccomp profile that notifies"));
    }
    let file = bundle_dir(call).join(seccomp::FILE);
    Filter::decode(&fs::read(&file).context(file.display())?).context(file.display())
}

struct Plan {
    process: Process,
    filter: Filter,
    console: Option<OwnedFd>,
    user_namespace: bool,
}

fn differs(pid: i32, namespace: &str) -> bool {
    fs::read_link(format!("/proc/{pid}/ns/{namespace}")).ok() != fs::read_link(format!("/proc/self/ns/{namespace}")).ok()
}

/// Starts the process and returns its pid on the host.
fn enter(init: i32, plan: &Plan) -> Result<i32> {
    let cgroup = Cgroup::of(init)?;
    let pid = Pid::from_raw(init).ok_or_else(|| Error::system("no first process"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("the container's first process")?;
    let namespaces = NAMESPACES.iter().filter(|(name, _)| differs(init, name)).map(|(_, flag)| *flag);
    let namespaces = namespaces.fold(ThreadNameSpaceType::empty(), |all, flag| all | flag);
    // A pid namespace takes effect with the next child, which is the process; the others would take files away from this one.
    let pids = namespaces & ThreadNameSpaceType::PROCESS_ID;
    join(&pidfd, pids)?;
    let (failure, report) = std::io::pipe()?;
    let (go, ready) = std::io::pipe()?;
    set_thread_groups(&[]).context("setgroups")?;
    match sys::fork()? {
        Fork::Child => {
            drop((failure, ready));
            become_process(plan, &pidfd, namespaces - pids, go, report)
        }
        Fork::Parent(child) => {
            drop((go, report));
            supervise(child, &cgroup, ready, failure)
        }
    }
}

fn join(pidfd: &OwnedFd, namespaces: ThreadNameSpaceType) -> Result<()> {
    if namespaces.is_empty() {
        return Ok(());
    }
    move_into_thread_name_spaces(pidfd.as_fd(), namespaces).context("the container's namespaces")
}

fn supervise(child: i32, cgroup: &Cgroup, ready: PipeWriter, mut failure: PipeReader) -> Result<i32> {
    let joined = cgroup.dirs().iter().try_for_each(|dir| fs::write(dir.join("cgroup.procs"), child.to_string()).context(dir.display()));
    // Closing without a byte tells the child to give up.
    let released = joined.and_then(|()| (&ready).write_all(b"g").context("start"));
    drop(ready);
    let mut text = String::new();
    let told = failure.read_to_string(&mut text).context("start");
    match (released, text.is_empty()) {
        (Ok(()), true) => told.map(|_| child),
        (outcome, _) => {
            if let Some(pid) = Pid::from_raw(child) {
                let _ = waitpid(Some(pid), WaitOptions::empty());
            }
            outcome.and(Err(Error::system(text)))
        }
    }
}

/// In the child: never returns. The pipe closes when the program is executed.
fn become_process(plan: &Plan, pidfd: &OwnedFd, namespaces: ThreadNameSpaceType, mut go: PipeReader, mut report: PipeWriter) -> ! {
    let mut byte = [0];
    if !matches!(go.read(&mut byte), Ok(1)) {
        sys::exit_now(1);
    }
    let text = match join(pidfd, namespaces).and_then(|()| restrict(plan)) {
        Ok(()) => executor::execute(&plan.process),
        Err(e) => e.message().to_owned(),
    };
    let _ = report.write_all(text.as_bytes());
    sys::exit_now(255)
}

fn restrict(plan: &Plan) -> Result<()> {
    let process = &plan.process;
    let syscall = create_syscall();
    let (uid, gid) = (process.user().uid(), process.user().gid());
    if plan.user_namespace {
        set_ids(0, 0).context("root of the user namespace")?;
    }
    setsid().context("setsid")?;
    if let Some(socket) = &plan.console {
        open_terminal(socket, uid, gid)?;
    }
    for limit in process.rlimits().iter().flatten() {
        let finite = |n: u64| (n != u64::MAX).then_some(n);
        let limits = Rlimit { current: finite(limit.soft()), maximum: finite(limit.hard()) };
        setrlimit(resource(limit.typ()), limits).context(limit.typ())?;
    }
    if let Some(mask) = process.user().umask() {
        umask(Mode::from_raw_mode(mask));
    }
    if let Some(profile) = process.apparmor_profile() {
        apparmor::apply_profile(profile).map_err(failed)?;
    }
    let no_new_privileges = process.no_new_privileges() == Some(true);
    if no_new_privileges {
        set_no_new_privs(true).context("no_new_privs")?;
    }
    // As root first: the directory may be closed to the user, which is allowed; then again as the user if that was refused.
    let refused = rustix::process::chdir(process.cwd());
    if !no_new_privileges {
        plan.filter.load()?;
    }
    become_user(process, syscall.as_ref(), uid, gid)?;
    if refused.is_err() {
        rustix::process::chdir(process.cwd())
            .context(format!("chdir to cwd ({:?}) set in config.json failed", process.cwd().display().to_string()))?;
    }
    if no_new_privileges {
        plan.filter.load()?;
    }
    syscall.close_range(0).map_err(failed)
}

fn become_user(process: &Process, syscall: &dyn Syscall, uid: u32, gid: u32) -> Result<()> {
    let groups: Vec<_> = process.user().additional_gids().iter().flatten().map(|g| Gid::from_raw(*g)).collect();
    if !groups.is_empty() {
        set_thread_groups(&groups).context("setgroups")?;
    }
    set_keep_capabilities(true).context("keepcaps")?;
    set_ids(uid, gid).context("setuid")?;
    capabilities::reset_effective(syscall).map_err(failed)?;
    set_keep_capabilities(false).context("keepcaps")?;
    match process.capabilities() {
        Some(sets) => capabilities::drop_privileges(sets, syscall).map_err(failed),
        None => Ok(()),
    }
}

fn set_ids(uid: u32, gid: u32) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

fn connect_console(path: &Path) -> Result<OwnedFd> {
    let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).context("console socket")?;
    connect(&socket, &SocketAddrUnix::new(path).context("console socket")?).context("console socket")?;
    Ok(socket)
}

/// A terminal of the container's own devpts becomes the standard streams; its master goes to whoever asked.
fn open_terminal(socket: &OwnedFd, uid: u32, gid: u32) -> Result<()> {
    let what = "terminal";
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = rustix::fs::open("/dev/pts/ptmx", flags, Mode::empty()).context(what)?;
    unlockpt(&master).context(what)?;
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).context(what)?;
    rustix::fs::fchown(&slave, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).context(what)?;
    let fds = [master.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(socket, &[IoSlice::new(b"/dev/pts/ptmx")], &mut control, SendFlags::NOSIGNAL).context(what)?;
    ioctl_tiocsctty(&slave).context(what)?;
    dup2_stdin(&slave).and_then(|()| dup2_stdout(&slave)).and_then(|()| dup2_stderr(&slave)).context(what)
}
