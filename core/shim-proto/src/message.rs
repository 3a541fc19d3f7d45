//! Requests of the daemon, answers and events of the monitor.
//!
//! A connection carries any number of requests at once; answers name the request. [`Call::Attach`], and [`Call::Exec`] with
//! `attach`, turn their connection into a raw byte stream after the answer.

use crate::record::ExitRecord;
use serde::{Deserialize, Serialize};
use wharf_types::{Error, ErrorKind, ExecId, Timestamp};

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the caller, from 1; 0 names the launch itself.
    pub id: u64,
    /// What is wanted.
    pub call: Call,
}

/// The id under which a monitor answers its launch.
pub const LAUNCH_ID: u64 = 0;

/// What can be asked of a monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Opens a conversation: versions are compared, the state is told, and events follow on this connection.
    Hello {
        /// The caller's [`crate::VERSION`].
        version: u32,
    },
    /// Runs the container's process.
    Start,
    /// Runs another process in the container.
    Exec(Box<ExecCall>),
    /// Sends a signal.
    Kill {
        /// To this exec instead of the container's first process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<ExecId>,
        /// The number.
        signal: i32,
        /// To every process of the container.
        #[serde(default)]
        all: bool,
    },
    /// Sets the size of a terminal, in cells.
    Resize {
        /// Of this exec instead of the container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<ExecId>,
        /// Rows.
        height: u16,
        /// Columns.
        width: u16,
    },
    /// Ends standard input.
    CloseStdin {
        /// Of this exec instead of the container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<ExecId>,
    },
    /// Joins the streams; the connection turns raw.
    Attach {
        /// Of this exec instead of the container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<ExecId>,
        /// Which streams.
        stdio: Stdio,
        /// The caller replays the log up to `since`: an unfinished line, which is not in the log yet, is sent first.
        #[serde(default)]
        logs: bool,
    },
    /// Answers once the process has ended.
    Wait {
        /// This exec instead of the container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exec: Option<ExecId>,
    },
    /// Stops all processes.
    Pause,
    /// Lets paused processes go on.
    Resume,
    /// Changes resource limits.
    Update {
        /// The spec's `linux.resources`.
        resources: serde_json::Value,
    },
    /// Lists the container's processes.
    Pids,
    /// The exit was recorded: the monitor may go.
    Release,
}

/// An additional process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecCall {
    /// Its id.
    pub id: ExecId,
    /// The spec's `process`.
    pub process: serde_json::Value,
    /// Whether it gets a terminal.
    #[serde(default)]
    pub tty: bool,
    /// Whether standard input is a pipe (or the terminal) rather than `/dev/null`.
    #[serde(default)]
    pub stdin: bool,
    /// Height and width of the terminal, in cells.
    #[serde(default)]
    pub console_size: Option<[u16; 2]>,
    /// Streams to join before the process runs; the connection turns raw after the answer.
    #[serde(default)]
    pub attach: Option<Stdio>,
    /// Kill it when the client that joined its streams leaves.
    #[serde(default)]
    pub leashed: bool,
}

/// A choice of streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stdio {
    /// Bytes from the client feed standard input.
    #[serde(default)]
    pub stdin: bool,
    /// Standard output, or the terminal.
    #[serde(default)]
    pub stdout: bool,
    /// Standard error.
    #[serde(default)]
    pub stderr: bool,
}

/// Anything that a monitor sends: an answer (`id` with `ok` or `error`), or an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The request that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// It succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<Reply>,
    /// It failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// Something happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// The result of a successful request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Nothing to tell.
    Done,
    /// To [`Call::Hello`].
    Hello(Box<Hello>),
    /// To the launch and to [`Call::Exec`].
    Created {
        /// The new process.
        pid: i32,
    },
    /// To [`Call::Start`].
    Started {
        /// When.
        at: Timestamp,
    },
    /// To [`Call::Attach`].
    Attached {
        /// Records up to this moment are in the log; whatever is later goes to this client.
        since: Timestamp,
    },
    /// To [`Call::Wait`].
    Exited(ExitRecord),
    /// To [`Call::Pids`].
    Pids(Vec<i32>),
}

/// The state of a container as its monitor knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The monitor's [`crate::VERSION`].
    pub version: u32,
    /// Where in its life the container is.
    pub status: Status,
    /// The container's first process.
    pub pid: i32,
    /// When it was started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default)]
    pub exit: Option<ExitRecord>,
    /// Processes that were added and have not ended.
    #[serde(default)]
    pub execs: Vec<ExecState>,
}

/// A running exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecState {
    /// Its id.
    pub id: ExecId,
    /// Its process.
    pub pid: i32,
}

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Set up, waiting for [`Call::Start`].
    Created,
    /// Running.
    Running,
    /// Stopped by [`Call::Pause`].
    Paused,
    /// Ended.
    Exited,
}

/// Told to every connection that said hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The container ended; its record is on disk.
    Exited(ExitRecord),
    /// An exec ended; its record is on disk.
    ExecExited {
        /// Which.
        id: ExecId,
        /// How.
        record: ExitRecord,
    },
    /// The kernel killed a process of the container for want of memory.
    Oom,
}

/// An error on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its kind, by name; an unknown one counts as `system`.
    pub kind: String,
    /// Its text.
    pub message: String,
}

const KINDS: &[(&str, ErrorKind)] = &[
    ("invalid", ErrorKind::InvalidParameter),
    ("not_found", ErrorKind::NotFound),
    ("conflict", ErrorKind::Conflict),
    ("not_implemented", ErrorKind::NotImplemented),
    ("unavailable", ErrorKind::Unavailable),
    ("system", ErrorKind::System),
];

impl From<&Error> for Fault {
    fn from(e: &Error) -> Self {
        let kind = KINDS.iter().find(|(_, k)| *k == e.kind()).map_or("system", |(name, _)| name);
        Self { kind: kind.to_owned(), message: e.message().to_owned() }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let kind = KINDS.iter().find(|(name, _)| *name == fault.kind).map_or(ErrorKind::System, |(_, k)| *k);
        Self::new(kind, fault.message)
    }
}

impl Message {
    /// The answer to request `id`.
    pub fn answer(id: u64, result: Result<Reply, Error>) -> Self {
        match result {
            Ok(reply) => Self { id: Some(id), ok: Some(reply), ..Self::default() },
            Err(e) => Self { id: Some(id), error: Some(Fault::from(&e)), ..Self::default() },
        }
    }

    /// An event.
    pub fn event(event: Event) -> Self {
        Self { event: Some(event), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame;

    #[test]
    fn unknown_fields_are_ignored() {
        let request: Request = frame::parse(br#"{"id":1,"later":2,"call":{"kill":{"signal":9,"later":true}}}"#).unwrap();
        assert_eq!(request.call, Call::Kill { exec: None, signal: 9, all: false });
    }

    #[test]
    fn errors_keep_kind_and_text() {
        let message = Message::answer(3, Err(Error::not_found("no such process")));
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(text, r#"{"id":3,"error":{"kind":"not_found","message":"no such process"}}"#);
        let error = Error::from(frame::parse::<Message>(text.as_bytes()).unwrap().error.unwrap());
        assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "no such process"));
    }
}
