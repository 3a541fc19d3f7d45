//! What an instance has of the host: shared by all of a plugin, by those of one generation, and its own.

use super::{
    clock::Clock,
    egress::Network,
    failure::Failure,
    files::Files,
    grant::Grants,
    journal::Journal,
    package::{Facts, Package},
    permission,
    secrets::Secrets,
    series::Registry,
    state,
    statistics::Statistics,
    stored::Stored,
    supervise::Supervisor,
    ticker::Ticker,
    timers::Timers,
    turns::Turns,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use wasmtime::{ResourceLimiter, component::ResourceTable};
use wharf_types::Result;

/// Of a plugin as long as it is loaded.
pub(super) struct Shared {
    pub name: String,
    pub journal: Journal,
    pub statistics: Statistics,
    pub supervisor: Supervisor,
    pub series: Registry,
    /// Bytes of memory of all instances.
    pub memory: Arc<AtomicU64>,
    /// Where the monotonic clock of the machine begins.
    pub loaded: Instant,
    /// With permission only, as what follows.
    pub state: Option<Arc<state::Store>>,
    pub timers: Option<Arc<Timers>>,
    pub grants: Grants,
    pub secrets: Secrets,
    /// Its share of the names that are looked up.
    pub lookups: Arc<Semaphore>,
    pub jobs: Jobs,
    pub around: Around,
}

/// Names that one plugin looks up at once, of all that are (`egress`).
const LOOKUPS: usize = 2;
/// Work that blocks, of one plugin at once. The daemon has a few dozen threads for that in all.
const JOBS: usize = 4;

/// What all plugins have in common.
#[derive(Clone)]
pub(super) struct Around {
    pub stored: Arc<Stored>,
    pub secrets: PathBuf,
    pub network: Arc<Network>,
    pub turns: Arc<Turns>,
    pub facts: Facts,
    pub ticker: Arc<Ticker>,
    pub clock: Clock,
}

impl Shared {
    /// Opens what the plugin stored. Blocks.
    pub fn open(package: &Package, around: &Around) -> Result<Self> {
        let granted = |what| permission::granted(what, &package.grants);
        let quota = package.limits.state()?;
        Ok(Self {
            name: package.name.clone(),
            journal: Journal::default(),
            statistics: Statistics::default(),
            supervisor: Supervisor::default(),
            series: Registry::default(),
            memory: Arc::default(),
            loaded: Instant::now(),
            state: granted("state").then(|| around.stored.state(&package.name, quota)).transpose()?,
            timers: granted("timers").then(|| around.stored.timers(&package.name)).transpose()?,
            grants: package.grants.clone(),
            secrets: Secrets::of(&around.secrets, &package.name)?,
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            jobs: Jobs::default(),
            around: around.clone(),
        })
    }
}

/// Work of one plugin that blocks.
pub(super) struct Jobs(Arc<Semaphore>);

impl Default for Jobs {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(JOBS)))
    }
}

impl Jobs {
    /// Works elsewhere, when it is its turn. What nobody waits for any more goes on, and counts as long.
    pub async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, String> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(|e| e.to_string())?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())
    }
}

/// What instances were made of between two reloads.
pub(super) struct Generation {
    /// A JSON object.
    pub settings: String,
    pub files: Arc<Files>,
}

/// Of one instance.
pub(super) struct Cx {
    pub shared: Arc<Shared>,
    pub generation: Arc<Generation>,
    pub deadline: Instant,
    /// How long a call may take, with waiting for the instance.
    pub limit: Duration,
    pub budget: Budget,
    /// Secrets and connections in the plugin's hands.
    pub handles: ResourceTable,
}

/// Secrets and connections that one instance holds at once.
pub(super) const HANDLES: usize = 64;

/// Counts memory. A plugin that wants more than it may have is ended, since its own message for that would be any panic's.
pub(super) struct Budget {
    pub limit: usize,
    used: usize,
    /// Of all instances together.
    total: Arc<AtomicU64>,
}

/// Elements of a table.
const TABLE_MAX: usize = 20_000;

impl Budget {
    pub fn new(limit: usize, total: Arc<AtomicU64>) -> Self {
        Self { limit, used: 0, total }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.total.fetch_sub(self.used as u64, Relaxed);
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.limit {
            return Err(wasmtime::Error::new(Failure::Memory(self.limit)));
        }
        // Memory does not shrink: what is counted here is only ever more than before.
        self.total.fetch_add(used.saturating_sub(self.used) as u64, Relaxed);
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_plugin_has_few_threads_also_for_what_it_left() {
        let (jobs, others) = (Jobs::default(), Jobs::default());
        let begun = Arc::new(AtomicU64::new(0));
        let mut ends = Vec::new();
        for _ in 0..JOBS + 3 {
            let ((end, ended), begun) = (mpsc::channel::<()>(), begun.clone());
            ends.push(end);
            let work = move || {
                begun.fetch_add(1, Relaxed);
                let _ = ended.recv();
            };
            tokio::time::timeout(Duration::from_millis(20), jobs.run(work)).await.unwrap_err();
        }
        assert_eq!(others.run(|| 7).await, Ok(7));
        while begun.load(Relaxed) < JOBS as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(begun.load(Relaxed), JOBS as u64);
        drop(ends);
        assert_eq!(jobs.run(|| 7).await, Ok(7));
    }
}
