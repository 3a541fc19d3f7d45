//! A loaded plugin.

use super::{
    clock::Clock,
    context::{Around, Generation, Shared},
    describe::Description,
    faces::Faces,
    files::Files,
    grant::Grants,
    instance::Template,
    journal::Level,
    keeper,
    package::{Package, Schema},
    permission,
    timers::Timers,
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::task::AbortHandle;
use wasmtime::component::Component;
use wharf_spi::{
    authz::Authorizer,
    ipam::IpamDriver,
    logging::{LogDriver, LogTransform},
    metrics::MetricsSink,
    plugin::{Calls, Health, HealthWatch, Series},
    volume::VolumeDriver,
};
use wharf_types::{Error, Result, Timestamp, error::Context};

/// A loaded plugin. It ends with its last handle, or by [`Plugin::stop`].
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

/// What [`Plugin`] is.
pub(super) struct Inner {
    shared: Arc<Shared>,
    pub faces: Faces,
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
        permission::check(&name, &description, &package.grants)?;
        let template = Template::new(component, &package.grants, &description.kinds).map_err(named)?;
        let text = package.schema.clone();
        let schema = tokio::task::spawn_blocking(|| Schema::new(text)).await.context("look at a plugin's schema")?.map_err(named)?;
        let settings = schema.check(package.settings.clone()).await.map_err(named)?;
        let generation = Generation { settings, files: Arc::new(Files::new(&package.grants)) };
        let (around, opened) = (around.clone(), package.clone());
        let shared = tokio::task::spawn_blocking(move || Shared::open(&opened, &around)).await.context("open the state of a plugin")?;
        let shared = Arc::new(shared.map_err(named)?);
        let watched = Mutex::new(Arc::clone(&generation.files));
        let faces = Faces::new(&template, &description, &package, &shared, &Arc::new(generation)).await.map_err(named)?;
        let settings = tokio::sync::Mutex::new(package.settings);
        let inner = Arc::new(Inner { shared, faces, schema, grants: package.grants, settings, watched, keeper: Mutex::default() });
        let timers = inner.timers().filter(|_| matches!(inner.shared.around.clock, Clock::System)).cloned();
        let keeper = tokio::spawn(keeper::keep(Arc::downgrade(&inner), timers, permission::granted("files", &inner.grants)));
        *inner.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper.abort_handle());
        Ok(Self(inner))
    }

    /// What the operator calls it.
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// Its authorizer.
    pub fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        self.0.faces.authz.clone().map(|pool| pool as Arc<dyn Authorizer>)
    }

    /// Its log driver.
    pub fn log_driver(&self) -> Option<Arc<dyn LogDriver>> {
        self.0.faces.logging.clone().map(|driver| driver as Arc<dyn LogDriver>)
    }

    /// Its transformation of logs.
    pub fn log_transform(&self) -> Option<Arc<dyn LogTransform>> {
        self.0.faces.transform.clone().map(|pool| pool as Arc<dyn LogTransform>)
    }

    /// Its volume driver.
    pub fn volume_driver(&self) -> Option<Arc<dyn VolumeDriver>> {
        self.0.faces.volume.clone().map(|driver| driver as Arc<dyn VolumeDriver>)
    }

    /// Its metrics sink.
    pub fn metrics_sink(&self) -> Option<Arc<dyn MetricsSink>> {
        self.0.faces.metrics.clone().map(|pool| pool as Arc<dyn MetricsSink>)
    }

    /// Its IPAM driver.
    pub fn ipam_driver(&self) -> Option<Arc<dyn IpamDriver>> {
        self.0.faces.ipam.clone().map(|pool| pool as Arc<dyn IpamDriver>)
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
        self.0.reload(Some(settings)).await?;
        self.0.shared.supervisor.forgive();
        Ok(())
    }

    /// Lets time pass, for tests: timers go off, each at its time.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Conflict`] when the host's clock is the machine's.
    pub async fn pass(&self, time: Duration) -> Result<()> {
        match &self.0.shared.around.clock {
            Clock::Manual(clock) => keeper::pass(&self.0, clock, time).await,
            Clock::System => return Err(Error::conflict("the clock of the machine goes by itself")),
        }
        Ok(())
    }

    /// Ends it: calls that are under way are finished, new ones fail.
    pub async fn stop(&self) {
        self.0.end_keeper();
        self.0.faces.stop().await;
    }
}

impl Inner {
    pub fn timers(&self) -> Option<&Arc<Timers>> {
        self.shared.timers.as_ref()
    }

    pub fn now(&self) -> Timestamp {
        self.shared.around.clock.now()
    }

    /// With the present settings when none are given.
    async fn reload(&self, settings: Option<Value>) -> Result<()> {
        let named = |e: Error| e.context(format_args!("plugin \"{}\"", self.shared.name));
        let mut present = self.settings.lock().await;
        let settings = settings.unwrap_or_else(|| present.clone());
        let files = Arc::new(Files::new(&self.grants));
        let checked = self.schema.check(settings.clone()).await.map_err(named)?;
        let generation = Generation { settings: checked, files: Arc::clone(&files) };
        let replaced = self.faces.replace(&Arc::new(generation)).await.map_err(named);
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = files;
        replaced?;
        *present = settings;
        Ok(())
    }

    /// Reloads when a file that was read has changed, and was the same at two looks. Blocking work is done elsewhere.
    pub async fn look_at_files(&self) {
        let files = Arc::clone(&self.watched.lock().unwrap_or_else(PoisonError::into_inner));
        if !tokio::task::spawn_blocking(move || files.changed()).await.unwrap_or(false) {
            return;
        }
        let (level, text) = match self.reload(None).await {
            Ok(()) => (Level::Info, "files have changed: reloaded".to_owned()),
            Err(e) => (Level::Error, format!("files have changed, but it goes on with the old ones: {e}")),
        };
        self.shared.journal.tell(&self.shared.name, level, &text);
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
