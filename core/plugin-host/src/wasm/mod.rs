//! WebAssembly components: a sandbox for plugins.
//!
//! [`WasmHost`] compiles components (`engine`, `cache`) and loads them as [`Plugin`]s. What one may do is decided before it runs:
//! its imports are compared with its [`Grants`] (`permission`), and what was not granted is not linked (`host`). How it is run is
//! decided by one table ([`policy`]): every call has a deadline, every instance a limit of memory (`instance`), calls go to warm
//! instances (`pool`), and a plugin that fails again and again is left alone for a while (`supervise`). `faces` holds what it is to
//! the rest of the engine, one file for each kind: `authz`, `logging`, `transform`, `volume`, `metrics_sink`, `ipam`.
//!
//! Not here: where plugins come from, which are enabled, and who granted what.

mod authz;
mod bindings;
mod cache;
mod context;
mod describe;
mod engine;
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
mod supervise;
mod sys;
mod timers;
mod transform;
mod volume;

#[cfg(test)]
mod tests;

pub use describe::Description;
pub use engine::WasmHost;
pub use grant::{Grant, Grants, OBJECTS};
pub use package::{Package, Settings};
pub use plugin::Plugin;
pub use policy::Limits;
pub use series::{Number, Series};
pub use wharf_spi::plugin::PluginKind as Kind;
