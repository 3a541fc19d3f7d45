//! Running the OCI runtime: each call is a child, a copy of this process for the embedded runtime or another program.

use super::{
    INIT, Monitor, Phase, ReplyTo,
    boot::{bind_socket, write_file},
    memory::MemoryWatch,
    process::{Ends, Process, null},
};
use crate::{
    cgroup::Cgroup,
    oci,
    runtime::{Invocation, Verb},
    sys::{self, Fork},
};
use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, accept_with, recvmsg},
    process::{Pid, PidfdFlags, WaitStatus, pidfd_open},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use std::{
    ffi::CString,
    fs,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::PathBuf,
    time::Instant,
};
use wharf_shim_proto::{
    CreatedRecord, ProcessRef, Reply, RuntimeKind, Stdio, file,
    message::{ExecCall, LAUNCH_ID},
};
use wharf_types::{Error, Result, Timestamp, error::Context};

/// What an external runtime finds in its environment.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A runtime at work.
pub struct Job {
    pub pid: i32,
    call: Invocation,
    kind: Kind,
}

/// What to do when it is done.
enum Kind {
    Create { to: ReplyTo, files: Files },
    Start { to: ReplyTo },
    Exec { to: ReplyTo, key: u32, files: Files, stdin: bool, attach: Option<Stdio> },
    Pause { to: ReplyTo, paused: bool },
    Update { to: ReplyTo, file: PathBuf },
    Delete,
}

/// What a runtime leaves for us.
struct Files {
    pid: PathBuf,
    console: Option<Console>,
}

/// Where it sends the terminal.
struct Console {
    path: PathBuf,
    listener: OwnedFd,
}

impl Job {
    /// Whether the end of a process must not be looked at before this is done.
    pub fn concerns(&self, key: u32) -> bool {
        match self.kind {
            Kind::Create { .. } | Kind::Start { .. } => key == INIT,
            Kind::Exec { key: its, .. } => key == its,
            _ => false,
        }
    }

    /// Whether it uses the runtime's state of the container, which must stay as long.
    fn uses_state(&self) -> bool {
        matches!(self.kind, Kind::Start { .. } | Kind::Pause { .. } | Kind::Update { .. } | Kind::Delete)
    }

    /// Whether a process that nobody knows yet may be its product.
    pub fn makes_process(&self) -> bool {
        matches!(self.kind, Kind::Create { .. } | Kind::Exec { .. })
    }
}

impl Monitor {
    /// Has the container made.
    pub(super) fn begin(&mut self, connection: u32) {
        let to = ReplyTo { connection, id: LAUNCH_ID };
        if let Err(e) = self.create(to) {
            self.fail(to, e);
        }
    }

    fn create(&mut self, to: ReplyTo) -> Result<()> {
        let (mut process, ends) = self.streams(self.launch.tty, self.launch.open_stdin, self.launch.console_size)?;
        process.stdin_once = self.launch.stdin_once;
        self.processes.insert(INIT, process);
        let files = self.files("init", self.launch.tty)?;
        let verb = Verb::Create { bundle: self.place.path.clone(), pid_file: Some(files.pid.clone()), console: files.console_path() };
        self.spawn(verb, Some(ends), |_| Kind::Create { to, files })
    }

    fn fail(&mut self, to: ReplyTo, error: Error) {
        self.phase = Phase::Failed;
        self.reply(to, Err(error));
    }

    fn streams(&self, tty: bool, stdin: bool, size: Option<[u16; 2]>) -> Result<(Process, Ends)> {
        if tty { Ok((Process::with_terminal(size), [null()?, null()?, null()?])) } else { Process::with_pipes(stdin) }
    }

    fn files(&self, name: &str, tty: bool) -> Result<Files> {
        let console = if tty {
            let path = self.place.alias.join(format!("{name}.console"));
            // One left from an earlier try would be in the way.
            let _ = fs::remove_file(&path);
            Some(Console { listener: bind_socket(&path)?, path })
        } else {
            None
        };
        Ok(Files { pid: self.place.path.join(format!("{name}.pid")), console })
    }

    pub(super) fn start(&mut self, to: ReplyTo) {
        let init = self.processes.get(&INIT);
        let busy = self.jobs.iter().any(|j| matches!(j.kind, Kind::Start { .. }));
        if init.is_none_or(|p| !p.lives() || p.started_at.is_some()) || busy {
            return self.reply(to, Err(Error::conflict("the container is not waiting for its start")));
        }
        let spawned = self.spawn(Verb::Start, None, |_| Kind::Start { to });
        self.answer_failure(to, spawned);
    }

    pub(super) fn exec(&mut self, to: ReplyTo, exec: ExecCall) {
        let result = self.try_exec(to, exec);
        self.answer_failure(to, result);
    }

    fn try_exec(&mut self, to: ReplyTo, exec: ExecCall) -> Result<()> {
        if !self.processes.get(&INIT).is_some_and(Process::lives) {
            return Err(Error::conflict("the container is not running"));
        }
        if self.find(Some(&exec.id)).is_ok() {
            return Err(Error::conflict(format!("exec {} already exists", exec.id)));
        }
        let dir = self.place.path.join(file::EXECS).join(exec.id.as_str());
        fs::create_dir_all(&dir).context(dir.display())?;
        let file = dir.join("process.json");
        fs::write(&file, exec.process.to_string()).context(file.display())?;
        let (mut process, ends) = self.streams(exec.tty, exec.stdin, exec.console_size)?;
        // An exec's standard input has one client at most.
        process.stdin_once = true;
        process.leashed = exec.leashed;
        process.id = Some(exec.id);
        let key = self.fresh_key();
        let files = self.files(&format!("exec-{key}"), exec.tty)?;
        let verb = Verb::Exec { process: file, pid_file: Some(files.pid.clone()), console: files.console_path() };
        self.spawn(verb, Some(ends), |_| Kind::Exec { to, key, files, stdin: exec.stdin, attach: exec.attach })?;
        self.processes.insert(key, process);
        Ok(())
    }

    pub(super) fn pause(&mut self, to: ReplyTo, paused: bool) {
        let verb = if paused { Verb::Pause } else { Verb::Resume };
        let spawned = self.serving().and_then(|()| self.spawn(verb, None, |_| Kind::Pause { to, paused }));
        self.answer_failure(to, spawned);
    }

    pub(super) fn update(&mut self, to: ReplyTo, resources: &serde_json::Value) {
        let key = self.fresh_key();
        let file = self.place.path.join(format!("update-{key}.json"));
        let written = self.serving().and_then(|()| fs::write(&file, resources.to_string()).context(file.display()));
        let spawned = written.and_then(|()| self.spawn(Verb::Update { resources: file.clone() }, None, |_| Kind::Update { to, file }));
        self.answer_failure(to, spawned);
    }

    /// Has the ended container's state deleted, once nobody works on it any more: a runtime that has just thawed a container still
    /// writes that down while its process dies, and one that pauses may make cgroups again.
    pub(super) fn delete(&mut self) {
        self.phase = Phase::Deleting;
        if self.jobs.iter().any(Job::uses_state) {
            return;
        }
        if let Err(e) = self.spawn(Verb::Delete { force: true }, None, |_| Kind::Delete) {
            self.deleted(Err(e));
        }
    }

    /// Fails when there is no container, or none any more.
    fn serving(&self) -> Result<()> {
        if self.phase == Phase::Serving { Ok(()) } else { Err(Error::conflict("the container is not running")) }
    }

    fn answer_failure(&mut self, to: ReplyTo, result: Result<()>) {
        if let Err(e) = result {
            self.reply(to, Err(e));
        }
    }

    fn spawn(&mut self, verb: Verb, ends: Option<Ends>, kind: impl FnOnce(&Self) -> Kind) -> Result<()> {
        let key = self.fresh_key();
        let log = Some(self.place.path.join(format!("runtime-{key}.log")));
        let call = Invocation { root: self.launch.runtime_root.clone(), log, id: self.launch.id.to_string(), verb };
        match sys::fork()? {
            Fork::Child => self.become_runtime(&call, ends),
            Fork::Parent(pid) => {
                let kind = kind(self);
                self.jobs.push(Job { pid, call, kind });
                Ok(())
            }
        }
    }

    /// In the child. It gives up every descriptor first: clients must not see their connections live on in the container.
    fn become_runtime(&self, call: &Invocation, ends: Option<Ends>) -> ! {
        if let Some([input, output, error]) = &ends
            && dup2_stdin(input).and_then(|()| dup2_stdout(output)).and_then(|()| dup2_stderr(error)).is_err()
        {
            sys::exit_now(1);
        }
        sys::close_from(3);
        sys::reset_signals();
        match &self.launch.runtime {
            RuntimeKind::Builtin => sys::exit_now(i32::from(oci::run(call).is_err())),
            RuntimeKind::External { path, args } => {
                oci::adapt(call);
                let list = [path.clone().into_os_string()].into_iter().chain(args.iter().map(Into::into)).chain(call.arguments());
                let list: Vec<CString> = list.filter_map(|a| CString::new(a.into_vec()).ok()).collect();
                let env: Vec<CString> = CString::new(PATH).into_iter().collect();
                if let Some(program) = list.first() {
                    let error = sys::execve(program, &list, &env);
                    oci::note(call, &format!("{}: {error}", path.display()));
                }
                sys::exit_now(127)
            }
        }
    }

    /// A child of ours has ended: when it was a runtime, what it was to do is done. Returns whether it was one.
    pub(super) fn finish_job(&mut self, pid: i32, status: WaitStatus) -> bool {
        let Some(at) = self.jobs.iter().position(|j| j.pid == pid) else { return false };
        let job = self.jobs.swap_remove(at);
        let result = self.outcome(&job.call, status);
        match job.kind {
            Kind::Create { to, files } => match result.and_then(|()| self.created(&files)) {
                Ok(pid) => {
                    self.reply(to, Ok(Reply::Created { pid }));
                    for early in std::mem::take(&mut self.early) {
                        self.hello(early, wharf_shim_proto::VERSION);
                    }
                }
                Err(e) => self.fail(to, e),
            },
            Kind::Start { to } => {
                let at = Timestamp::now();
                if let Some(init) = self.processes.get_mut(&INIT).filter(|_| result.is_ok()) {
                    init.started_at = Some(at);
                }
                self.reply(to, result.map(|()| Reply::Started { at }));
            }
            Kind::Exec { to, key, files, stdin, attach } => match result.and_then(|()| self.executed(key, &files, stdin)) {
                Ok(pid) => {
                    self.reply(to, Ok(Reply::Created { pid }));
                    if let Some(stdio) = attach {
                        self.join(to.connection, key, stdio, false);
                    }
                    self.watch_outputs(key);
                }
                Err(e) => {
                    let exec = self.processes.remove(&key).and_then(|p| p.id);
                    if let Some(id) = exec {
                        let _ = fs::remove_dir_all(self.place.path.join(file::EXECS).join(id.as_str()));
                    }
                    self.tell_waiters(key, || Err(Error::not_found("the exec could not be started")));
                    self.reply(to, Err(e));
                }
            },
            Kind::Pause { to, paused } => {
                if result.is_ok() {
                    self.paused = paused;
                }
                self.reply(to, result.map(|()| Reply::Done));
            }
            Kind::Update { to, file } => {
                let _ = fs::remove_file(file);
                self.reply(to, result.map(|()| Reply::Done));
            }
            Kind::Delete => self.deleted(result),
        }
        if self.phase == Phase::Deleting {
            self.delete();
        }
        true
    }

    /// Success, or the runtime's own words.
    fn outcome(&self, call: &Invocation, status: WaitStatus) -> Result<()> {
        let (error, warnings) = call.read_log();
        warnings.iter().for_each(|w| self.warn(w));
        if let Some(log) = &call.log {
            // Not there when nothing was to be said.
            let _ = fs::remove_file(log);
        }
        match status.exit_status() {
            Some(0) => Ok(()),
            _ => Err(Error::system(error.unwrap_or_else(|| format!("the OCI runtime failed ({status:?})")))),
        }
    }

    fn created(&mut self, files: &Files) -> Result<i32> {
        let stdin = self.launch.open_stdin;
        let pid = self.executed(INIT, files, stdin)?;
        self.cgroup = Cgroup::of(pid)?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the container's first process")?;
        let record = CreatedRecord { init: ProcessRef::from_stat(&stat)?, cgroups: self.cgroup.dirs().to_vec() };
        write_file(&self.place.path, file::CREATED, &serde_json::to_vec(&record)?)?;
        self.memory = MemoryWatch::open(&self.cgroup);
        if let Some(memory) = &self.memory {
            self.poll.add(memory, super::Token::Memory)?;
        }
        self.phase = Phase::Serving;
        self.watch_outputs(INIT);
        Ok(pid)
    }

    /// Takes over a process that the runtime has made.
    fn executed(&mut self, key: u32, files: &Files, stdin: bool) -> Result<i32> {
        let text = fs::read_to_string(&files.pid).context(files.pid.display())?;
        let _ = fs::remove_file(&files.pid);
        let pid: i32 = text.trim().parse().map_err(|_| Error::system(format!("unexpected pid file: {text:?}")))?;
        let master = files.console.as_ref().map(Console::receive).transpose()?;
        let Some(process) = self.processes.get_mut(&key) else { return Err(Error::system("the process is not known")) };
        process.pid = pid;
        // A process that ended already has no descriptor, and needs none: it is our child and waits to be reaped.
        process.pidfd = Pid::from_raw(pid).and_then(|p| pidfd_open(p, PidfdFlags::empty()).ok());
        if key != INIT {
            process.started_at = Some(Timestamp::now());
        }
        match master {
            Some(master) => process.set_master(master, stdin).map(|()| pid),
            None => Ok(pid),
        }
    }

    fn deleted(&mut self, result: Result<()>) {
        if let Err(e) = &result {
            let text = format!("{DELETE_FAILED}: {e}");
            self.warn(&text);
            self.delete_error = Some(text);
        }
        let waiting = std::mem::take(&mut self.releases);
        self.phase = Phase::Lingering { until: Instant::now() + super::RELEASE_PATIENCE, released: false };
        for to in waiting {
            self.release(to);
        }
    }
}

/// Prefix of the complaint about a container that could not be deleted.
const DELETE_FAILED: &str = "deleting the container's runtime state failed";

impl Files {
    fn console_path(&self) -> Option<PathBuf> {
        self.console.as_ref().map(|c| c.path.clone())
    }
}

impl Console {
    /// The terminal that the runtime sent before it ended.
    fn receive(&self) -> Result<OwnedFd> {
        let what = "the container's terminal";
        let stream = accept_with(&self.listener, SocketFlags::CLOEXEC).context(what)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 4096];
        recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC).context(what)?;
        let fd = control.drain().find_map(|m| match m {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        fd.ok_or_else(|| Error::system("the OCI runtime sent no terminal"))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
