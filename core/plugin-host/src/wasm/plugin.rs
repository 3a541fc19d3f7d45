//! A loaded plugin.

use super::{
    context::{Around, Generation, Shared},
    describe::{Description, noun},
    files::Files,
    grant::Grants,
    instance::Template,
    journal::Level,
    keeper,
    package::{Package, Schema},
    permission,
    pool::Pool,
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Instant,
};
use tokio::task::AbortHandle;
use wasmtime::component::Component;
use wharf_spi::{
    authz::Authorizer,
    plugin::{Calls, Health, HealthWatch, PluginKind as Kind, Series},
};
use wharf_types::{Error, Result, error::Context};

/// A loaded plugin. It ends with its last handle, or by [`Plugin::stop`].
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

/// What [`Plugin`] is; also its authorizer (in `authz.rs`).
pub(super) struct Inner {
    pub shared: Arc<Shared>,
    pub pool: Pool,
    schema: Schema,
    grants: Grants,
    settings: tokio::sync::Mutex<Value>,
    /// Files of the newest generation, even of one that could not start.
    watched: Mutex<Arc<Files>>,
    keeper: Mutex<Option<AbortHandle>>,
}

impl Plugin {
    pub(super) async fn start(component: &Component, description: Description, package: Package, around: &Around) -> Result<Self> {
        let name = package.name.clone();
        let named = |e: Error| e.context(format_args!("plugin \"{name}\""));
        if description.kinds.is_empty() || !description.lifecycle {
            return Err(Error::invalid(format!(
                "\"{name}\" is no plugin of this engine: it does not export wharf:plugin/lifecycle and one of the kinds"
            )));
        }
        if let Some(kind) = description.kinds.iter().find(|kind| **kind != Kind::Authz) {
            return Err(Error::not_implemented(format!(
                "plugin \"{name}\" is {}, which this version of the engine does not run",
                noun(*kind)
            )));
        }
        permission::check(&name, &description, &package.grants)?;
        let template = Template::new(component, &package.grants).map_err(named)?;
        let bounds = package.limits.resolve(Kind::Authz).map_err(named)?;
        let schema = Schema::new(package.schema.clone()).map_err(named)?;
        let generation =
            Generation { settings: schema.settings(&package.settings).map_err(named)?, files: Arc::new(Files::new(&package.grants)) };
        let (around, opened) = (around.clone(), package.clone());
        let shared =
            tokio::task::spawn_blocking(move || Shared::open(&opened, bounds, &around)).await.context("open the state of a plugin")?;
        let shared = Arc::new(shared.map_err(named)?);
        let watched = Mutex::new(Arc::clone(&generation.files));
        let pool = Pool::new(template, Arc::clone(&shared), Arc::new(generation)).await.map_err(named)?;
        let settings = tokio::sync::Mutex::new(package.settings);
        let inner = Arc::new(Inner { shared, pool, schema, grants: package.grants, settings, watched, keeper: Mutex::default() });
        let keeper =
            tokio::spawn(keeper::keep(Arc::downgrade(&inner), inner.shared.timers.clone(), permission::granted("files", &inner.grants)));
        *inner.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper.abort_handle());
        Ok(Self(inner))
    }

    /// What the operator calls it.
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// Its authorizer.
    pub fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        Some(Arc::clone(&self.0) as Arc<dyn Authorizer>)
    }

    /// How it is.
    pub fn health(&self) -> Health {
        self.0.shared.supervisor.health()
    }

    /// Has `told` hear of changes of its health.
    pub fn watch(&self, told: HealthWatch) {
        self.0.shared.supervisor.watch(told);
    }

    /// Bytes of memory that its instances have together.
    pub fn memory(&self) -> u64 {
        self.0.shared.memory.load(Ordering::Relaxed)
    }

    /// Its last 1,000 log lines, oldest first: time, level, text.
    pub fn log(&self) -> Vec<String> {
        self.0.shared.journal.lines()
    }

    /// Calls of its functions since it was loaded.
    pub fn statistics(&self) -> Vec<(&'static str, Calls)> {
        self.0.shared.statistics.read()
    }

    /// Numbers that it reports of itself, and how many reports were dropped.
    pub fn series(&self) -> (Vec<Series>, u64) {
        self.0.shared.series.read()
    }

    /// Starts instances with other settings and lets them replace the present ones. Ends a quarantine.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when the settings do not fit the schema or the plugin does not take them;
    /// everything stays as it was then.
    pub async fn reload(&self, settings: Value) -> Result<()> {
        self.0.reload(Some(settings)).await
    }

    /// Ends it: calls that are under way are finished, new ones fail.
    pub async fn stop(&self) {
        self.0.end_keeper();
        self.0.pool.stop().await;
    }
}

impl Inner {
    /// With the present settings when none are given.
    async fn reload(&self, settings: Option<Value>) -> Result<()> {
        let named = |e: Error| e.context(format_args!("plugin \"{}\"", self.shared.name));
        let mut present = self.settings.lock().await;
        let settings = settings.unwrap_or_else(|| present.clone());
        let files = Arc::new(Files::new(&self.grants));
        let generation = Generation { settings: self.schema.settings(&settings).map_err(named)?, files: Arc::clone(&files) };
        let replaced = self.pool.replace(Arc::new(generation)).await.map_err(named);
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = files;
        replaced?;
        *present = settings;
        Ok(())
    }

    /// Reloads when a file that was read has changed. Blocking work is done elsewhere.
    pub async fn look_at_files(&self) {
        let files = Arc::clone(&self.watched.lock().unwrap_or_else(PoisonError::into_inner));
        if !tokio::task::spawn_blocking(move || files.changed()).await.unwrap_or(false) {
            return;
        }
        let (level, text) = match self.reload(None).await {
            Ok(()) => (Level::Info, "files have changed: reloaded".to_owned()),
            Err(e) => (Level::Error, format!("files have changed, but it goes on with the old ones: {e}")),
        };
        self.shared.journal.write(&self.shared.name, level, &text, Instant::now());
    }

    /// Tells the plugin that a timer went off. Whether it was told, well or not.
    pub async fn wake(&self, timer: &str) -> bool {
        let Ok((mut lease, _)) = self.pool.lease().await else { return false };
        let outcome = lease.warm.instance.wake(&self.shared, timer).await;
        let told = !matches!(outcome, Err(super::instance::NoResult::Failed(_)));
        if let Err(e) = lease.done("wake", outcome) {
            self.shared.journal.write(&self.shared.name, Level::Error, &format!("timer {timer}: {e}"), Instant::now());
        }
        told
    }

    fn end_keeper(&self) {
        if let Some(keeper) = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take() {
            keeper.abort();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_keeper();
    }
}
