//! Write plugins for the Wharf container engine.
//!
//! A plugin is a WebAssembly component. It imports what it needs of [`host`], and exports what its kind of plugin does; this crate
//! holds the types of both, generated from the interfaces in `wit/`, whose comments are the reference. Each kind is a module and a
//! feature, with a trait and a macro that exports what implements it. So far there is one: [`authz`].
//!
//! Build with `cargo build --target wasm32-unknown-unknown` and `wasm-component-ld` as the linker; `scripts/wasm-guest.sh` in the
//! engine's repository sets that up. What a plugin imports are its permissions: code that is not called asks for nothing.
//!
//! What a panic says goes to the plugin's log, and the engine drops the instance.

#[cfg(feature = "authz")]
pub mod authz;
#[cfg(all(feature = "getrandom", target_family = "wasm"))]
mod sys;

/// What the engine offers, one module for each interface. Only inside of the engine can these functions be called.
#[cfg(feature = "authz")]
pub mod host {
    pub use crate::authz::bindings::wharf::host::*;
}
