//! The one owner of a container: a task that receives commands, watches the monitor, keeps the timers, and is the only one to
//! change the record.
//!
//! Because everything passes through here there is no lock order and no forgotten write: a change is made by
//! [`Actor::commit`], which stores it and publishes the new view. A slow stop never blocks a kill: stopping is a state with a
//! deadline, not a wait.

mod adopt;
mod ended;
mod health;
mod pause;
mod remove;
mod stop;
mod update;

pub use adopt::StartRequest;

pub use ended::lost;

use super::{
    ContainerSpec, ContainerState, ContainerView, RemoveOptions, StopOptions,
    health::{self as checks, HealthStatus, ProbeResult},
    launch,
    launch::Launched,
    restart::Backoff,
    shared::{Shared, blocking},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::Instant,
};
use wharf_api_types::container::HostConfig;
use wharf_runtime::task::{AttachRequest, Attached, Task, TaskEvent};
use wharf_shim_proto::ExitRecord;
use wharf_types::{ContainerName, Error, ErrorKind, Result, Signal};

/// Where an outcome is sent.
pub type Reply<T> = oneshot::Sender<Result<T>>;

/// How long a SIGKILL may take to show before the caller hears that it did not work (dockerd's number).
const KILL_GRACE: Duration = Duration::from_secs(10);

/// What can be asked of a container.
pub enum Command {
    /// Run it.
    Start(StartRequest, Reply<()>),
    /// Stop it, and start it again when it is told how.
    Stop {
        /// Signal and patience.
        how: StopOptions,
        /// Start it again so.
        restart: Option<StartRequest>,
        /// The daemon stops: not by hand, so `unless-stopped` comes back.
        by_daemon: bool,
        /// Outcome, once it is down (or up again).
        reply: Reply<()>,
    },
    /// Send a signal.
    Kill(Signal, Reply<()>),
    /// Remove it.
    Remove(RemoveOptions, Reply<()>),
    /// A health check was run; answered with what that means.
    Probed(ProbeResult, Reply<HealthStatus>),
    /// Give it other limits or another restart policy; answered with warnings.
    Update(Box<HostConfig>, Reply<Vec<String>>),
    /// Freeze it.
    Pause(Reply<()>),
    /// Let it go on.
    Unpause(Reply<()>),
    /// Give it a name that was reserved.
    Rename(ContainerName, Reply<()>),
    /// Join its streams now, or right before its process runs.
    Attach(AttachRequest, Reply<Attached>),
}

/// What the actor lets others see.
#[derive(Clone)]
pub struct Published {
    /// Specification and state.
    pub view: ContainerView,
    /// The running task, for what does not change the record: exec, resize, top.
    pub task: Option<Task>,
    /// How often it has ended since the daemon started.
    pub exits: u64,
    /// It was removed.
    pub gone: bool,
    /// How often its removal failed, and why the last time.
    pub removal_failures: (u64, Option<String>),
}

struct Running {
    task: Task,
    exit: futures_util::future::BoxFuture<'static, Result<ExitRecord>>,
    events: broadcast::Receiver<TaskEvent>,
}

impl Running {
    fn new(task: Task) -> Self {
        let (events, watched) = (task.subscribe(), task.clone());
        Self { task, exit: Box::pin(async move { watched.wait().await }), events }
    }
}

/// A task found alive at boot.
pub struct Adopted(pub Task);

pub struct Actor {
    shared: Arc<Shared>,
    spec: Arc<ContainerSpec>,
    state: ContainerState,
    removing: bool,
    exits: u64,
    out: watch::Sender<Published>,
    commands: mpsc::Receiver<Command>,
    /// The other end of `commands`, for tasks that report.
    myself: mpsc::WeakSender<Command>,
    running: Option<Running>,
    health: Option<checks::Monitor>,
    parked: Vec<(AttachRequest, Reply<Attached>)>,
    backoff: Backoff,
    restart_at: Option<Instant>,
    stopping: Option<stop::Stopping>,
    /// Replies of kills and removals that wait for the exit.
    killed: Vec<Reply<()>>,
    remove_on_exit: Option<Reply<()>>,
    give_up_at: Option<Instant>,
}

enum Next {
    Go,
    Gone,
}

enum Woken {
    Command(Option<Command>),
    Exited(Result<ExitRecord>),
    Oom,
    Timer,
}

impl Actor {
    /// Starts the actor of a container and makes it visible. `boot_start` runs it at once, as its restart policy asks at boot.
    pub fn spawn(shared: &Arc<Shared>, spec: ContainerSpec, state: ContainerState, adopted: Option<Adopted>, boot_start: bool) {
        let (id, spec) = (spec.id.clone(), Arc::new(spec));
        let (commands_in, commands) = mpsc::channel(16);
        let running = adopted.map(|a| Running::new(a.0));
        let first = Published {
            view: ContainerView { spec: spec.clone(), state: Arc::new(state.clone()) },
            task: running.as_ref().map(|r| r.task.clone()),
            exits: 0,
            gone: false,
            removal_failures: (0, None),
        };
        let (out, published) = watch::channel(first);
        let mut actor = Self {
            shared: shared.clone(),
            spec,
            state,
            removing: false,
            exits: 0,
            out,
            commands,
            myself: commands_in.downgrade(),
            running,
            health: None,
            parked: Vec::new(),
            backoff: Backoff::default(),
            restart_at: boot_start.then(Instant::now),
            stopping: None,
            killed: Vec::new(),
            remove_on_exit: None,
            give_up_at: None,
        };
        shared.index.insert(id, super::index::Handle { commands: commands_in, published });
        actor.watch_health();
        tokio::spawn(actor.run());
    }

    async fn run(mut self) {
        loop {
            let deadline = self.deadline();
            let woken = tokio::select! {
                command = self.commands.recv() => Woken::Command(command),
                woken = told(&mut self.running) => woken,
                () = timer(deadline) => Woken::Timer,
            };
            let next = match woken {
                Woken::Command(None) => Next::Gone,
                Woken::Command(Some(command)) => self.command(command).await,
                Woken::Exited(record) => self.exited(record).await,
                Woken::Oom => self.out_of_memory().await,
                Woken::Timer => self.timer().await,
            };
            if matches!(next, Next::Gone) {
                return;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let kill_at = self.stopping.as_ref().and_then(|s| s.kill_at);
        [self.restart_at, kill_at, self.give_up_at].into_iter().flatten().min()
    }

    async fn command(&mut self, command: Command) -> Next {
        match command {
            Command::Start(rq, reply) => {
                let outcome = self.start_with(rq).await;
                let failed = outcome.as_ref().is_err_and(|e| e.kind() != ErrorKind::NotModified);
                let _ = reply.send(outcome);
                if failed && self.spec.host_config.auto_remove && self.running.is_none() {
                    return self.remove(None).await;
                }
            }
            Command::Stop { how, restart, by_daemon, reply } => return self.stop(how, restart, by_daemon, reply).await,
            Command::Kill(signal, reply) => return self.kill(signal, reply).await,
            Command::Remove(how, reply) => return self.remove_command(how, reply).await,
            Command::Probed(result, reply) => drop(reply.send(self.probed(result).await)),
            Command::Update(change, reply) => drop(reply.send(self.update(&change).await)),
            Command::Pause(reply) => drop(reply.send(self.pause().await)),
            Command::Unpause(reply) => drop(reply.send(self.unpause().await)),
            Command::Rename(name, reply) => {
                let _ = reply.send(self.rename(name).await);
            }
            Command::Attach(rq, reply) => self.attach(rq, reply),
        }
        Next::Go
    }

    // Starting

    async fn start(&mut self) -> Result<()> {
        self.can_start()?;
        self.state.manually_stopped = false;
        self.state.restart_count = 0;
        self.backoff = Backoff::default();
        self.launch().await
    }

    fn can_start(&self) -> Result<()> {
        if self.removing {
            return Err(Error::conflict("container is marked for removal and cannot be started"));
        }
        if self.state.paused {
            return Err(Error::conflict("cannot start a paused container, try unpause instead"));
        }
        if self.state.running {
            return Err(Error::not_modified("container is already running"));
        }
        Ok(())
    }

    /// Runs the container; on failure it is as before, but for the error and exit code in its state.
    async fn launch(&mut self) -> Result<()> {
        let parked = std::mem::take(&mut self.parked);
        match launch::launch(&self.shared, &self.spec, self.state.allowed_binds.clone(), parked).await {
            Ok(Launched { task, endpoint, started_at }) => {
                self.state = ContainerState {
                    running: true,
                    pid: task.pid(),
                    started_at: Some(started_at),
                    finished_at: self.state.finished_at,
                    restart_count: self.state.restart_count,
                    endpoint,
                    allowed_binds: self.state.allowed_binds.take(),
                    health: self.initial_health(),
                    ..ContainerState::default()
                };
                self.running = Some(Running::new(task));
                self.watch_health();
                self.commit().await;
                self.event("start", []);
                Ok(())
            }
            Err(failure) => {
                self.state.error = failure.error.message().to_owned();
                self.state.exit_code = failure.exit_code;
                self.state.running = false;
                self.state.restarting = false;
                self.commit().await;
                Err(failure.error)
            }
        }
    }

    fn attach(&mut self, rq: AttachRequest, reply: Reply<Attached>) {
        match &self.running {
            Some(running) => {
                let task = running.task.clone();
                tokio::spawn(async move {
                    let _ = reply.send(task.attach(rq).await);
                });
            }
            None => {
                self.parked.retain(|(_, waiting)| !waiting.is_closed());
                self.parked.push((rq, reply));
            }
        }
    }

    async fn timer(&mut self) -> Next {
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.restart_at) {
            self.restart_at = None;
            if self.shared.stopping.load(Ordering::Relaxed) {
                return Next::Go;
            }
            if let Err(e) = self.launch().await {
                tracing::warn!(container = ?self.spec.id, error = %e, "restart failed");
                self.exits += 1;
                self.publish();
            }
        }
        if due(self.stopping.as_ref().and_then(|s| s.kill_at)) {
            if let Some(stopping) = &mut self.stopping {
                stopping.kill_at = None;
            }
            self.give_up_at = Some(now + KILL_GRACE);
            if let Err(e) = self.signal(Signal::KILL).await {
                tracing::warn!(container = ?self.spec.id, error = %e, "SIGKILL not delivered");
            }
        }
        if due(self.give_up_at) {
            self.give_up_at = None;
            let stops = self.stopping.take().map(|s| s.replies).unwrap_or_default();
            for reply in stops.into_iter().chain(self.killed.drain(..)).chain(self.remove_on_exit.take()) {
                let text = format!("cannot stop container: {}: tried to kill container, but did not receive an exit event", self.spec.id);
                let _ = reply.send(Err(Error::system(text)));
            }
            self.removing = false;
            self.publish();
        }
        Next::Go
    }

    async fn rename(&mut self, name: ContainerName) -> Result<()> {
        let old = self.spec.name.clone();
        let spec = Arc::new(ContainerSpec { name, ..(*self.spec).clone() });
        let (shared, written) = (self.shared.clone(), spec.clone());
        blocking(move || shared.specs.put(written.id.as_str(), &written)).await?;
        self.spec = spec;
        self.shared.index.release(&old);
        self.publish();
        self.event("rename", [("oldName", format!("/{old}"))]);
        Ok(())
    }

    // Record, view, events

    /// Stores the state and publishes it. A failed write is logged and not fatal: boot reconciles with what it finds.
    async fn commit(&mut self) {
        let (shared, id, state) = (self.shared.clone(), self.spec.id.clone(), self.state.clone());
        if let Err(e) = blocking(move || shared.write_state(&id, &state)).await {
            tracing::error!(container = ?self.spec.id, error = %e, "state not saved");
        }
        self.publish();
    }

    fn publish(&self) {
        let state = ContainerState { removing: self.removing, ..self.state.clone() };
        let view = ContainerView { spec: self.spec.clone(), state: Arc::new(state) };
        let task = self.running.as_ref().map(|r| r.task.clone());
        self.out.send_modify(|p| {
            p.view = view;
            p.task = task;
            p.exits = self.exits;
        });
    }

    fn event<const N: usize>(&self, action: &str, more: [(&str, String); N]) {
        let mut attributes = attributes(&self.spec);
        attributes.extend(more.map(|(k, v)| (k.to_owned(), v)));
        self.shared.events.publish("container", action, self.spec.id.as_str(), attributes);
    }
}

/// What every event of a container carries: image, name and all labels.
pub fn attributes(spec: &ContainerSpec) -> BTreeMap<String, String> {
    let mut all = spec.config.labels.clone();
    all.insert("image".to_owned(), spec.config.image.clone());
    all.insert("name".to_owned(), spec.name.to_string());
    all
}

/// What the monitor tells next; never, when nothing runs.
async fn told(running: &mut Option<Running>) -> Woken {
    let Some(Running { exit, events, .. }) = running else { return std::future::pending().await };
    tokio::select! {
        record = exit => Woken::Exited(record),
        () = next_oom(events) => Woken::Oom,
    }
}

async fn next_oom(events: &mut broadcast::Receiver<TaskEvent>) {
    loop {
        match events.recv().await {
            Ok(TaskEvent::Oom) => return,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn timer(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
impl Published {
    /// A created container with nothing but an id.
    pub fn for_test(id: &wharf_types::ContainerId) -> Self {
        let spec = ContainerSpec {
            id: id.clone(),
            name: "test".parse().unwrap(),
            created: wharf_types::Timestamp::from_nanos(0),
            image: wharf_types::Digest::of(b""),
            layers: Vec::new(),
            config: Default::default(),
            host_config: Default::default(),
            networking: Default::default(),
            path: "true".into(),
            args: Vec::new(),
            mounts: Vec::new(),
            driver: "overlay2".into(),
            log_path: Default::default(),
        };
        let view = ContainerView { spec: Arc::new(spec), state: Arc::default() };
        Self { view, task: None, exits: 0, gone: false, removal_failures: (0, None) }
    }
}
