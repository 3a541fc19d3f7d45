//! Runs plugins. [`wasm`] runs WebAssembly components in a sandbox; [`legacy`] speaks the protocol of Docker's own plugins over
//! sockets and into native libraries. Both implement the traits of `wharf-spi`; nobody behind those knows which it has.
//!
//! Not here: where plugins come from and which are enabled.

pub mod legacy;
mod pulse;
mod runner;
pub mod wasm;
mod words;

pub use runner::Runner;
