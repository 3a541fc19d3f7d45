//! The daemon: configuration, listeners, the composition of the engine, boot and drain.
//!
//! Nothing here decides what a container is; that is `wharf-engine`. The binary is `main.rs`; read [`config`] for what can be
//! set, [`daemon`] for what is built from it, [`check`] for what the host must offer.

mod boot;
pub mod check;
pub mod config;
pub mod daemon;
mod dump;
pub mod listen;
mod manager;
mod metrics;
pub mod pidfile;
mod reload;
pub mod shim_path;
pub mod signals;
pub mod trace;

pub use boot::COMPILE_COMPONENT;
/// The commit that this was built from.
const COMMIT: &str = match option_env!("WHARF_GIT_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
