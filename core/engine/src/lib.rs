//! Use cases: what the API does, without HTTP. Containers, execs, images, system and events.
//!
//! Not here: routing, JSON shapes per API version (crate `wharf-api`), configuration files (crate `wharf-daemon`), plugin
//! hosts. Start with [`containers`]: a container is a task that owns its record (`containers/actor.rs`), and starting one
//! is a list of steps with undo (`containers/launch.rs`).

pub mod config;
pub mod containers;
pub mod events;
pub mod execs;
pub mod frames;
pub mod images;
mod judged;
pub mod metrics;
mod pipe;
pub mod plugins;
pub mod registries;
pub mod stats;
pub mod system;
mod wiring;

use arc_swap::ArcSwap;
use containers::{SPEC_FILE, Shared};
use std::sync::{Arc, atomic::AtomicBool};
use wharf_images::ImageStore;
use wharf_layers::Layers;
use wharf_network::BridgeNetwork;
use wharf_runtime::task::ShimHost;
use wharf_store::{DocDir, Durability, Trash};
use wharf_types::Result;

pub use config::{EngineConfig, Reloadable};
pub use containers::Containers;
pub use events::Events;
pub use execs::Execs;
pub use images::Images;
pub use judged::Judged;
pub use pipe::ByteStream;
pub use plugins::Plugins;
pub use registries::Registries;
pub use system::System;

/// A bag of handles: each service is cheap to clone and built from exactly what it uses.
#[derive(Clone)]
pub struct Engine {
    /// Life cycle of containers.
    pub containers: Containers,
    /// Processes started in running containers.
    pub execs: Execs,
    /// Images and their layers.
    pub images: Images,
    /// Managed plugins.
    pub plugins: Plugins,
    /// What is done with registries.
    pub registries: Registries,
    /// Facts about the host and the engine.
    pub system: System,
    /// What happened.
    pub events: Events,
    metrics: Arc<metrics::Metrics>,
}

/// What the engine is put together from; the daemon makes these.
pub struct Parts {
    /// Settings.
    pub config: EngineConfig,
    /// Settings that may change later.
    pub live: Reloadable,
    /// What the host can do, for OCI specs.
    pub spec_host: wharf_runtime::spec::HostFacts,
    /// What the host is, for `/info`.
    pub facts: system::HostFacts,
    /// Images.
    pub images: ImageStore,
    /// Root file systems.
    pub layers: Arc<Layers>,
    /// The default bridge; none when it is switched off.
    pub network: Option<BridgeNetwork>,
    /// Monitors.
    pub shims: ShimHost,
    /// Registries.
    pub registry: wharf_registry::Client,
    /// Whoever runs plugins.
    pub runner: Arc<dyn wharf_spi::plugin::PluginRunner>,
    /// Plugins that are named with their directories.
    pub plugins: Vec<plugins::PlacedPlugin>,
}

impl Engine {
    /// Wires the services and brings the recorded containers back.
    ///
    /// # Errors
    /// When the data root cannot be read or written.
    pub async fn boot(parts: Parts) -> Result<Self> {
        let Parts { config, live, spec_host, facts, images, layers, network, shims, registry, runner, plugins: placed } = parts;
        let trash = Trash::open(&config.data_root.join("trash"))?;
        trash.empty()?;
        let (events, index) = (Events::default(), Arc::new(containers::Index::default()));
        let metrics = Arc::<metrics::Metrics>::default();
        let images = Images::new(images, layers.clone(), index.clone(), events.clone(), metrics.clone());
        let processes = plugins::Processes::new(&config, &live, &spec_host, &shims, runner.clone())?;
        let plugins = Plugins::open(&config.data_root, trash.clone(), runner, processes, events.clone())?;
        plugins.boot(placed).await;
        let shared = Arc::new(Shared {
            specs: DocDir::dirs(&config.data_root.join("containers"), SPEC_FILE, trash, Durability::Synced)?,
            config,
            live: ArcSwap::from_pointee(live),
            host: spec_host,
            layers: layers.clone(),
            network,
            shims,
            events: events.clone(),
            execs: Arc::default(),
            index,
            images: images.clone(),
            metrics: metrics.clone(),
            stopping: AtomicBool::new(false),
        });
        std::fs::create_dir_all(shared.config.exec_root.join("endpoints"))?;
        let containers = Containers::new(shared.clone());
        containers.boot().await?;
        let unused = images.clone();
        containers::blocking(move || unused.release(&layers.list())).await?;
        let execs = Execs::new(shared.clone(), containers.clone());
        let registries = Registries::new(shared.clone(), registry);
        let system = System::new(facts, shared);
        Ok(Self { containers, execs, images, plugins, registries, system, events, metrics })
    }
}
