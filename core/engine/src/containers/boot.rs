//! Bringing the recorded containers back: documents × what is found under the exec root, by the table in `reconcile.rs`.

use super::{
    ContainerSpec, ContainerState, Containers, RemoveOptions, StartRequest,
    actor::{self, Actor, Adopted},
    health::Check,
    launch,
    reconcile::{Action, Found, Recorded, action},
    restart::{self, Ended},
    shared::{Shared, blocking},
    sweep,
};
use futures_util::{StreamExt, stream};
use std::{collections::HashSet, sync::Arc, time::Duration};
use wharf_network::Endpoint;
use wharf_runtime::task::{self, Task, TaskState};
use wharf_shim_proto::ExitRecord;
use wharf_types::{ContainerId, Result, Timestamp};

/// Containers looked at side by side.
const PARALLEL: usize = 16;
/// How long a container that joins another one's namespace is kept waiting for it (dockerd's number).
const DONOR_PATIENCE: Duration = Duration::from_secs(5);

/// What was found of a container's last run.
enum Remains {
    Alive { task: Task, started_at: Option<Timestamp>, paused: bool },
    Prepared,
    Exited(ExitRecord, Option<Task>),
    Lost,
    Nothing,
}

impl Remains {
    fn found(&self) -> Found {
        match self {
            Self::Alive { .. } => Found::Running,
            Self::Prepared => Found::Prepared,
            Self::Exited(..) => Found::Exited,
            Self::Lost => Found::Lost,
            Self::Nothing => Found::Nothing,
        }
    }
}

impl Containers {
    /// Loads every document, takes over what still runs, commits what ended meanwhile, deletes what belongs to nobody, and
    /// starts what its restart policy wants up. Nothing listens before this returns.
    ///
    /// # Errors
    /// Only when the containers cannot be listed at all; a single bad one is set aside and logged.
    pub async fn boot(&self) -> Result<()> {
        let shared = &self.shared;
        let s = shared.clone();
        let (specs, quarantined) = blocking(move || s.specs.load_all()).await?;
        for bad in quarantined {
            tracing::error!(container = bad.key, reason = bad.reason, "unreadable container set aside");
        }
        let s = shared.clone();
        let (tasks, set_aside) = blocking(move || Ok((s.shims.list()?, sweep::set_aside(s.specs.root())?))).await?;
        let tasks: HashSet<ContainerId> = tasks.into_iter().collect();
        let known: HashSet<ContainerId> = specs.iter().map(|(_, spec)| spec.id.clone()).chain(set_aside.iter().cloned()).collect();

        for orphan in tasks.difference(&known) {
            tracing::warn!(container = ?orphan, "removing what is left of an unknown container");
            if let Err(e) = shared.shims.cleanup(orphan).await {
                tracing::error!(container = ?orphan, error = %e, "not removed");
            }
        }
        let mut booted: Vec<_> =
            stream::iter(specs).map(|(_, spec)| restore(shared, spec, &tasks)).buffer_unordered(PARALLEL).collect().await;
        let running = booted.iter().filter(|b| b.task.is_some()).map(|b| b.spec.id.clone());
        let live = running.chain(set_aside).collect();
        sweep::sweep(shared, known, live).await?;
        // Oldest first, so that addresses and names of a start at boot come in the order of creation.
        booted.sort_by_key(|b| b.spec.created);
        for one in booted {
            self.bring_back(one);
        }
        self.thaw_interrupted().await;
        Ok(())
    }

    fn bring_back(&self, restored: Restored) {
        let Restored { mut spec, state, task, ended } = restored;
        if let Err(e) = self.shared.index.reserve(spec.name.clone(), &spec.id).map(super::index::Reservation::keep) {
            tracing::error!(container = ?spec.id, error = %e, "two containers with one name");
            let Ok(own) = spec.id.short().parse() else { return };
            spec.name = own;
            let _ = self.shared.index.reserve(spec.name.clone(), &spec.id).map(super::index::Reservation::keep);
        }
        let down = task.is_none();
        let remove = down && spec.host_config.auto_remove && state.started_at.is_some();
        let ended_by =
            Ended { code: state.exit_code, ran: Duration::ZERO, manually: state.manually_stopped, restarts: state.restart_count };
        let start = down && !remove && restart::at_boot(&spec.host_config.restart_policy, state.started_at.is_some(), ended_by);
        let donors: Vec<String> = [&spec.host_config.network_mode, &spec.host_config.pid_mode, &spec.host_config.ipc_mode]
            .into_iter()
            .filter_map(|mode| mode.strip_prefix("container:").map(str::to_owned))
            .collect();
        let (id, event) = (spec.id.clone(), actor::attributes(&spec));
        Actor::spawn(&self.shared, spec, state, task.map(Adopted), start && donors.is_empty());
        if let Some(record) = ended {
            let mut event = event;
            event.insert("exitCode".to_owned(), record.code.to_string());
            event.insert("execDuration".to_owned(), record.exited_at.since(record.started_at).as_secs().to_string());
            self.shared.events.publish("container", "die", id.as_str(), event);
        }
        let containers = self.clone();
        if remove {
            tokio::spawn(async move { containers.remove(id.as_str(), RemoveOptions { volumes: true, ..RemoveOptions::default() }).await });
        } else if start && !donors.is_empty() {
            tokio::spawn(async move { containers.start_after(&id, &donors).await });
        }
    }

    /// Starts a container once those whose namespaces it joins run.
    async fn start_after(&self, id: &ContainerId, donors: &[String]) {
        for donor in donors {
            let Ok(mut handle) = self.handle(donor) else { continue };
            let _ = tokio::time::timeout(DONOR_PATIENCE, handle.published.wait_for(|p| p.task.is_some())).await;
        }
        if let Err(e) = self.start_as_allowed(id.as_str()).await {
            tracing::warn!(container = ?id, error = %e, "not started");
        }
    }

    /// Starts a container with nobody to ask: its binds may lead where they were allowed to before.
    async fn start_as_allowed(&self, name: &str) -> Result<()> {
        let allowed_binds = self.get(name)?.state.allowed_binds.clone();
        self.start(name, StartRequest { allowed_binds, ..StartRequest::default() }).await
    }
}

struct Restored {
    spec: ContainerSpec,
    state: ContainerState,
    task: Option<Task>,
    ended: Option<ExitRecord>,
}

async fn restore(shared: &Arc<Shared>, spec: ContainerSpec, tasks: &HashSet<ContainerId>) -> Restored {
    let mut state = shared.read_state(&spec.id);
    let remains = if tasks.contains(&spec.id) { look(shared, &spec.id).await } else { Remains::Nothing };
    let recorded = if state.running { Recorded::Running } else { Recorded::Stopped };
    let todo = action(recorded, remains.found());
    let mut restored_task = None;
    let ended = match (todo, remains) {
        (Action::Adopt, Remains::Alive { task, started_at, paused }) => {
            state.endpoint = read_endpoint(shared, &spec.id);
            state.running = true;
            state.restarting = false;
            state.paused = paused;
            state.pid = task.pid();
            state.started_at = started_at.or(state.started_at);
            state.health = Check::of(&spec.config).map(|_| state.health.take().unwrap_or_default().begin());
            save(shared, &spec.id, &state).await;
            restored_task = Some(task);
            None
        }
        (Action::CommitExit, Remains::Exited(record, task)) => {
            let news = state.running || state.finished_at != Some(record.exited_at);
            tidy(shared, &spec, task).await;
            news.then_some(record)
        }
        (Action::CommitLost, _) => {
            tidy(shared, &spec, None).await;
            Some(actor::lost(state.started_at))
        }
        (Action::CommitReboot, _) => {
            tidy(shared, &spec, None).await;
            Some(ExitRecord { code: 255, error: None, ..actor::lost(state.started_at) })
        }
        (Action::Keep, _) => None,
        (_, _) => {
            tidy(shared, &spec, None).await;
            None
        }
    };
    if let Some(record) = &ended {
        state.running = false;
        state.restarting = false;
        state.paused = false;
        state.pid = 0;
        state.exit_code = record.code;
        state.oom_killed = record.oom_killed;
        state.started_at = Some(record.started_at);
        state.finished_at = Some(record.exited_at);
        state.error = record.error.clone().unwrap_or_default();
        save(shared, &spec.id, &state).await;
    }
    Restored { spec, state, task: restored_task, ended }
}

async fn look(shared: &Arc<Shared>, id: &ContainerId) -> Remains {
    match shared.shims.adopt(id).await {
        Ok(task::Adopted::Alive { task, state, started_at, .. }) => match state {
            TaskState::Created => Remains::Prepared,
            TaskState::Running => Remains::Alive { task, started_at, paused: false },
            TaskState::Paused => Remains::Alive { task, started_at, paused: true },
            TaskState::Exited => match task.wait().await {
                Ok(record) => Remains::Exited(record, Some(task)),
                Err(_) => Remains::Lost,
            },
        },
        Ok(task::Adopted::Exited(record)) => Remains::Exited(record, None),
        Ok(task::Adopted::Lost) => Remains::Lost,
        Ok(task::Adopted::Absent) => Remains::Nothing,
        Err(e) => {
            tracing::error!(container = ?id, error = %e, "its monitor cannot be asked");
            Remains::Lost
        }
    }
}

/// Takes back what a run left: monitor, network, mounts.
async fn tidy(shared: &Arc<Shared>, spec: &ContainerSpec, task: Option<Task>) {
    let endpoint = read_endpoint(shared, &spec.id);
    launch::teardown(shared, spec, endpoint, task).await;
}

fn read_endpoint(shared: &Shared, id: &ContainerId) -> Option<Endpoint> {
    serde_json::from_slice(&std::fs::read(shared.endpoint_file(id)).ok()?).ok()
}

async fn save(shared: &Arc<Shared>, id: &ContainerId, state: &ContainerState) {
    let (s, i, state) = (shared.clone(), id.clone(), state.clone());
    if let Err(e) = blocking(move || s.write_state(&i, &state)).await {
        tracing::error!(container = ?id, error = %e, "state not saved");
    }
}
