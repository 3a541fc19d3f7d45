//! A running (or created, or just ended) container, as its monitor shows it.

use super::connection::{Connection, gone, read_exit};
use rustix::fs::{CWD, Mode, OFlags};
use std::{
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::broadcast,
};
use wharf_shim_proto::{
    Call, ExitRecord, Message, Reply, Request, Stdio, file, frame,
    message::{ExecCall, Hello},
};
use wharf_types::{Error, ErrorKind, ExecId, Result, Signal, Timestamp, error::Context};

/// How long a released monitor may take to delete the container's cgroups and to exit, before it is left to
/// [`super::ShimHost::cleanup`].
const RELEASE_TIMEOUT: Duration = Duration::from_secs(15);

/// A handle to one container's monitor; clones share one connection, which closes with the last of them.
#[derive(Debug, Clone)]
pub struct Task {
    dir: Arc<Path>,
    pid: i32,
    connection: Arc<Connection>,
}

/// What happens to a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskEvent {
    /// The container ended.
    Exited(ExitRecord),
    /// An exec ended.
    ExecExited {
        /// Which.
        id: ExecId,
        /// How.
        record: ExitRecord,
    },
    /// The kernel killed one of its processes for want of memory.
    Oom,
    /// The monitor vanished without leaving an exit record.
    Gone,
}

/// Which streams of which process to join.
#[derive(Debug, Clone, Default)]
pub struct AttachRequest {
    /// This exec, or the container's first process.
    pub exec: Option<ExecId>,
    /// Feed standard input.
    pub stdin: bool,
    /// Receive standard output (the terminal).
    pub stdout: bool,
    /// Receive standard error.
    pub stderr: bool,
    /// The caller replays the log up to [`Attached::since`]: a line that is not finished, and hence not in the log, comes first.
    pub logs: bool,
}

/// A joined stream: stdcopy frames from the container (raw bytes when it has a terminal), raw bytes to it.
#[derive(Debug)]
pub struct Attached {
    /// The stream. Shutting down its write side ends standard input by Docker's rules.
    pub stream: UnixStream,
    /// Records up to this moment were in the log; whatever is later comes over `stream`.
    pub since: Timestamp,
}

/// A process to run in a container.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// The process.
    pub process: oci_spec::runtime::Process,
    /// Whether it gets a terminal; must agree with `process.terminal`.
    pub tty: bool,
    /// Whether standard input is a pipe (or the terminal) rather than `/dev/null`.
    pub stdin: bool,
    /// Height and width of the terminal, in cells.
    pub console_size: Option<[u16; 2]>,
    /// Streams to join before the process runs.
    pub attach: Option<Stdio>,
    /// Kill it when the client that joined its streams leaves.
    pub leashed: bool,
}

/// A process that runs.
#[derive(Debug)]
pub struct ExecStarted {
    /// Its number on the host.
    pub pid: i32,
    /// Its streams, when asked for. Its exit is on record before this closes.
    pub stream: Option<UnixStream>,
}

impl Task {
    pub(super) fn new(dir: Arc<Path>, pid: i32, connection: Connection) -> Self {
        Self { dir, pid, connection: Arc::new(connection) }
    }

    /// Greets a monitor over a fresh connection.
    pub(super) async fn hello(dir: Arc<Path>) -> Result<(Self, Hello)> {
        let connection = Connection::open(dial(&dir).await?, Arc::clone(&dir), None);
        match connection.call(Call::Hello { version: wharf_shim_proto::VERSION }).await? {
            Reply::Hello(hello) => Ok((Self::new(dir, hello.pid, connection), *hello)),
            other => Err(unexpected(&other)),
        }
    }

    /// The first process, on the host.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Runs the process that [`super::ShimHost::create`] prepared; answers when it was started.
    ///
    /// # Errors
    /// The runtime's words; [`ErrorKind::Unavailable`] when the monitor is gone (as every method here).
    pub async fn start(&self) -> Result<Timestamp> {
        match self.connection.call(Call::Start).await? {
            Reply::Started { at } => Ok(at),
            other => Err(unexpected(&other)),
        }
    }

    /// Signals the first process.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it has ended.
    pub async fn kill(&self, signal: Signal) -> Result<()> {
        self.done(Call::Kill { exec: None, signal: signal.number(), all: false }).await
    }

    /// Signals every process of the container.
    ///
    /// # Errors
    /// When the container's cgroup cannot be read.
    pub async fn kill_all(&self, signal: Signal) -> Result<()> {
        self.done(Call::Kill { exec: None, signal: signal.number(), all: true }).await
    }

    /// Signals an exec.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it has ended.
    pub async fn kill_exec(&self, exec: &ExecId, signal: Signal) -> Result<()> {
        self.done(Call::Kill { exec: Some(exec.clone()), signal: signal.number(), all: false }).await
    }

    /// Stops all processes.
    ///
    /// # Errors
    /// The runtime's words.
    pub async fn pause(&self) -> Result<()> {
        self.done(Call::Pause).await
    }

    /// Lets stopped processes go on.
    ///
    /// # Errors
    /// The runtime's words.
    pub async fn resume(&self) -> Result<()> {
        self.done(Call::Resume).await
    }

    /// Changes resource limits.
    ///
    /// # Errors
    /// The runtime's words.
    pub async fn update(&self, resources: &oci_spec::runtime::LinuxResources) -> Result<()> {
        self.done(Call::Update { resources: serde_json::to_value(resources)? }).await
    }

    /// Sets the size of a terminal, in cells.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the process has no terminal or has ended.
    pub async fn resize(&self, exec: Option<&ExecId>, height: u16, width: u16) -> Result<()> {
        self.done(Call::Resize { exec: exec.cloned(), height, width }).await
    }

    /// Ends standard input.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown exec.
    pub async fn close_stdin(&self, exec: Option<&ExecId>) -> Result<()> {
        self.done(Call::CloseStdin { exec: exec.cloned() }).await
    }

    /// Joins the streams of a process. A container that ended gives a stream that ends at once.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown exec.
    pub async fn attach(&self, rq: AttachRequest) -> Result<Attached> {
        let stdio = Stdio { stdin: rq.stdin, stdout: rq.stdout, stderr: rq.stderr };
        let (stream, reply) = self.raw(Call::Attach { exec: rq.exec, stdio, logs: rq.logs }).await?;
        match reply {
            Reply::Attached { since } => Ok(Attached { stream, since }),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs another process in the container.
    ///
    /// # Errors
    /// The runtime's words.
    pub async fn exec(&self, id: &ExecId, rq: ExecRequest) -> Result<ExecStarted> {
        let ExecRequest { process, tty, stdin, console_size, attach, leashed } = rq;
        let process = serde_json::to_value(process)?;
        let call = Call::Exec(Box::new(ExecCall { id: id.clone(), process, tty, stdin, console_size, attach, leashed }));
        let (stream, reply) = match attach {
            Some(_) => self.raw(call).await.map(|(stream, reply)| (Some(stream), reply))?,
            None => (None, self.connection.call(call).await?),
        };
        match reply {
            Reply::Created { pid } => Ok(ExecStarted { pid, stream }),
            other => Err(unexpected(&other)),
        }
    }

    /// Waits for the end of an exec.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown one.
    pub async fn exec_exit(&self, id: &ExecId) -> Result<ExitRecord> {
        self.wait_for(Some(id.clone()), &self.dir.join(file::EXECS).join(id.as_str())).await
    }

    /// The processes of the container, by their numbers on the host.
    ///
    /// # Errors
    /// When the container's cgroup cannot be read.
    pub async fn pids(&self) -> Result<Vec<i32>> {
        match self.connection.call(Call::Pids).await? {
            Reply::Pids(pids) => Ok(pids),
            other => Err(unexpected(&other)),
        }
    }

    /// What happens from now on. Call [`Task::wait`] for an exit that may have happened already.
    pub fn subscribe(&self) -> broadcast::Receiver<TaskEvent> {
        self.connection.subscribe()
    }

    /// Waits for the end of the container, or tells how it ended.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the monitor vanished without leaving a record.
    pub async fn wait(&self) -> Result<ExitRecord> {
        self.wait_for(None, &self.dir).await
    }

    /// Lets the monitor of an ended container go, and removes the task directory after it went.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while the container runs; [`ErrorKind::System`] when the monitor does not go: then
    /// [`super::ShimHost::cleanup`] is due.
    pub async fn release(&self) -> Result<()> {
        match self.done(Call::Release).await {
            Err(e) if e.kind() != ErrorKind::Unavailable => return Err(e),
            _ => {}
        }
        tokio::time::timeout(RELEASE_TIMEOUT, self.connection.closed())
            .await
            .map_err(|_| Error::system("the container's monitor does not exit"))?;
        let dir = PathBuf::from(&*self.dir);
        tokio::task::spawn_blocking(move || super::host::remove_dir(&dir)).await.context("task directory")?
    }

    async fn done(&self, call: Call) -> Result<()> {
        self.connection.call(call).await.map(|_| ())
    }

    async fn wait_for(&self, exec: Option<ExecId>, dir: &Path) -> Result<ExitRecord> {
        match self.connection.call(Call::Wait { exec }).await {
            Ok(Reply::Exited(record)) => Ok(record),
            Ok(other) => Err(unexpected(&other)),
            Err(e) if e.kind() == ErrorKind::Unavailable => read_exit(dir).await,
            Err(e) => Err(e),
        }
    }

    /// Makes a call on a connection of its own, which is raw after the answer.
    async fn raw(&self, call: Call) -> Result<(UnixStream, Reply)> {
        let mut stream = dial(&self.dir).await?;
        let request = frame::encode(&Request { id: 1, call })?;
        stream.write_all(&request).await.map_err(|_| gone())?;
        let mut header = [0; frame::HEADER];
        stream.read_exact(&mut header).await.map_err(|_| gone())?;
        let mut body = vec![0; frame::body_len(header)?];
        stream.read_exact(&mut body).await.map_err(|_| gone())?;
        match frame::parse(&body)? {
            Message { ok: Some(reply), .. } => Ok((stream, reply)),
            Message { error: Some(fault), .. } => Err(fault.into()),
            _ => Err(Error::system("the container's monitor sent an empty answer")),
        }
    }
}

/// Connects to the monitor of a task directory. By way of a descriptor, because a socket's path must fit in 108 bytes.
async fn dial(dir: &Path) -> Result<UnixStream> {
    let fd = rustix::fs::openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(|_| gone())?;
    UnixStream::connect(format!("/proc/self/fd/{}/{}", fd.as_raw_fd(), file::SOCKET)).await.map_err(|e| gone().with_source(e))
}

fn unexpected(reply: &Reply) -> Error {
    Error::system(format!("unexpected answer of the container's monitor: {reply:?}"))
}
