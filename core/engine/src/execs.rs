//! Processes started in running containers (`docker exec`).
//!
//! An exec is known from its create until some minutes after its end, in memory only: the process itself is the monitor's, and
//! what remains of it after a daemon restart ends with its container.

use crate::containers::{ContainerView, Containers, Shared, blocking, call_failed};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::net::UnixStream;
use wharf_api_types::exec::{ExecCreate, ExecStart};
use wharf_runtime::{
    spec::{ConsoleSize, ExecPlan, exec_process},
    task::{ExecRequest, Task},
};
use wharf_shim_proto::{ExitRecord, Stdio, file};
use wharf_types::{ContainerId, Error, ExecId, Result, Timestamp, error::Context as _};

/// How long an ended exec can still be inspected (dockerd: 5 to 10 minutes).
const KEPT: Duration = Duration::from_secs(5 * 60);

/// What is known of an exec.
#[derive(Clone, Debug)]
pub struct ExecView {
    /// Its id.
    pub id: ExecId,
    /// The container it runs in.
    pub container: ContainerId,
    /// What was asked for.
    pub config: ExecCreate,
    /// Whether it runs now.
    pub running: bool,
    /// Its exit code, once it ended.
    pub exit_code: Option<i32>,
    /// Its pid; 0 before it runs.
    pub pid: i32,
}

struct Entry {
    view: Arc<ExecView>,
    process: oci_spec::runtime::Process,
    claimed: bool,
    ended: Option<Timestamp>,
}

/// All known execs.
#[derive(Default)]
pub struct ExecTable {
    entries: Mutex<HashMap<ExecId, Entry>>,
}

impl ExecTable {
    fn lock(&self) -> MutexGuard<'_, HashMap<ExecId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, entry: Entry) {
        let now = Timestamp::now();
        let mut entries = self.lock();
        entries.retain(|_, e| e.ended.is_none_or(|at| now.since(at) < KEPT));
        entries.insert(entry.view.id.clone(), entry);
    }

    fn update(&self, id: &ExecId, change: impl FnOnce(&mut ExecView)) {
        if let Some(entry) = self.lock().get_mut(id) {
            change(Arc::make_mut(&mut entry.view));
            if entry.view.exit_code.is_some() {
                entry.ended.get_or_insert(Timestamp::now());
            }
        }
    }

    /// Forgets what never ran in a container that ended.
    pub fn container_ended(&self, container: &ContainerId) {
        self.lock().retain(|_, e| e.view.container != *container || e.claimed);
    }

    /// Forgets all execs of a container.
    pub fn forget(&self, container: &ContainerId) {
        self.lock().retain(|_, e| e.view.container != *container);
    }
}

/// The service. Methods that take an exec's `id` answer `No such exec instance: ID` (404).
#[derive(Clone)]
pub struct Execs {
    shared: Arc<Shared>,
    containers: Containers,
}

/// A checked start: the answer's headers can be sent before [`PreparedExec::run`], whose error then goes into the stream.
/// Dropped without it, the exec can be started again.
pub struct PreparedExec {
    /// Raw bytes when true, 8-byte multiplex frames otherwise.
    pub tty: bool,
    container: ContainerView,
    task: Task,
    request: ExecRequest,
    claim: Claim,
}

/// The right to run an exec; given back when it is dropped unused.
struct Claim {
    execs: Execs,
    view: Arc<ExecView>,
    used: bool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(entry) = self.execs.shared.execs.lock().get_mut(&self.view.id).filter(|_| !self.used) {
            entry.claimed = false;
        }
    }
}

impl PreparedExec {
    /// Its container's monitor.
    pub(crate) fn task(&self) -> Task {
        self.task.clone()
    }

    /// Has it killed when its connection closes, whatever closes it.
    pub(crate) fn leashed(mut self) -> Self {
        self.request.leashed = true;
        self
    }

    /// Runs it. The connection carries stdin one way and output the other; none when nothing is attached.
    ///
    /// # Errors
    /// In the runtime's words when the command cannot be run; the exec then has exit code 126 or 127.
    pub async fn run(self) -> Result<Option<UnixStream>> {
        let Self { container, task, request, mut claim, .. } = self;
        claim.used = true;
        let (execs, view) = (claim.execs.clone(), claim.view.clone());
        let table = execs.shared.execs.clone();
        let command = command_line(&view.config);
        execs.event(&container, &format!("exec_start: {command}"), &view.id, None);
        match task.exec(&view.id, request).await {
            Ok(started) => {
                table.update(&view.id, |v| {
                    v.running = true;
                    v.pid = started.pid;
                });
                tokio::spawn(execs.watch(container, task, view.id.clone()));
                Ok(started.stream)
            }
            Err(e) => {
                let e = call_failed(container.id(), e);
                let text = e.message();
                let denied = text.contains("permission denied") || text.contains("is a directory");
                let code = if denied { 126 } else { 127 };
                table.update(&view.id, |v| v.exit_code = Some(code));
                Err(Error::new(e.kind(), format!("OCI runtime exec failed: {text}: unknown")))
            }
        }
    }
}

impl Execs {
    /// The service over the containers it runs in.
    pub fn new(shared: Arc<Shared>, containers: Containers) -> Self {
        Self { shared, containers }
    }

    /// Registers an exec in a running container.
    ///
    /// # Errors
    /// 404 for the container, 409 when it does not run or is paused, 400 without a command or for an unknown user.
    pub async fn create(&self, container: &str, config: ExecCreate) -> Result<ExecId> {
        let (view, _) = self.running(container)?;
        let args = config.cmd.clone().filter(|c| !c.is_empty()).ok_or_else(|| Error::invalid("No exec command specified"))?;
        let plan = ExecPlan {
            args,
            hostname: view.spec.config.hostname.clone(),
            container_env: view.spec.config.env.clone().unwrap_or_default(),
            env: config.env.clone().unwrap_or_default(),
            cwd: config.working_dir.clone(),
            user: config.user.clone(),
            groups_add: view.spec.host_config.group_add.clone().unwrap_or_default(),
            privileged: config.privileged,
            tty: config.tty,
            console_size: config.console_size.map(|[height, width]| ConsoleSize { height: height.into(), width: width.into() }),
        };
        let shared = self.shared.clone();
        let bundle = self.shared.shims.task_dir(view.id());
        let process = blocking(move || {
            let spec: oci_spec::runtime::Spec =
                serde_json::from_slice(&std::fs::read(bundle.join(file::SPEC)).context("the container's OCI spec")?)?;
            let root = spec.root().as_ref().map(|r| r.path().clone()).unwrap_or_default();
            exec_process(&spec, &plan, &root, &shared.host)
        })
        .await?;
        let id = ExecId::random()?;
        let exec = ExecView { id: id.clone(), container: view.id().clone(), config, running: false, exit_code: None, pid: 0 };
        let command = command_line(&exec.config);
        self.shared.execs.insert(Entry { view: Arc::new(exec), process, claimed: false, ended: None });
        self.event(&view, &format!("exec_create: {command}"), &id, None);
        Ok(id)
    }

    /// Checks that it may start and claims it.
    ///
    /// # Errors
    /// 404, 409 when it ran already or its container does not run.
    pub async fn prepare(&self, id: &str, start: ExecStart) -> Result<PreparedExec> {
        let exec = self.get(id)?;
        let (container, task) = self.running(exec.container.as_str())?;
        let (view, process) = {
            let mut entries = self.shared.execs.lock();
            let entry = entries.get_mut(&exec.id).ok_or_else(|| missing(id))?;
            if entry.claimed {
                let what = if exec.exit_code.is_some() { "has already run" } else { "is already running" };
                return Err(Error::conflict(format!("exec command {id} {what}")));
            }
            entry.claimed = true;
            (entry.view.clone(), entry.process.clone())
        };
        let config = &view.config;
        let stdio = Stdio { stdin: config.attach_stdin, stdout: config.attach_stdout, stderr: config.attach_stderr };
        let request = ExecRequest {
            process,
            tty: config.tty,
            stdin: config.attach_stdin && !start.detach,
            console_size: start.console_size.or(config.console_size),
            attach: (!start.detach).then_some(stdio),
            leashed: false,
        };
        let claim = Claim { execs: self.clone(), view: view.clone(), used: false };
        Ok(PreparedExec { tty: config.tty, container, task, request, claim })
    }

    /// Sets the terminal's size in characters; nothing happens to an exec without one.
    ///
    /// # Errors
    /// 404, 409 when it does not run.
    pub async fn resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let exec = self.get(id)?;
        if !exec.running {
            return Err(Error::conflict(format!("exec {id} is not running")));
        }
        let (_, task) = self.running(exec.container.as_str())?;
        if exec.config.tty { task.resize(Some(&exec.id), height, width).await } else { Ok(()) }
    }

    /// Finds one. An end that the monitor recorded already is seen even before it was reported: clients ask once, right after
    /// the stream closed.
    ///
    /// # Errors
    /// 404.
    pub fn get(&self, id: &str) -> Result<Arc<ExecView>> {
        let known: ExecId = id.parse().map_err(|_| missing(id))?;
        let view = self.shared.execs.lock().get(&known).map(|e| e.view.clone()).ok_or_else(|| missing(id))?;
        Ok(self.now(&view))
    }

    /// What is known of it, with an end that was not reported yet.
    fn now(&self, view: &Arc<ExecView>) -> Arc<ExecView> {
        let dir = || self.shared.shims.task_dir(&view.container).join(file::EXECS).join(view.id.as_str());
        match view.running.then(|| recorded_exit(&dir())).flatten() {
            Some(record) => Arc::new(ExecView { running: false, exit_code: Some(record.code), ..(**view).clone() }),
            None => view.clone(),
        }
    }

    /// Ids of a container's execs that are known and not ended.
    pub fn ids_of(&self, container: &ContainerId) -> Vec<ExecId> {
        let known: Vec<_> = self.shared.execs.lock().values().filter(|e| e.view.container == *container).map(|e| e.view.clone()).collect();
        known.into_iter().filter(|v| self.now(v).exit_code.is_none()).map(|v| v.id.clone()).collect()
    }

    /// Forgets one that nobody will ask for.
    pub(crate) fn forget(&self, id: &ExecId) {
        self.shared.execs.lock().remove(id);
    }

    /// Publishes the `exec_detach` event.
    pub fn detached(&self, id: &ExecId) {
        let container = self.get(id.as_str()).and_then(|exec| self.containers.get(exec.container.as_str()));
        if let Ok(container) = container {
            self.event(&container, "exec_detach", id, None);
        }
    }

    fn running(&self, container: &str) -> Result<(ContainerView, Task)> {
        let (view, task) = self.containers.running(container)?;
        match (view.state.paused, view.state.restarting) {
            (true, _) => Err(Error::conflict(format!("container {} is paused, unpause the container before exec", view.id()))),
            (_, true) => Err(crate::containers::restarting(view.id())),
            _ => Ok((view, task)),
        }
    }

    /// Follows an exec to its end.
    async fn watch(self, container: ContainerView, task: Task, id: ExecId) {
        // A monitor that went away took the process with it.
        let code = task.exec_exit(&id).await.map_or(137, |record| record.code);
        self.shared.execs.update(&id, |v| {
            v.running = false;
            v.exit_code = Some(code);
        });
        self.event(&container, "exec_die", &id, Some(code));
    }

    fn event(&self, container: &ContainerView, action: &str, id: &ExecId, exit_code: Option<i32>) {
        let mut attributes: BTreeMap<String, String> = crate::containers::attributes(&container.spec);
        attributes.insert("execID".to_owned(), id.to_string());
        if let Some(code) = exit_code {
            attributes.insert("exitCode".to_owned(), code.to_string());
        }
        self.shared.events.publish("container", action, container.id().as_str(), attributes);
    }
}

fn missing(id: &str) -> Error {
    Error::not_found(format!("No such exec instance: {id}"))
}

fn command_line(config: &ExecCreate) -> String {
    config.cmd.clone().unwrap_or_default().join(" ")
}

fn recorded_exit(dir: &Path) -> Option<ExitRecord> {
    serde_json::from_slice(&std::fs::read(dir.join(file::EXIT)).ok()?).ok()
}
