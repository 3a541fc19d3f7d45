//! What the daemon and the monitor of a container agree on: the launch description, the frames, the files of a task directory
//! and the formats of logs. No I/O but a tiny frame codec; specified in `docs/reference/shim-protocol.md`.
//!
//! Start with [`Launch`] (what a monitor is told), then [`message`] (what is said afterwards). [`journal`] holds the log formats.

pub mod frame;
pub mod journal;
pub mod launch;
pub mod message;
pub mod record;

pub use launch::{Launch, LogSettings, RuntimeKind};
pub use message::{Call, Event, Message, Reply, Request, Stdio};
pub use record::{CreatedRecord, ExitRecord, ProcessRef, stat_fields};

/// Version of the protocol. Frames only ever gain optional fields; a change that an older peer cannot ignore raises it. Each side
/// speaks this version and the one before it.
pub const VERSION: u32 = 1;

/// Names inside a task directory (`<exec-root>/tasks/<id>`).
pub mod file {
    /// The OCI spec.
    pub const SPEC: &str = "config.json";
    /// The [`crate::Launch`].
    pub const LAUNCH: &str = "launch.json";
    /// The monitor's socket.
    pub const SOCKET: &str = "shim.sock";
    /// The monitor's [`crate::ProcessRef`].
    pub const SHIM_PID: &str = "shim.pid";
    /// The [`crate::CreatedRecord`], written before the answer to a launch.
    pub const CREATED: &str = "created.json";
    /// The [`crate::ExitRecord`], also of an exec (in its own directory).
    pub const EXIT: &str = "exit.json";
    /// Warnings of the monitor and the runtime.
    pub const SHIM_LOG: &str = "shim.log";
    /// One directory for each exec.
    pub const EXECS: &str = "exec";
}
