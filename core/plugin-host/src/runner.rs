//! Both worlds of plugins behind the one interface that the engine knows.

use crate::{
    legacy::{self, Discovery, LegacyPlugin, NativePlugins, Plugins, Timeouts},
    wasm::{self, Grants, Limits, WasmHost},
};
use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc, time::Duration};
use wharf_spi::{
    authz::Authorizer,
    facts::EngineFacts,
    ipam::IpamDriver,
    logging::{LogDriver, LogTransform},
    metrics::MetricsSink,
    plugin::{Calls, Description, Health, HealthWatch, Package, PluginRunner, RunningPlugin, Series, Served},
    volume::VolumeDriver,
};
use wharf_types::{Error, Result, error::Context as _};

/// The largest component that is read, in bytes.
const MAX_COMPONENT: u64 = 256 << 20;

/// Runs components and speaks to Docker's own plugins.
pub struct Runner {
    settings: wasm::Settings,
    /// Made for the first component: it has a thread, and reserves address space for instances.
    components: tokio::sync::OnceCell<WasmHost>,
    docker: Arc<Plugins>,
}

impl Runner {
    /// Keeps compiled code and what plugins store in `settings`' directories, and finds Docker's plugins through `discovery`.
    pub fn new(settings: wasm::Settings, discovery: Discovery, native: NativePlugins) -> Self {
        Self { settings, components: tokio::sync::OnceCell::new(), docker: Plugins::new(discovery, Timeouts::default(), native) }
    }

    /// Lets plugins look at the engine's objects and events, from now on.
    pub fn observe(&self, facts: Arc<dyn EngineFacts>) {
        // A second time changes nothing.
        let _ = self.settings.facts.set(facts);
    }

    async fn components(&self) -> Result<&WasmHost> {
        let start = || async {
            let settings = self.settings.clone();
            tokio::task::spawn_blocking(move || WasmHost::new(settings)).await.context("prepare for components")?
        };
        self.components.get_or_try_init(start).await
    }
}

#[async_trait]
impl PluginRunner for Runner {
    async fn describe(&self, component: PathBuf) -> Result<Description> {
        let described = self.components().await?.describe(read(component).await?).await?;
        if !described.lifecycle {
            return Err(Error::invalid("the component does not export wharf:plugin/lifecycle, which every plugin does"));
        }
        Ok(Description { kinds: described.kinds, imports: described.imports, digest: described.digest })
    }

    async fn load(&self, package: Package) -> Result<Arc<dyn RunningPlugin>> {
        let Package { name, component, digest, schema, settings, permissions, memory } = package;
        let wasm = read(component).await?;
        let host = self.components().await?;
        let digested = move || (format!("sha256:{}", hex::encode(Sha256::digest(&wasm))), wasm);
        let (found, wasm) = tokio::task::spawn_blocking(digested).await.context("look at a component")?;
        if found != digest {
            return Err(Error::system(format!("the component of plugin {name} has changed: it is {found}, and was {digest}")));
        }
        let grants = permissions.iter().map(|word| word.parse()).collect::<Result<Grants>>()?;
        let limits = Limits { memory, ..Limits::default() };
        let plugin = host.load(wasm::Package { name, wasm, schema, settings, grants, limits }).await?;
        Ok(Arc::new(Component(plugin)))
    }

    async fn connect(&self, name: &str) -> Result<Arc<dyn RunningPlugin>> {
        let (docker, wanted) = (self.docker.clone(), name.to_owned());
        let names = tokio::task::spawn_blocking(move || docker.list()).await.context("look for plugins")?;
        if !names.contains(&wanted) {
            return Err(Error::not_found(format!("plugin {wanted:?} not found")));
        }
        Ok(Arc::new(DockerPlugin { name: wanted, plugins: self.docker.clone() }))
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let (host, root, name) = (self.components.get().cloned(), self.settings.state.clone(), name.to_owned());
        let work = move || host.map_or_else(|| wasm::remove_stored(&root, &name), |host| host.remove(&name));
        tokio::task::spawn_blocking(work).await.context("remove what a plugin stored")?
    }

    async fn retain(&self, digests: &[String]) -> Result<()> {
        let (cache, digests) = (self.settings.cache.clone(), digests.to_vec());
        tokio::task::spawn_blocking(move || wasm::retain(&cache, &digests)).await.context("remove compiled code")?
    }

    async fn greet(&self, served: Served, patience: Duration) -> Result<Arc<dyn RunningPlugin>> {
        Ok(Arc::new(Process(legacy::greet(served, patience, Timeouts::default()).await?)))
    }
}

async fn read(component: PathBuf) -> Result<Vec<u8>> {
    let work = move || {
        let length = std::fs::metadata(&component).context(component.display())?.len();
        if length > MAX_COMPONENT {
            return Err(Error::invalid(format!("{} has {length} bytes, more than {MAX_COMPONENT}", component.display())));
        }
        std::fs::read(&component).context(component.display())
    };
    tokio::task::spawn_blocking(work).await.context("read the component")?
}

struct Component(wasm::Plugin);

#[async_trait]
impl RunningPlugin for Component {
    fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        self.0.authorizer()
    }
    fn log_driver(&self) -> Option<Arc<dyn LogDriver>> {
        self.0.log_driver()
    }
    fn log_transform(&self) -> Option<Arc<dyn LogTransform>> {
        self.0.log_transform()
    }
    fn volume_driver(&self) -> Option<Arc<dyn VolumeDriver>> {
        self.0.volume_driver()
    }
    fn metrics_sink(&self) -> Option<Arc<dyn MetricsSink>> {
        self.0.metrics_sink()
    }
    fn ipam_driver(&self) -> Option<Arc<dyn IpamDriver>> {
        self.0.ipam_driver()
    }
    fn health(&self) -> Health {
        self.0.health()
    }
    fn watch(&self, told: HealthWatch) {
        self.0.watch(told);
    }
    fn log(&self) -> Vec<String> {
        self.0.log()
    }
    fn calls(&self) -> Vec<(&'static str, Calls)> {
        self.0.statistics()
    }
    fn memory(&self) -> Option<u64> {
        Some(self.0.memory())
    }
    fn series(&self) -> (Vec<Series>, u64) {
        self.0.series()
    }
    async fn reload(&self, settings: Value) -> Result<()> {
        self.0.reload(settings).await
    }
    async fn stop(&self) {
        self.0.stop().await;
    }
}

/// One of Docker's own, which is activated when it is first used.
struct DockerPlugin {
    name: String,
    plugins: Arc<Plugins>,
}

#[async_trait]
impl RunningPlugin for DockerPlugin {
    fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        Some(self.plugins.authorizer(&self.name))
    }
    fn health(&self) -> Health {
        self.plugins.health(&self.name)
    }
    fn watch(&self, told: HealthWatch) {
        self.plugins.watch(&self.name, told);
    }
    fn log(&self) -> Vec<String> {
        Vec::new()
    }
    fn calls(&self) -> Vec<(&'static str, Calls)> {
        self.plugins.calls(&self.name)
    }
    fn memory(&self) -> Option<u64> {
        None
    }
    fn series(&self) -> (Vec<Series>, u64) {
        (Vec::new(), 0)
    }
    async fn reload(&self, _: Value) -> Result<()> {
        Err(Error::not_implemented(format!("plugin {} has no settings here", self.name)))
    }
    async fn stop(&self) {}
}

/// A process that the engine runs, which has answered.
struct Process(LegacyPlugin);

#[async_trait]
impl RunningPlugin for Process {
    fn authorizer(&self) -> Option<Arc<dyn Authorizer>> {
        self.0.authorizer().ok()
    }
    fn health(&self) -> Health {
        self.0.health()
    }
    fn watch(&self, told: HealthWatch) {
        self.0.watch(told);
    }
    fn log(&self) -> Vec<String> {
        Vec::new()
    }
    fn calls(&self) -> Vec<(&'static str, Calls)> {
        self.0.statistics()
    }
    fn memory(&self) -> Option<u64> {
        None
    }
    fn series(&self) -> (Vec<Series>, u64) {
        (Vec::new(), 0)
    }
    async fn reload(&self, _: Value) -> Result<()> {
        Err(Error::not_implemented(format!("plugin {} reads its settings when it starts", self.0.name())))
    }
    async fn stop(&self) {}
}
