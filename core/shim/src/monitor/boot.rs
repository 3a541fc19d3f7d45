//! Becoming a monitor: a process of its own, away from the daemon, that answers to the task directory's socket.

use super::{INIT, Monitor, Phase, Place, poll::Poll, process::null};
use crate::{
    cgroup::{self, Cgroup},
    log::Log,
    sys::{self, Fork, Signals},
};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::fcntl_dupfd_cloexec,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
    process::{chdir, getpid, set_child_subreaper, setsid, umask},
    stdio::{dup2_stdin, dup2_stdout},
    thread::set_name,
};
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};
use wharf_shim_proto::{Launch, Message, ProcessRef, file, frame, message::LAUNCH_ID};
use wharf_types::{Result, Timestamp, error::Context};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;
/// The number below which descriptors are for children.
const STDIO: i32 = 3;

/// The process that the daemon spawned: forks the monitor and returns, so that the monitor is nobody's child.
///
/// Standard input is the control connection; standard output is the task directory, locked, which tells others that we live.
pub fn run(dir: &Path) -> Result<()> {
    if let Fork::Parent(_) = sys::fork()? {
        return Ok(());
    }
    let control = detach()?;
    let mut monitor = match prepare(dir) {
        Ok(monitor) => monitor,
        Err(e) => {
            tell_failure(&control, e);
            sys::exit_now(1);
        }
    };
    let key = monitor.connect(control, true);
    monitor.begin(key);
    let result = monitor.run();
    if let Err(e) = &result {
        monitor.warn(e.message());
    }
    let _ = fs::remove_file(monitor.place.path.join(file::SOCKET));
    sys::exit_now(i32::from(result.is_err()))
}

/// Leaves the daemon's session, cgroup, directory and descriptors; returns the control connection.
fn detach() -> Result<OwnedFd> {
    let inherited = sys::inherited(0)?;
    let control = fcntl_dupfd_cloexec(&inherited, STDIO).context("control connection")?;
    // Never closed: the lock on the task directory lives as long as this process.
    std::mem::forget(fcntl_dupfd_cloexec(rustix::stdio::stdout(), STDIO).context("task directory")?);
    // The three standard descriptors stay taken, whatever they are, so that no other file ever gets their numbers.
    std::mem::forget(inherited);
    let null = null()?;
    dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).context("/dev/null")?;
    setsid().context("setsid")?;
    set_child_subreaper(Some(getpid())).context("subreaper")?;
    set_name(c"wharf-shim").context("name")?;
    umask(Mode::from_raw_mode(0o022));
    chdir("/").context("/")?;
    cgroup::leave_parent();
    Ok(control)
}

fn prepare(dir: &Path) -> Result<Monitor> {
    let launch: Launch = serde_json::from_slice(&fs::read(dir.join(file::LAUNCH)).context(dir.display())?)?;
    let signals = Signals::of(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP]);
    signals.block()?;
    let place = Place { path: dir.to_owned(), alias: alias(dir)? };
    let listener = listener(&place)?;
    let me = ProcessRef::from_stat(&fs::read_to_string("/proc/self/stat").context("/proc/self/stat")?)?;
    write_file(&place.path, file::SHIM_PID, me.to_string().as_bytes())?;
    Ok(Monitor {
        poll: Poll::new()?,
        log: Log::open(&launch.log)?,
        launch,
        place,
        listener,
        signals: signals.descriptor()?,
        connections: BTreeMap::new(),
        clients: BTreeMap::new(),
        processes: BTreeMap::new(),
        next_key: INIT,
        log_error: None,
        delete_error: None,
        last_batch: Timestamp::now(),
        jobs: Vec::new(),
        reaped: Vec::new(),
        early: Vec::new(),
        waiters: Vec::new(),
        releases: Vec::new(),
        cgroup: Cgroup::default(),
        memory: None,
        paused: false,
        phase: Phase::Launching,
        ended_execs: VecDeque::new(),
        buffer: Vec::new(),
    })
}

/// A name for the directory that fits into a socket's address, in our children too.
fn alias(dir: &Path) -> Result<PathBuf> {
    let fd = openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).context(dir.display())?;
    let alias = format!("/proc/{}/fd/{}", getpid(), fd.as_raw_fd()).into();
    // Open for as long as this process lives.
    std::mem::forget(fd);
    Ok(alias)
}

fn listener(place: &Place) -> Result<OwnedFd> {
    bind_socket(&place.alias.join(file::SOCKET)).context(place.path.join(file::SOCKET).display())
}

/// A listening socket that only its owner may connect to.
pub(super) fn bind_socket(path: &Path) -> Result<OwnedFd> {
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None).context("socket")?;
    let previous = umask(Mode::from_raw_mode(0o177));
    let bound = SocketAddrUnix::new(path).and_then(|address| bind(&socket, &address)).and_then(|()| listen(&socket, BACKLOG));
    umask(previous);
    bound.context("socket")?;
    Ok(socket)
}

/// Writes a file that is there either whole or not at all.
pub(super) fn write_file(dir: &Path, name: &str, content: &[u8]) -> Result<()> {
    let (target, temporary) = (dir.join(name), dir.join(format!("{name}.tmp")));
    fs::write(&temporary, content).context(temporary.display())?;
    fs::rename(&temporary, &target).context(target.display())
}

fn tell_failure(control: &OwnedFd, error: wharf_types::Error) {
    if let Ok(frame) = frame::encode(&Message::answer(LAUNCH_ID, Err(error))) {
        // The connection is fresh: its buffer takes the frame.
        let _ = rustix::io::write(control, &frame);
    }
}
