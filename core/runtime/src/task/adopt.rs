//! Finding a container again after a restart of the daemon.

use super::{connection::read_exit, handle::Task, host::ShimHost};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{fs::File, path::Path, sync::Arc, time::Duration};
use tokio::time::sleep;
use wharf_shim_proto::{ExitRecord, message::Status};
use wharf_types::{ContainerId, ErrorKind, ExecId, Result, Timestamp, error::Context};

/// A monitor that lives but has no socket yet (its daemon died while it was starting) gets this many chances, [`RETRY`] apart.
const ATTEMPTS: u32 = 100;
const RETRY: Duration = Duration::from_millis(20);

/// What became of a container while no daemon looked.
#[derive(Debug)]
pub enum Adopted {
    /// Its monitor lives.
    Alive {
        /// The monitor.
        task: Task,
        /// Where in its life it is.
        state: TaskState,
        /// When it was started.
        started_at: Option<Timestamp>,
        /// Its first process.
        pid: i32,
        /// Execs that run.
        execs: Vec<RunningExec>,
    },
    /// It ended, and its monitor went.
    Exited(ExitRecord),
    /// The monitor vanished without a record: [`ShimHost::cleanup`] is due.
    Lost,
    /// There is no such task.
    Absent,
}

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// Waits for [`Task::start`].
    Created,
    /// Runs.
    Running,
    /// Is paused.
    Paused,
    /// Ended; its monitor waits for [`Task::release`].
    Exited,
}

/// An exec that was found running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningExec {
    /// Its id.
    pub id: ExecId,
    /// Its process on the host.
    pub pid: i32,
}

impl ShimHost {
    /// Looks for the monitor of a container and takes it over.
    ///
    /// # Errors
    /// When the monitor speaks another protocol, or files cannot be read.
    pub async fn adopt(&self, id: &ContainerId) -> Result<Adopted> {
        let dir: Arc<Path> = self.task_dir(id).into();
        for _ in 0..ATTEMPTS {
            match Task::hello(Arc::clone(&dir)).await {
                Ok((task, hello)) => {
                    let execs = hello.execs.into_iter().map(|e| RunningExec { id: e.id, pid: e.pid }).collect();
                    let state = match hello.status {
                        Status::Created => TaskState::Created,
                        Status::Running => TaskState::Running,
                        Status::Paused => TaskState::Paused,
                        Status::Exited => TaskState::Exited,
                    };
                    return Ok(Adopted::Alive { task, state, started_at: hello.started_at, pid: hello.pid, execs });
                }
                Err(e) if e.kind() != ErrorKind::Unavailable => return Err(e.context(format!("container {id}"))),
                Err(_) => {}
            }
            if !dir.exists() {
                return Ok(Adopted::Absent);
            }
            if !monitor_lives(&dir)? {
                return Ok(read_exit(&dir).await.map_or(Adopted::Lost, Adopted::Exited));
            }
            sleep(RETRY).await;
        }
        Ok(Adopted::Lost)
    }
}

/// Whether someone holds the lock that a monitor inherits with its task directory.
fn monitor_lives(dir: &Path) -> Result<bool> {
    let file = File::open(dir).context(dir.display())?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(e) => Err(e).context(dir.display()),
    }
}
