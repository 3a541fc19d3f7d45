//! The one engine: its configuration, its clock tick, and where compiled code comes from.

use super::{
    cache::Cache,
    describe::Description,
    package::{Package, Settings},
    plugin::Plugin,
    stored::Stored,
};
use std::{sync::Arc, thread, time::Duration};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, component::Component};
use wharf_types::{Error, Result, error::Context};

/// How often running code is stopped to look at the time. The slack of every deadline.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Live instances of all plugins together. Each reserves address space, not memory.
pub(super) const INSTANCES: u32 = 256;

/// Runs WebAssembly components. One for each process.
#[derive(Clone)]
pub struct WasmHost(Arc<Inner>);

struct Inner {
    engine: Engine,
    cache: Cache,
    settings: Settings,
    stored: Arc<Stored>,
}

impl WasmHost {
    /// Makes the directories (0700) and starts the thread that ticks.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] when a directory cannot be made or is not the engine's own, or when the address space for
    /// instances cannot be reserved.
    pub fn new(settings: Settings) -> Result<Self> {
        let engine = Engine::new(&config()).map_err(|e| Error::system(format!("start the engine of WebAssembly plugins: {e:#}")))?;
        super::private::directory(&settings.state)?;
        let cache = Cache::open(&settings.cache, &engine)?;
        tick(&engine)?;
        let stored = Arc::new(Stored::new(settings.state.clone()));
        Ok(Self(Arc::new(Inner { engine, cache, settings, stored })))
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
        let (component, digest) = self.compile(std::mem::take(&mut package.wasm)).await?;
        Plugin::start(&component, Description::of(&component, digest), package, self.0.stored.clone()).await
    }

    /// Removes the compiled code of a component that is not needed any more.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] naming the file.
    pub fn forget(&self, digest: &str) -> Result<()> {
        self.0.cache.remove(digest)
    }

    /// Removes what a plugin stored: its state and its timers. It must not be loaded.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] naming the directory.
    pub fn remove_state(&self, name: &str) -> Result<()> {
        let path = super::private::path_of(&self.0.settings.state, name)?;
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(format_args!("remove {}", path.display())),
            _ => Ok(()),
        }
    }

    async fn compile(&self, wasm: Vec<u8>) -> Result<(Component, String)> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.cache.component(&inner.engine, &wasm)).await.context("compile a plugin")?
    }
}

fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 8)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 4)
        .total_stacks(INSTANCES)
        // Components of other languages than Rust are made of many modules.
        .max_core_instances_per_component(64)
        .max_tables_per_component(64)
        .max_tables_per_module(8)
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

fn tick(engine: &Engine) -> Result<()> {
    let engine = engine.weak();
    let run = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new().name("plugin-tick".into()).spawn(run).map(drop).context("start the thread that ticks for plugins")
}
