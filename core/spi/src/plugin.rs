//! Running plugins: what the engine knows of the code behind one. Who implements this decides nothing about which plugins there are.

use crate::{
    authz::Authorizer,
    ipam::IpamDriver,
    logging::{LogDriver, LogTransform},
    metrics::MetricsSink,
    volume::VolumeDriver,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc, time::Duration};
use wharf_metrics::Distribution;
use wharf_types::Result;

/// The kinds of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// Decides who may do what.
    Authz,
    /// Takes the output of containers somewhere.
    Logging,
    /// Changes the output of containers on its way.
    LogTransform,
    /// Says where the files of volumes are.
    Volume,
    /// Takes the engine's numbers somewhere.
    Metrics,
    /// Gives addresses.
    Ipam,
}

/// What a component says of itself by its types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What it exports.
    pub kinds: Vec<PluginKind>,
    /// What it imports, such as `wharf:host/state@0.1.0`.
    pub imports: Vec<String>,
    /// `sha256:…` of the file.
    pub digest: String,
}

/// Everything that is needed to run a component.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name, for messages and for what it keeps.
    pub name: String,
    /// The file.
    pub component: PathBuf,
    /// The digest that it must have.
    pub digest: String,
    /// The JSON Schema of its settings, when it ships one.
    pub schema: Option<Value>,
    /// Its settings.
    pub settings: Value,
    /// Its permissions in words: `state`, `files:/etc/policies`, ….
    pub permissions: Vec<String>,
    /// Bytes of memory for each instance; the kind's default without it.
    pub memory: Option<u64>,
}

/// A process that was started to serve Docker's plugin protocol.
#[derive(Clone, Debug)]
pub struct Served {
    /// The plugin's name, for messages.
    pub name: String,
    /// The unix socket that it is to listen on, in a directory that it may write to.
    pub socket: PathBuf,
    /// What it is by its configuration: `authz`, `volumedriver`, ….
    pub capabilities: Vec<String>,
}

/// In which state a plugin is; always in one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It answers.
    #[default]
    Healthy,
    /// Its last call had no answer.
    Degraded,
    /// It is left alone for a while.
    Quarantined,
    /// Its process ended, and is started again.
    Restarting,
    /// It is not to run.
    Disabled,
    /// It is to run, and could not be started.
    Failed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Healthy, Self::Degraded, Self::Quarantined, Self::Restarting, Self::Disabled, Self::Failed];

    /// As operators read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Quarantined => "quarantined",
            Self::Restarting => "restarting",
            Self::Disabled => "disabled",
            Self::Failed => "failed",
        }
    }
}

/// How a plugin is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its state.
    pub status: Status,
    /// Why it is not healthy; empty when it is.
    pub reason: String,
    /// Failures in a row.
    pub failures: u64,
}

/// How often a function was called, and how it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// How long each call took, by the bounds of [`LATENCY`].
    pub seconds: Distribution,
    /// Calls that the plugin answered with an error.
    pub errors: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Calls that ran out of time.
    pub timeouts: u64,
}

impl Default for Calls {
    fn default() -> Self {
        Self { seconds: Distribution::new(&LATENCY), errors: 0, traps: 0, timeouts: 0 }
    }
}

/// Upper bounds in seconds for calls of plugins.
pub const LATENCY: [f64; 10] = [0.000_005, 0.000_02, 0.000_1, 0.000_5, 0.002, 0.01, 0.05, 0.25, 1.0, 5.0];

/// A number that a plugin reports of itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// Only grows.
    Counter(f64),
    /// Goes both ways.
    Gauge(f64),
    /// Seconds, by the bounds of [`LATENCY`].
    Histogram(Distribution),
}

/// What a plugin reported for one name and one set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Letters, digits, `_`.
    pub name: String,
    /// By name; never `plugin` or `le`.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub number: Number,
}

/// Is told of every change of [`Health::status`], in their order; what it does must be quick.
pub type HealthWatch = Arc<dyn Fn(&Health) + Send + Sync>;

/// A plugin that runs.
#[async_trait]
pub trait RunningPlugin: Send + Sync {
    /// Its authorizer, when it is one.
    fn authorizer(&self) -> Option<Arc<dyn Authorizer>>;
    /// Its log driver, when it is one.
    fn log_driver(&self) -> Option<Arc<dyn LogDriver>> {
        None
    }
    /// Its transformation of logs, when it is one.
    fn log_transform(&self) -> Option<Arc<dyn LogTransform>> {
        None
    }
    /// Its volume driver, when it is one.
    fn volume_driver(&self) -> Option<Arc<dyn VolumeDriver>> {
        None
    }
    /// Its metrics sink, when it is one.
    fn metrics_sink(&self) -> Option<Arc<dyn MetricsSink>> {
        None
    }
    /// Its IPAM driver, when it is one.
    fn ipam_driver(&self) -> Option<Arc<dyn IpamDriver>> {
        None
    }
    /// How it is.
    fn health(&self) -> Health;
    /// Has `told` hear of its health from now on, instead of whoever did.
    fn watch(&self, told: HealthWatch);
    /// Its last log lines, oldest first.
    fn log(&self) -> Vec<String>;
    /// Its calls by function.
    fn calls(&self) -> Vec<(&'static str, Calls)>;
    /// Bytes of memory that its instances have together; none of what is a process of its own.
    fn memory(&self) -> Option<u64>;
    /// Numbers that it reports, ordered by name, and how many reports were dropped.
    fn series(&self) -> (Vec<Series>, u64);
    /// Gives it other settings; it keeps its old ones when it cannot take them.
    async fn reload(&self, settings: Value) -> Result<()>;
    /// Ends it: calls that are under way are finished, new ones fail.
    async fn stop(&self);
}

/// Runs plugins.
#[async_trait]
pub trait PluginRunner: Send + Sync {
    /// Looks at a component and prepares its code for fast loading.
    ///
    /// # Errors
    /// 400 for what is no component or imports what no plugin can have.
    async fn describe(&self, component: PathBuf) -> Result<Description>;
    /// Starts a component.
    ///
    /// # Errors
    /// 400 naming the permissions that are missing, and whatever its start says.
    async fn load(&self, package: Package) -> Result<Arc<dyn RunningPlugin>>;
    /// Finds one of Docker's own plugins by its name. It is spoken to on first use.
    ///
    /// # Errors
    /// 404 when there is none.
    async fn connect(&self, name: &str) -> Result<Arc<dyn RunningPlugin>>;
    /// Removes what a plugin of this name stored. It does not run.
    ///
    /// # Errors
    /// 500 naming what cannot be removed.
    async fn remove(&self, _name: &str) -> Result<()> {
        Ok(())
    }
    /// Removes what was prepared for components, but for these digests. Nothing is being loaded.
    ///
    /// # Errors
    /// 500 naming what cannot be removed.
    async fn retain(&self, _digests: &[String]) -> Result<()> {
        Ok(())
    }
    /// Speaks to a process of the engine that is just starting: it is tried until it answers.
    ///
    /// # Errors
    /// When it does not within `patience`.
    async fn greet(&self, served: Served, patience: Duration) -> Result<Arc<dyn RunningPlugin>>;
}
