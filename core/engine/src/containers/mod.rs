//! Containers: create, find, list; everything that changes one goes through its actor.
//!
//! Start with [`record`] (what is known of a container), then `actor.rs` (who changes it) and `launch.rs` (how one starts).

mod actor;
mod archive;
mod boot;
mod changes;
mod commit;
mod create;
pub mod exposure;
mod files;
pub mod health;
mod index;
mod launch;
pub(crate) mod mountpoints;
pub(crate) mod places;
pub(crate) mod plan;
mod reconcile;
pub mod record;
mod report;
pub(crate) mod restart;
mod security;
mod shared;
mod streams;
mod sweep;
mod top;
mod undo;
mod wait;
pub(crate) mod workdir;

pub use crate::pipe::Packing;
pub use actor::StartRequest;
pub(crate) use actor::{Published, attributes};
pub use archive::ExtractOptions;
pub use commit::CommitRequest;
#[cfg(fuzzing)]
pub use create::fuzz::judge;
pub use index::Index;
pub use record::{AllowedBind, ContainerSpec, ContainerState, ContainerView, Status};
pub use report::ActorReport;
pub use shared::Shared;
pub(crate) use shared::{SPEC_FILE, blocking};
pub use streams::{AttachOptions, AttachedIo, Attachment, LogOutput, LogRequest};
pub use top::Top;
pub use wait::{WaitCondition, WaitOutcome, Waiter};
pub use wharf_layers::{archive::PathStat, diff::Change};

use crate::metrics::Timer;
use actor::{Command, Reply};
use index::Handle;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{oneshot, watch};
use wharf_api_types::container::{ContainerCreate, HostConfig};
use wharf_types::{ContainerId, ContainerName, Error, ErrorKind, Result, Signal, error::Context as _};

/// The service. Every method that takes `name` accepts a full id, a name (with or without slash) or a unique id prefix, and
/// answers `No such container: NAME` (404) or `multiple IDs found with provided prefix: NAME` (400).
#[derive(Clone)]
pub struct Containers {
    shared: Arc<Shared>,
    pruning: Arc<AtomicBool>,
}

/// What to create.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// The `name` query parameter.
    pub name: Option<String>,
    /// The `platform` query parameter, `os[/arch[/variant]]`.
    pub platform: Option<String>,
    /// The body, with the defaults of the request's API version.
    pub body: ContainerCreate,
    /// Where its binds may lead, when somebody was asked.
    pub allowed_binds: Option<Vec<AllowedBind>>,
}

/// Answer of create.
#[derive(Clone, Debug)]
pub struct Created {
    /// The new id.
    pub id: ContainerId,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// How to stop.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOptions {
    /// Seconds until SIGKILL; negative waits for ever; none for the container's or the daemon's default.
    pub timeout: Option<i64>,
    /// Instead of the container's stop signal.
    pub signal: Option<Signal>,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first when it runs.
    pub force: bool,
    /// Remove its anonymous volumes too.
    pub volumes: bool,
    /// Remove a link instead of the container.
    pub link: bool,
}

/// Files of a container on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPaths {
    /// Behind `/etc/hostname`.
    pub hostname: PathBuf,
    /// Behind `/etc/hosts`.
    pub hosts: PathBuf,
    /// Behind `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The network namespace; empty when it does not run.
    pub sandbox: PathBuf,
}

/// Answer of prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids of what was removed.
    pub deleted: Vec<ContainerId>,
    /// Bytes freed.
    pub reclaimed: u64,
}

impl Containers {
    /// The service over its collaborators; [`Containers::boot`] brings the recorded containers back.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, pruning: Arc::default() }
    }

    fn handle(&self, name: &str) -> Result<Handle> {
        self.shared.index.resolve(name)
    }

    /// Sends a command to a container's actor and waits for the outcome.
    async fn ask<T>(&self, handle: &Handle, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (reply, outcome) = oneshot::channel();
        let gone = || Error::not_found(format!("No such container: {}", handle.published.borrow().view.id()));
        handle.commands.send(command(reply)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// Creates a container. Nothing is left behind on error. 404 only for a missing image.
    ///
    /// # Errors
    /// 400 that names the option, 404 for the image, 409 for a taken name.
    pub async fn create(&self, rq: CreateRequest) -> Result<Created> {
        self.shared.metrics.timed(Timer::ContainerCreate, create::create(&self.shared, rq)).await
    }

    /// All containers, newest first.
    pub fn list(&self) -> Vec<ContainerView> {
        let mut all: Vec<_> = self.shared.index.all().iter().map(|h| h.published.borrow().view.clone()).collect();
        all.sort_by(|a, b| b.spec.created.cmp(&a.spec.created).then_with(|| a.id().cmp(b.id())));
        all
    }

    /// Finds one.
    ///
    /// # Errors
    /// 404, or 400 for an ambiguous prefix.
    pub fn get(&self, name: &str) -> Result<ContainerView> {
        Ok(self.handle(name)?.published.borrow().view.clone())
    }

    /// Bytes written to the container's own layer, and of the whole root file system.
    ///
    /// # Errors
    /// When the layer cannot be read.
    pub async fn sizes(&self, id: &ContainerId) -> Result<(u64, u64)> {
        let view = self.get(id.as_str())?;
        let (shared, id) = (self.shared.clone(), id.clone());
        let own = blocking(move || shared.layers.rw_usage(&id)).await?;
        let image = self.shared.images.get(view.spec.image.as_str()).map_or(0, |i| i.size);
        Ok((own, own + image))
    }

    /// The snapshotter's name and directories of a container's layer (`GraphDriver`).
    pub fn graph_data(&self, id: &ContainerId) -> (String, BTreeMap<String, String>) {
        (self.shared.layers.driver().to_owned(), self.shared.layers.rw_graph_data(id))
    }

    /// The id of the default network; none when there is none.
    pub fn bridge_id(&self) -> Option<&str> {
        self.shared.network.as_ref().map(|n| n.network_id())
    }

    /// Where the files that Docker manages lie on the host, and the container's network namespace while it runs.
    pub fn paths(&self, view: &ContainerView) -> HostPaths {
        // A container that joins another one's network has the other one's files.
        let donor = view.spec.network_container().and_then(|id| self.get(id).ok());
        let owner = donor.as_ref().unwrap_or(view);
        let dir = self.shared.dir(owner.id());
        let sandbox = match view.state.pid {
            0 => PathBuf::new(),
            _ if owner.state.endpoint.is_some() => self.shared.netns(owner.id()),
            pid => PathBuf::from(format!("/proc/{pid}/ns/net")),
        };
        HostPaths { hostname: dir.join("hostname"), hosts: dir.join("hosts"), resolv_conf: dir.join("resolv.conf"), sandbox }
    }

    /// Starts it; 304 when it runs.
    ///
    /// # Errors
    /// 400 for a command that cannot be run and for a host configuration that create would refuse, 403 when a bind leads elsewhere than it
    /// may, 500 for what the host refuses.
    pub async fn start(&self, name: &str, rq: StartRequest) -> Result<()> {
        self.ask(&self.handle(name)?, |reply| Command::Start(rq, reply)).await
    }

    /// Adds what a container keeps when it is started with `host`: its binds and mounts to other places.
    ///
    /// # Errors
    /// 404 for the container, 400 for binds that cannot be read.
    pub fn keep_mounts(&self, name: &str, host: &mut HostConfig) -> Result<()> {
        create::keep_mounts(&self.get(name)?.spec.host_config, host)
    }

    /// Stops it; 304 when it does not run.
    ///
    /// # Errors
    /// 500 when it survives SIGKILL.
    pub async fn stop(&self, name: &str, how: StopOptions) -> Result<()> {
        self.stop_with(name, how, None).await
    }

    /// Stops it if it runs, and starts it.
    ///
    /// # Errors
    /// As stop and start.
    pub async fn restart(&self, name: &str, how: StopOptions, rq: StartRequest) -> Result<()> {
        self.stop_with(name, how, Some(rq)).await
    }

    async fn stop_with(&self, name: &str, how: StopOptions, restart: Option<StartRequest>) -> Result<()> {
        let handle = self.handle(name)?;
        self.ask(&handle, |reply| Command::Stop { how, restart, by_daemon: false, reply }).await
    }

    /// Sends a signal (SIGKILL when none is given, and then waits for the end); 409 when it does not run.
    ///
    /// # Errors
    /// 409, or 500 when the signal cannot be sent.
    pub async fn kill(&self, name: &str, signal: Option<Signal>) -> Result<()> {
        self.ask(&self.handle(name)?, |reply| Command::Kill(signal.unwrap_or(Signal::KILL), reply)).await
    }

    /// Changes its limits, at once when it runs, and its restart policy. Zero in `change` leaves a setting as it is. Answers
    /// with warnings for the user.
    ///
    /// # Errors
    /// 400 for a bad value, 409 for one that does not go with the others, 500 when the kernel refuses.
    pub async fn update(&self, name: &str, change: HostConfig) -> Result<Vec<String>> {
        self.ask(&self.handle(name)?, |reply| Command::Update(Box::new(change), reply)).await
    }

    /// Freezes all its processes.
    ///
    /// # Errors
    /// 409 when it does not run, is paused already, or waits for a restart.
    pub async fn pause(&self, name: &str) -> Result<()> {
        self.ask(&self.handle(name)?, Command::Pause).await
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// 500 when it is not paused.
    pub async fn unpause(&self, name: &str) -> Result<()> {
        self.ask(&self.handle(name)?, Command::Unpause).await
    }

    /// What a container's actor publishes, now and from now on.
    pub(crate) fn watch(&self, name: &str) -> Result<watch::Receiver<Published>> {
        Ok(self.handle(name)?.published)
    }

    /// Registers a wait.
    ///
    /// # Errors
    /// 404.
    pub fn wait(&self, name: &str, condition: WaitCondition) -> Result<Waiter> {
        Ok(Waiter::new(self.handle(name)?.published, condition))
    }

    /// Removes it.
    ///
    /// # Errors
    /// 409 when it runs and `force` is off, or is being removed already; 400 for a link.
    pub async fn remove(&self, name: &str, how: RemoveOptions) -> Result<()> {
        if how.link {
            return Err(Error::invalid(format!("removing a link is not supported by this version of Wharf yet: {name}")));
        }
        self.ask(&self.handle(name)?, |reply| Command::Remove(how, reply)).await
    }

    /// Gives it another name.
    ///
    /// # Errors
    /// 400 for a bad or the same name, 409 for a taken one.
    pub async fn rename(&self, name: &str, new: &str) -> Result<()> {
        if name.is_empty() || new.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let handle = self.handle(name)?;
        let new: ContainerName = new.parse()?;
        let (id, old) = {
            let published = handle.published.borrow();
            (published.view.id().clone(), published.view.spec.name.clone())
        };
        if old == new {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        let reserved = self.shared.index.reserve(new.clone(), &id)?;
        self.ask(&handle, |reply| Command::Rename(new, reply)).await?;
        reserved.keep();
        Ok(())
    }

    /// Removes all stopped containers that `select` accepts. 409 while another prune runs.
    ///
    /// # Errors
    /// 409; containers that cannot be removed are logged and skipped.
    pub async fn prune(&self, select: impl Fn(&ContainerView) -> bool + Send) -> Result<Pruned> {
        if self.pruning.swap(true, Ordering::AcqRel) {
            return Err(Error::conflict("a prune operation is already running"));
        }
        let _running = Pruning(&self.pruning);
        let mut pruned = Pruned::default();
        for view in self.list() {
            if view.state.running || view.state.removing || !select(&view) {
                continue;
            }
            let (shared, id) = (self.shared.clone(), view.id().clone());
            let size = blocking(move || shared.layers.rw_usage(&id)).await.unwrap_or(0);
            match self.remove(view.id().as_str(), RemoveOptions::default()).await {
                Ok(()) => {
                    pruned.deleted.push(view.id().clone());
                    pruned.reclaimed += size;
                }
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {}
                Err(e) => tracing::warn!(container = ?view.id(), error = %e, "not pruned"),
            }
        }
        let attributes = [("reclaimed".to_owned(), pruned.reclaimed.to_string())].into();
        self.shared.events.publish("container", "prune", "", attributes);
        Ok(pruned)
    }

    /// Sets the terminal's size in characters; nothing happens to a container without one.
    ///
    /// # Errors
    /// 409 when it does not run.
    pub async fn resize(&self, name: &str, height: u16, width: u16) -> Result<()> {
        let (view, task) = self.running(name)?;
        if view.spec.config.tty {
            task.resize(None, height, width).await.map_err(|e| call_failed(view.id(), e))?;
        }
        let mut attributes = actor::attributes(&view.spec);
        attributes.extend([("height".to_owned(), height.to_string()), ("width".to_owned(), width.to_string())]);
        self.shared.events.publish("container", "resize", view.id().as_str(), attributes);
        Ok(())
    }

    /// A running container's view and task; 409 otherwise.
    pub(crate) fn running(&self, name: &str) -> Result<(ContainerView, wharf_runtime::task::Task)> {
        let handle = self.handle(name)?;
        let published = handle.published.borrow();
        match &published.task {
            Some(task) => Ok((published.view.clone(), task.clone())),
            None => Err(not_running(published.view.id())),
        }
    }

    /// Ends the daemon's part. With live-restore the containers go on; without it they are stopped in parallel, each with its
    /// own patience. Returns once all are down or handed over.
    pub async fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        if self.shared.live.load().live_restore {
            return;
        }
        let stops = self.shared.index.all().into_iter().filter(|h| h.published.borrow().view.state.running).map(|handle| async move {
            let how = StopOptions::default();
            let stopped = self.ask(&handle, |reply| Command::Stop { how, restart: None, by_daemon: true, reply }).await;
            if let Err(e) = stopped.context("stop") {
                tracing::warn!(container = ?handle.published.borrow().view.id(), error = %e, "not stopped");
            }
        });
        futures_util::future::join_all(stops).await;
    }

    /// The longest that [`Containers::shutdown`] should take, in seconds: dockerd's rule, the larger of the configured
    /// timeout and the most patient running container's own plus 5; none without limit.
    pub fn shutdown_timeout(&self) -> Option<u64> {
        let live = self.shared.live.load();
        let mut seconds = u64::try_from(live.shutdown_timeout).ok()?;
        for view in self.list().into_iter().filter(|v| v.state.running) {
            let own = view.spec.config.stop_timeout.unwrap_or(live.default_stop_timeout);
            seconds = seconds.max(u64::try_from(own).ok()?.saturating_add(5));
        }
        Some(seconds)
    }
}

fn not_running(id: &ContainerId) -> Error {
    Error::conflict(format!("container {id} is not running"))
}

/// Why a call to the task of a running container failed. A monitor goes with its container: one that is gone means that the
/// container has just ended.
pub(crate) fn call_failed(id: &ContainerId, error: Error) -> Error {
    if error.kind() == ErrorKind::Unavailable { not_running(id) } else { error }
}

/// What cannot be done between two runs.
pub(crate) fn restarting(id: &ContainerId) -> Error {
    Error::conflict(format!("container {id} is restarting, wait until the container is running"))
}

struct Pruning<'a>(&'a AtomicBool);

impl Drop for Pruning<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
