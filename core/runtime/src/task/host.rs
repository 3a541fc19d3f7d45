//! Launching monitors and removing what is left of them.

use super::{
    binary::Binary,
    connection::{Connection, gone},
    handle::Task,
};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::{fs::DirBuilderExt, net::UnixStream as StdStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
};
use tokio::{net::UnixStream, sync::oneshot, task::spawn_blocking};
use wharf_shim_proto::{Launch, Reply, file};
use wharf_types::{ContainerId, Error, Result, error::Context};

/// Starts monitors; one per daemon.
#[derive(Debug, Clone)]
pub struct ShimHost {
    binary: Arc<Binary>,
    tasks: Arc<Path>,
}

impl ShimHost {
    /// Takes the monitor's program at `shim` (a copy: later changes of the file have no effect) and the directory under which
    /// task directories live (`<exec_root>/tasks/<id>`).
    ///
    /// # Errors
    /// When the program cannot be read or the directory cannot be made.
    pub fn new(shim: &Path, exec_root: &Path) -> Result<Self> {
        let tasks = exec_root.join("tasks");
        DirBuilder::new().recursive(true).mode(0o700).create(&tasks).context(tasks.display())?;
        Ok(Self { binary: Arc::new(Binary::seal(shim)?), tasks: tasks.into() })
    }

    /// The same program with task directories of its own in `<exec_root>/<name>`: for what is no container.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn beside(&self, exec_root: &Path, name: &str) -> Result<Self> {
        let tasks = exec_root.join(name);
        DirBuilder::new().recursive(true).mode(0o700).create(&tasks).context(tasks.display())?;
        Ok(Self { binary: Arc::clone(&self.binary), tasks: tasks.into() })
    }

    /// Where the files of a task are.
    pub fn task_dir(&self, id: &ContainerId) -> PathBuf {
        self.tasks.join(id.as_str())
    }

    /// The task directories that exist.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn list(&self) -> Result<Vec<ContainerId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.tasks).context(self.tasks.display())? {
            if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Launches a monitor, which creates the container; its process waits for [`Task::start`]. Should the caller lose interest,
    /// the launch is still carried to its end and then undone, as after an error.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Conflict`] when the task exists; else the runtime's words.
    pub async fn create(&self, launch: &Launch, spec: &oci_spec::runtime::Spec) -> Result<Task> {
        let dir: Arc<Path> = self.task_dir(&launch.id).into();
        let (launch_json, spec_json) = (serde_json::to_vec(launch)?, serde_json::to_vec(spec)?);
        let (result, created) = oneshot::channel();
        let (host, id) = (self.clone(), launch.id.clone());
        tokio::spawn(async move {
            let outcome = host.launch(dir, launch_json, spec_json).await;
            let fresh = !matches!(&outcome, Err(e) if e.kind() == wharf_types::ErrorKind::Conflict);
            let failed = outcome.is_err();
            if failed && fresh {
                host.undo(&id).await;
            }
            if result.send(outcome).is_err() && !failed {
                host.undo(&id).await;
            }
        });
        created.await.map_err(|_| Error::system("launch of the container's monitor was interrupted"))?
    }

    async fn undo(&self, id: &ContainerId) {
        if let Err(e) = self.cleanup(id).await {
            tracing::warn!(container = %id, "undoing a failed launch: {e}");
        }
    }

    async fn launch(&self, dir: Arc<Path>, launch: Vec<u8>, spec: Vec<u8>) -> Result<Task> {
        let (binary, place) = (Arc::clone(&self.binary), Arc::clone(&dir));
        let stream = spawn_blocking(move || spawn(&binary, &place, &launch, &spec)).await.context("launch of the monitor")??;
        let (answer, launched) = oneshot::channel();
        let connection = Connection::open(UnixStream::from_std(stream)?, Arc::clone(&dir), Some(answer));
        match launched.await.map_err(|_| gone())?? {
            Reply::Created { pid } => Ok(Task::new(dir, pid, connection)),
            other => Err(Error::system(format!("unexpected answer to a launch: {other:?}"))),
        }
    }

    /// Ends the monitor if there is one, kills whatever is left of the container, and removes its runtime state, its cgroups and
    /// the task directory. Does nothing when they are gone.
    ///
    /// # Errors
    /// When something resists; calling again is safe.
    pub async fn cleanup(&self, id: &ContainerId) -> Result<()> {
        let (binary, dir) = (Arc::clone(&self.binary), self.task_dir(id));
        spawn_blocking(move || {
            if !dir.exists() {
                return Ok(());
            }
            let output = binary.command().arg("cleanup").arg(&dir).stderr(Stdio::piped()).output().context("cleanup of a task")?;
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr);
                return Err(Error::system(format!("cleanup of {}: {}", dir.display(), why.trim())));
            }
            remove_dir(&dir)
        })
        .await
        .context("cleanup of a task")?
    }
}

/// Makes the task directory and starts a monitor in it. The monitor gets its end of the control connection as standard input, and
/// as standard output the directory itself, locked: the lock lasts as long as the monitor, whatever happens to this process.
fn spawn(binary: &Binary, dir: &Path, launch: &[u8], spec: &[u8]) -> Result<StdStream> {
    let place = || dir.display().to_string();
    DirBuilder::new().mode(0o700).create(dir).map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => Error::conflict(format!("task {} already exists", place())),
        _ => Error::from(e).context(place()),
    })?;
    let lock = File::open(dir).context(place())?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).context(place())?;
    fs::write(dir.join(file::SPEC), spec).context(place())?;
    // The launch comes last and whole: where there is none, no monitor was started.
    let unfinished = dir.join("launch.new");
    fs::write(&unfinished, launch).and_then(|()| fs::rename(&unfinished, dir.join(file::LAUNCH))).context(place())?;
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = binary.command();
    command.arg("monitor").arg(dir).stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(Stdio::from(lock));
    // The process that is spawned forks the monitor and exits at once.
    let status = command.spawn().context("monitor")?.wait().context("monitor")?;
    if status.success() { Ok(ours) } else { Err(Error::system(format!("the container's monitor did not start: {status}"))) }
}

/// Removes a directory that may be gone.
pub(super) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::from(e).context(dir.display())),
        _ => Ok(()),
    }
}
