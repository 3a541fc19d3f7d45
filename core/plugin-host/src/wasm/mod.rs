//! WebAssembly components: a sandbox for plugins.
//!
//! [`WasmHost`] compiles components (`engine`, `compile`, `cache`) and loads them as [`Plugin`]s. What one may do is decided before it runs:
//! its imports are compared with its [`Grants`] (`permission`), and what was not granted is not linked (`host`); what it
//! may connect to is decided again for every connection (`egress`). How it is run is
//! decided by one table ([`policy`]): every call has a deadline, every instance a limit of memory (`instance`), calls go to warm
//! instances (`pool`), those that compute for long leave threads to others (`turns`), and a plugin that fails again and again is left
//! alone for a while (`supervise`). `faces` holds what it is to
//! the rest of the engine, one file for each kind: `authz`, `logging`, `transform`, `volume`, `metrics_sink`, `ipam`.
//!
//! Not here: where plugins come from, which are enabled, and who granted what.

mod authz;
mod bindings;
mod cache;
mod clock;
mod compile;
mod context;
mod describe;
mod egress;
mod engine;
mod exchange;
mod faces;
mod failure;
mod files;
mod grant;
mod host;
mod instance;
mod ipam;
mod journal;
mod keeper;
mod logging;
mod metrics_sink;
mod package;
mod permission;
mod plugin;
pub mod policy;
mod pool;
mod private;
mod secrets;
mod series;
mod state;
mod statistics;
mod stored;
mod supervise;
mod sys;
mod ticker;
mod timers;
mod tls;
mod transform;
mod turns;
mod volume;

#[cfg(test)]
mod tests;

pub(crate) use cache::retain;
pub use clock::{Clock, ManualClock};
pub use compile::{CompileLimits, Compiler, compile_component};
pub use describe::Description;
pub use engine::WasmHost;
pub use grant::{Grant, Grants, OBJECTS};
pub use package::{Facts, Package, Settings};
pub use plugin::Plugin;
pub use policy::Limits;
pub(crate) use stored::remove as remove_stored;
pub use wharf_spi::plugin::{Number, PluginKind as Kind, Series};
