//! Write plugins for the Wharf container engine.
//!
//! A plugin is a WebAssembly component. It imports what it needs of [`host`], and exports what its kind of plugin does. Every plugin
//! is a type that implements [`Plugin`], and the trait of its kind:
//!
//! | kind | trait | macro | `config.json` declares |
//! |---|---|---|---|
//! | [authorization](authz) | [`authz::Authorizer`] | [`export_authorizer!`] | `docker.authz/1.0` |
//! | [log driver](logging) | [`logging::LogDriver`] | [`export_log_driver!`] | `docker.logdriver/1.0` |
//! | [transformation of logs](logging) | [`logging::LogTransform`] | [`export_log_transform!`] | `docker.logdriver/1.0` |
//! | [volume driver](volume) | [`volume::VolumeDriver`] | [`export_volume_driver!`] | `docker.volumedriver/1.0` |
//! | [metrics sink](metrics_sink) | [`metrics_sink::MetricsSink`] | [`export_metrics_sink!`] | `docker.metricscollector/1.0` |
//! | [IPAM driver](ipam) | [`ipam::IpamDriver`] | [`export_ipam_driver!`] | `docker.ipamdriver/1.0` |
//!
//! One component may be of several kinds: [`export_plugin!`].
//!
//! Build with `cargo build --target wasm32-unknown-unknown` and `wasm-component-ld` as the linker; `scripts/wasm-guest.sh` in the
//! engine's repository sets that up. What a plugin imports are its permissions: code that is not called asks for nothing.
//!
//! What a panic says goes to the plugin's log, and the engine drops the instance. The interfaces in `wit/` are the reference: their
//! comments say more than is repeated here.

pub mod authz;
#[doc(hidden)]
pub mod bindings;
pub mod host;
pub mod ipam;
pub mod logging;
pub mod metrics_sink;
#[doc(hidden)]
pub mod plugin;
#[cfg(all(feature = "getrandom", target_family = "wasm"))]
mod sys;
pub mod volume;

pub use plugin::Plugin;
