//! A process of the container, its first one or an exec: its streams, and how far it is in its life.

use super::poll::Watch;
use crate::log::Splitter;
use rustix::{
    fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
    termios::{Winsize, tcsetwinsize},
};
use std::{os::fd::OwnedFd, time::Instant};
use wharf_shim_proto::{ExitRecord, journal::Source};
use wharf_types::{ExecId, Result, Timestamp, error::Context};

/// Bytes that a pipe holds while the monitor is busy elsewhere; the most that needs no privilege.
const PIPE_SIZE: usize = 1 << 20;

/// One process.
#[derive(Default)]
pub struct Process {
    /// None for the container's first one.
    pub id: Option<ExecId>,
    pub tty: bool,
    /// Whether standard input closes behind the first client that feeds it.
    pub stdin_once: bool,
    /// Whether it is killed when its client leaves.
    pub leashed: bool,
    pub stdin: Option<Stdin>,
    pub outputs: Vec<Output>,
    /// The terminal, to set its size.
    pub master: Option<OwnedFd>,
    /// The size to set once there is a terminal.
    pub size: Option<[u16; 2]>,
    /// 0 until the runtime has made it.
    pub pid: i32,
    pub pidfd: Option<OwnedFd>,
    pub started_at: Option<Timestamp>,
    /// Set when it was reaped; its output may still flow.
    pub ended: Option<Ended>,
    /// Set when all is said and done.
    pub exit: Option<ExitRecord>,
}

/// The end of a process whose output is awaited.
pub struct Ended {
    pub record: ExitRecord,
    /// When to stop waiting for output: other processes may keep the pipe open for ever.
    pub deadline: Instant,
}

/// A stream from the process.
pub struct Output {
    pub fd: OwnedFd,
    pub source: Source,
    pub splitter: Splitter,
    pub watch: Watch,
    /// Whether it has ended.
    pub over: bool,
}

/// The stream to the process, and what it has not taken yet.
pub struct Stdin {
    pub fd: OwnedFd,
    pub queue: Vec<u8>,
    pub watch: Watch,
    /// Close it once the queue is empty.
    pub ending: bool,
}

/// The ends that the runtime hands to a process: standard input, output and error.
pub type Ends = [OwnedFd; 3];

impl Process {
    /// A process with pipes as streams. Its ends are to be closed here once the runtime has them.
    pub fn with_pipes(open_stdin: bool) -> Result<(Self, Ends)> {
        let (out, out_end) = output_pipe(Source::Stdout)?;
        let (err, err_end) = output_pipe(Source::Stderr)?;
        let mut process = Self { outputs: vec![out, err], ..Self::default() };
        let stdin_end = if open_stdin {
            let (end, fd) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
            fcntl_setfl(&fd, OFlags::NONBLOCK).context("pipe")?;
            process.stdin = Some(Stdin::new(fd));
            end
        } else {
            null()?
        };
        Ok((process, [stdin_end, out_end, err_end]))
    }

    /// A process whose terminal is still to come.
    pub fn with_terminal(size: Option<[u16; 2]>) -> Self {
        Self { tty: true, size, ..Self::default() }
    }

    /// Takes the terminal's master.
    pub fn set_master(&mut self, master: OwnedFd, open_stdin: bool) -> Result<()> {
        fcntl_setfl(&master, fcntl_getfl(&master).context("terminal")? | OFlags::NONBLOCK).context("terminal")?;
        // Registered on its own: reading and writing are watched apart.
        let copy = || rustix::io::fcntl_dupfd_cloexec(&master, 3).context("terminal");
        self.outputs = vec![Output::new(copy()?, Source::Stdout)];
        if open_stdin {
            self.stdin = Some(Stdin::new(copy()?));
        }
        self.master = Some(master);
        match self.size {
            Some(size) => self.resize(size),
            None => Ok(()),
        }
    }

    /// Sets the size of the terminal, now or when it comes.
    pub fn resize(&mut self, [rows, columns]: [u16; 2]) -> Result<()> {
        self.size = Some([rows, columns]);
        match &self.master {
            Some(master) => tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).context("terminal"),
            None => Ok(()),
        }
    }

    /// Whether it can still be signalled and attached to.
    pub fn lives(&self) -> bool {
        self.pid != 0 && self.ended.is_none() && self.exit.is_none()
    }

    /// Lets go of everything that a finished process needs no more.
    pub fn settle(&mut self, record: ExitRecord) {
        self.outputs.clear();
        self.stdin = None;
        self.master = None;
        self.pidfd = None;
        self.ended = None;
        self.exit = Some(record);
    }
}

impl Output {
    fn new(fd: OwnedFd, source: Source) -> Self {
        Self { fd, source, splitter: Splitter::default(), watch: Watch::default(), over: false }
    }
}

impl Stdin {
    fn new(fd: OwnedFd) -> Self {
        Self { fd, queue: Vec::new(), watch: Watch::default(), ending: false }
    }
}

fn output_pipe(source: Source) -> Result<(Output, OwnedFd)> {
    let (fd, end) = pipe_with(PipeFlags::CLOEXEC).context("pipe")?;
    fcntl_setfl(&fd, OFlags::NONBLOCK).context("pipe")?;
    // A smaller pipe works as well, only slower.
    let _ = fcntl_setpipe_size(&fd, PIPE_SIZE);
    Ok((Output::new(fd, source), end))
}

/// `/dev/null`, for both directions.
pub fn null() -> Result<OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).context("/dev/null")
}
