//! What an instance has of the host: shared by all of a plugin, by those of one generation, and its own.

use super::{
    failure::Failure, files::Files, journal::Journal, package::Package, permission, private, series::Registry, state,
    statistics::Statistics, supervise::Supervisor, timers::Timers,
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{ResourceLimiter, component::ResourceTable};
use wharf_types::Result;

/// Of a plugin as long as it is loaded.
pub(super) struct Shared {
    pub name: String,
    pub journal: Journal,
    pub statistics: Statistics,
    pub supervisor: Supervisor,
    pub series: Registry,
    /// Where the monotonic clock begins.
    pub loaded: Instant,
    /// With permission only, as what follows.
    pub state: Option<Arc<state::Store>>,
    pub timers: Option<Arc<Timers>>,
}

impl Shared {
    /// Opens what the plugin stored below `root`. Blocks.
    pub fn open(package: &Package, root: &Path) -> Result<Self> {
        let dir = private::path_of(root, &package.name)?;
        let granted = |what| permission::granted(what, &package.grants);
        if granted("state") || granted("timers") {
            private::directory(&dir)?;
        }
        let quota = package.limits.state()?;
        Ok(Self {
            name: package.name.clone(),
            journal: Journal::default(),
            statistics: Statistics::default(),
            supervisor: Supervisor::default(),
            series: Registry::default(),
            loaded: Instant::now(),
            state: granted("state").then(|| state::Store::open(&dir, quota).map(Arc::new)).transpose()?,
            timers: granted("timers").then(|| Timers::open(&dir).map(Arc::new)).transpose()?,
        })
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
    /// What the instance has handles of.
    pub table: ResourceTable,
}

/// Counts memory. A plugin that wants more than it may have is ended, since its own message for that would be any panic's.
pub(super) struct Budget {
    pub limit: usize,
    used: usize,
}

/// Elements of a table.
const TABLE_MAX: usize = 20_000;

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self { limit, used: 0 }
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        if used > self.limit {
            return Err(wasmtime::Error::new(Failure::Memory(self.limit)));
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_MAX)
    }
}
