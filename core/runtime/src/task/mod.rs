//! The daemon's side of monitors: launching one per container, talking to it, finding it again after a restart.
//!
//! Not here: what a monitor does (the `wharf-shim` crate) and the frames (`wharf-shim-proto`). Start with [`ShimHost::create`],
//! then [`Task`]. The daemon holds no state of its own about a task: everything is in the monitor or in the task directory.

mod adopt;
mod binary;
mod connection;
mod handle;
mod host;

pub use adopt::{Adopted, RunningExec, TaskState};
pub use handle::{AttachRequest, Attached, ExecRequest, ExecStarted, Task, TaskEvent};
pub use host::ShimHost;
pub use wharf_shim_proto::{ExitRecord, Launch, LogSettings, RuntimeKind, Stdio};
