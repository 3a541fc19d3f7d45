//! The one engine: its configuration, its clock tick, and where compiled code comes from.

use super::{
    cache::Cache,
    context::Around,
    describe::Description,
    egress::Network,
    package::{Package, Settings},
    plugin::Plugin,
    private,
    stored::Stored,
    ticker::Ticker,
    turns::Turns,
};
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, component::Component};
use wharf_types::{Error, Result, error::Context};

/// Live instances of all plugins together. Each reserves address space, not memory.
pub(super) const INSTANCES: u32 = 256;
/// What one instance may be made of. Components in Python are made of 38 modules; all have one memory and two tables, and a second
/// memory is for those that are composed of two. There is room for [`INSTANCES`] of the largest, so none takes that of another.
const MODULES: u32 = 64;
const MEMORIES: u32 = 2;
const TABLES: u32 = 8;

/// Runs WebAssembly components. One for each process.
#[derive(Clone)]
pub struct WasmHost(Arc<Inner>);

struct Inner {
    engine: Engine,
    cache: Cache,
    settings: Settings,
    around: Around,
    /// Held while something is compiled: one at a time, since each takes memory.
    compiling: tokio::sync::Mutex<()>,
}

impl WasmHost {
    /// Makes the directories (0700) and starts the thread that ticks.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] when a directory cannot be made or is not the engine's own, or when the address space for
    /// instances cannot be reserved.
    pub fn new(settings: Settings) -> Result<Self> {
        let network = Network::new(settings.networks.clone());
        Self::with(settings, network)
    }

    pub(super) fn with(settings: Settings, network: Network) -> Result<Self> {
        let engine = start(&config())?;
        let stored = Stored::open(&settings.state)?;
        let around = Around {
            stored: Arc::new(stored),
            secrets: settings.secrets.clone(),
            network: Arc::new(network),
            turns: Arc::new(Turns::new()),
            facts: Arc::clone(&settings.facts),
            ticker: Arc::new(Ticker::start(&engine)?),
            clock: settings.clock.clone(),
        };
        let cache = Cache::open(&settings.cache, &engine)?;
        Ok(Self(Arc::new(Inner { engine, cache, settings, around, compiling: tokio::sync::Mutex::default() })))
    }

    /// Compiles a component, unless it is in the cache, and looks at what it exports and imports. Nothing of it runs.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when it is not a component that this engine takes.
    pub async fn describe(&self, wasm: Vec<u8>) -> Result<Description> {
        let (component, digest) = self.compile(wasm).await?;
        Ok(Description::of(&component, digest))
    }

    /// Compiles, checks permissions and settings, and starts a first instance.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] for a bad component, settings or limits,
    /// [`wharf_types::ErrorKind::Forbidden`] naming the permissions that are missing,
    /// [`wharf_types::ErrorKind::NotImplemented`] for what this version does not have, and what the start of the plugin answers.
    pub async fn load(&self, mut package: Package) -> Result<Plugin> {
        let compiled = self.compile(std::mem::take(&mut package.wasm)).await;
        let (component, digest) = compiled.map_err(|e| e.context(format_args!("plugin \"{}\"", package.name)))?;
        Plugin::start(&component, Description::of(&component, digest), package, &self.0.around).await
    }

    /// Removes what a plugin of this name stored: its state and its timers. None is loaded. Blocks.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] naming the directory.
    pub fn remove(&self, plugin: &str) -> Result<()> {
        self.0.around.stored.remove(plugin)
    }

    /// Where the operator puts the secrets of a plugin of this name, each a file that only root can read.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when it cannot be a name.
    pub fn secrets(&self, plugin: &str) -> Result<PathBuf> {
        private::path_of(&self.0.settings.secrets, plugin)
    }

    async fn compile(&self, wasm: Vec<u8>) -> Result<(Component, String)> {
        let digested = move || (hex::encode(Sha256::digest(&wasm)), wasm);
        let (digest, wasm) = tokio::task::spawn_blocking(digested).await.context("look at a component")?;
        let named = format!("sha256:{digest}");
        if let Some(component) = self.cached(&digest).await? {
            return Ok((component, named));
        }
        let _compiling = self.0.compiling.lock().await;
        if let Some(component) = self.cached(&digest).await? {
            return Ok((component, named));
        }
        let (inner, wanted) = (Arc::clone(&self.0), digest.clone());
        let begun = tokio::task::spawn_blocking(move || inner.cache.begin(&wanted)).await;
        let (unfinished, code) = begun.context("make room for the code of a component")??;
        self.0.settings.compiler.compile(&self.0.engine, wasm, code).await?;
        tokio::task::spawn_blocking(move || unfinished.finish()).await.context("keep the code of a component")??;
        let inner = Arc::clone(&self.0);
        let made = tokio::task::spawn_blocking(move || inner.cache.made(&inner.engine, &digest)).await.context("load a component")?;
        made.map(|component| (component, named)).map_err(|why| Error::invalid(format!("the compiled component cannot be used: {why}")))
    }

    async fn cached(&self, digest: &str) -> Result<Option<Component>> {
        let (inner, digest) = (Arc::clone(&self.0), digest.to_owned());
        tokio::task::spawn_blocking(move || inner.cache.find(&inner.engine, &digest)).await.context("load a component")
    }
}

fn start(config: &Config) -> Result<Engine> {
    Engine::new(config).map_err(|e| Error::system(format!("start the engine of WebAssembly plugins: {e:#}")))
}

/// An engine whose code fits [`WasmHost`]'s. Nothing runs in it, so it has no place for instances.
pub(super) fn compiling() -> Result<Engine> {
    start(config().allocation_strategy(InstanceAllocationStrategy::OnDemand))
}

fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * MODULES)
        .total_memories(INSTANCES * MEMORIES)
        .total_tables(INSTANCES * TABLES)
        .total_stacks(INSTANCES)
        .max_core_instances_per_component(MODULES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memory_size(usize::try_from(super::policy::MEMORY_MAX).unwrap_or(usize::MAX))
        // What dropped instances leave resident, so that a fresh one needs few page faults: at most 16 × 150 KiB.
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(8 << 10)
        .async_stack_keep_resident(16 << 10);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        .wasm_component_model(true);
    config
}
