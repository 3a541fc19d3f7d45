//! What the engine offers, one module for each interface of `wharf:host`: its functions as they are, and what makes them handy.
//!
//! What a plugin calls of these are its permissions, but for [`config`], [`log`], [`clock`] and [`random`], which everybody has. Only
//! inside of the engine can these functions be called.

use crate::bindings::wharf::host as raw;

pub mod clock;
pub mod config;
pub mod events;
pub mod files;
pub mod http;
pub mod log;
pub mod sockets;
pub mod state;
pub mod timers;

pub use raw::{metrics, objects, random, secrets};
