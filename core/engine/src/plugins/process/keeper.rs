//! Keeps a plugin's process alive: started again with growing pauses when it ends, until it is told to stop.

use super::{Processes, Spec, guard::Guard, journal::Journal, launch, launch::Running, plan};
use crate::{
    containers::restart::{Backoff, Ended},
    plugins::privileges::capability,
};
use async_trait::async_trait;
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use wharf_api_types::container::RestartPolicy;
use wharf_runtime::task::{ExitRecord, Task};
use wharf_spi::{
    authz::Authorizer,
    plugin::{Calls, Health, HealthWatch, RunningPlugin, Series, Served, Status},
};
use wharf_types::{Error, ErrorKind, Result, Signal};

/// Between SIGTERM and SIGKILL, and after SIGKILL until it is left to the monitor's cleanup; Docker's number.
const STOP: Duration = Duration::from_secs(10);
/// How long the last words of a process that ended are waited for: something that it started may keep its output open.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a process may take to answer when it is started again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A plugin whose process is kept alive.
pub struct Process(Arc<Inner>);

/// What its keeper, its authorizer and its handle share.
pub(super) struct Inner {
    on: Arc<Processes>,
    pub(super) spec: Arc<Spec>,
    pub(super) state: watch::Sender<State>,
    journal: Arc<Journal>,
    told: Mutex<Option<HealthWatch>>,
    pub(super) stop: CancellationToken,
    stopped: CancellationToken,
}

/// How it is.
pub(super) enum State {
    /// It runs and has answered.
    Up(Arc<dyn RunningPlugin>),
    /// It will be started again.
    Down { why: String, failures: u64 },
}

impl State {
    fn health(&self) -> Health {
        match self {
            Self::Up(process) => process.health(),
            Self::Down { why, failures } => Health { status: Status::Restarting, reason: why.clone(), failures: *failures },
        }
    }
}

impl Process {
    /// Starts it; it runs and has answered when this returns.
    ///
    /// # Errors
    /// When it does not start or does not answer within `patience`; nothing is left of it then.
    pub async fn start(on: &Arc<Processes>, spec: Spec, patience: Duration) -> Result<Self> {
        let inner = Inner::new(on, spec);
        match inner.attempt(patience).await {
            Ok(running) => Ok(Self::keep(inner, Ok(running))),
            Err(e) => {
                inner.tidy().await;
                Err(e)
            }
        }
    }

    /// Starts one that has to run. When it fails now, it is tried again later.
    pub async fn resume(on: &Arc<Processes>, spec: Spec, patience: Duration) -> Self {
        let inner = Inner::new(on, spec);
        let first = inner.attempt(patience).await;
        Self::keep(inner, first)
    }

    fn keep(inner: Arc<Inner>, first: Result<Running>) -> Self {
        if let Err(e) = &first {
            inner.down(e.message(), 1);
        }
        let keeper = inner.clone();
        tokio::spawn(async move {
            keeper.keep(first).await;
            keeper.tidy().await;
            keeper.stopped.cancel();
        });
        Self(inner)
    }
}

impl Inner {
    fn new(on: &Arc<Processes>, spec: Spec) -> Arc<Self> {
        let state = watch::Sender::new(State::Down { why: "it has not answered yet".to_owned(), failures: 0 });
        let (stop, stopped) = Default::default();
        Arc::new(Self { on: on.clone(), spec: Arc::new(spec), state, journal: Arc::default(), told: Mutex::default(), stop, stopped })
    }

    async fn keep(&self, mut now: Result<Running>) {
        let (mut backoff, mut failures) = (Backoff::default(), 0);
        let always = RestartPolicy { name: "always".to_owned(), maximum_retry_count: 0 };
        loop {
            let since = Instant::now();
            let why = match now {
                Err(e) => e.message().to_owned(),
                Ok(running) => {
                    let ended = tokio::select! {
                        ended = running.task.wait() => ended,
                        () = self.stop.cancelled() => return self.end(&running.task).await,
                    };
                    failures = 0;
                    let why = self.how(ended, running.output).await;
                    self.down(&why, 1);
                    self.reap(&running.task).await;
                    why
                }
            };
            failures += 1;
            self.down(&why, failures);
            let ended = Ended { code: 1, ran: since.elapsed(), manually: false, restarts: 0 };
            let pause = backoff.next(&always, ended).unwrap_or_default();
            tracing::error!(plugin = self.spec.name, "the plugin does not run: {why}; it is started again in {pause:?}");
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
            now = self.attempt(PATIENCE).await;
        }
    }

    /// One process, until it has answered.
    async fn attempt(&self, patience: Duration) -> Result<Running> {
        let failed = |e: Error| {
            let text = format!("plugin {:?} does not start: {}", self.spec.name, e.message());
            let kind = match e.kind() {
                kind @ (ErrorKind::InvalidParameter | ErrorKind::NotImplemented) => kind,
                _ => ErrorKind::System,
            };
            Error::new(kind, text).with_source(e)
        };
        let running = launch::launch(&self.on, &self.spec, &self.journal).await.map_err(failed)?;
        let config = &self.spec.config;
        let served = Served {
            name: self.spec.name.clone(),
            socket: plan::socket(&self.on, &self.spec)?,
            capabilities: config.interface.types.iter().filter_map(|t| capability(t)).map(str::to_owned).collect(),
        };
        let why = tokio::select! {
            answered = self.on.runner.greet(served, patience) => match answered {
                Ok(process) => {
                    if let Some(told) = self.told() {
                        process.watch(told);
                    }
                    self.becomes(State::Up(process));
                    return Ok(running);
                }
                Err(e) => e,
            },
            ended = running.task.wait() => {
                let why = self.how(ended, running.output).await;
                self.reap(&running.task).await;
                return Err(failed(Error::system(why)));
            }
            () = self.stop.cancelled() => Error::system("it was stopped"),
        };
        self.end(&running.task).await;
        Err(failed(why))
    }

    fn down(&self, why: &str, failures: u64) {
        self.becomes(State::Down { why: why.to_owned(), failures });
    }

    /// Whoever watches hears of it when it comes up or goes down.
    fn becomes(&self, state: State) {
        let is_up = matches!(state, State::Up(_));
        let was_up = matches!(self.state.send_replace(state), State::Up(_));
        if let (true, Some(told)) = (is_up != was_up, self.told()) {
            let health = self.state.borrow().health();
            told(&health);
        }
    }

    fn told(&self) -> Option<HealthWatch> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In words, how a process ended.
    async fn how(&self, ended: Result<ExitRecord>, output: tokio::task::JoinHandle<()>) -> String {
        let _ = timeout(LAST_WORDS, output).await;
        let how = match ended {
            Ok(ExitRecord { oom_killed: true, .. }) => "the process ran out of memory".to_owned(),
            Ok(ExitRecord { signal: Some(signal), .. }) => format!("the process was ended by signal {signal}"),
            Ok(record) => format!("the process exited with code {}", record.code),
            Err(e) => format!("the process is lost: {}", e.message()),
        };
        self.journal.last().map_or(how.clone(), |words| format!("{how}; its last words: {words}"))
    }

    /// SIGTERM, then SIGKILL.
    async fn end(&self, task: &Task) {
        // One that has ended already is as good.
        let _ = task.kill(Signal::TERM).await;
        if timeout(STOP, task.wait()).await.is_err() {
            let _ = task.kill_all(Signal::KILL).await;
            let _ = timeout(STOP, task.wait()).await;
        }
        self.reap(task).await;
    }

    /// Takes the monitor and the control group of an ended process back.
    async fn reap(&self, task: &Task) {
        if task.release().await.is_ok() {
            return;
        }
        if let Err(e) = self.on.shims.cleanup(&self.spec.id).await {
            tracing::error!(plugin = self.spec.name, error = %e, "its process is not removed");
        }
    }

    async fn tidy(&self) {
        if let Err(e) = self.on.tidy(&self.spec.id).await {
            tracing::error!(plugin = self.spec.name, error = %e, "not taken back");
        }
    }
}

#[async_trait]
impl RunningPlugin for Process {
    fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        let authz = self.0.spec.config.interface.types.iter().any(|t| capability(t) == Some("authz"));
        authz.then(|| Arc::new(Guard(self.0.clone())) as Arc<dyn Authorizer>)
    }
    fn health(&self) -> Health {
        self.0.state.borrow().health()
    }
    fn watch(&self, told: HealthWatch) {
        if let State::Up(process) = &*self.0.state.borrow() {
            process.watch(told.clone());
        }
        *self.0.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }
    fn memory(&self) -> Option<u64> {
        None
    }
    fn series(&self) -> (Vec<Series>, u64) {
        (Vec::new(), 0)
    }
    fn log(&self) -> Vec<String> {
        self.0.journal.lines()
    }
    fn calls(&self) -> Vec<(&'static str, Calls)> {
        match &*self.0.state.borrow() {
            State::Up(process) => process.calls(),
            State::Down { .. } => Vec::new(),
        }
    }
    async fn reload(&self, _: Value) -> Result<()> {
        Err(Error::not_implemented(format!("plugin {} reads its settings when it starts", self.0.spec.name)))
    }
    async fn stop(&self) {
        self.0.stop.cancel();
        self.0.stopped.cancelled().await;
    }
}
