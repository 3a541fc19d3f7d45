//! Docker Engine API wire types: what clients send and what they read, field for field as Go prints it.
//!
//! Not here: how a shape differs between API versions (crate `wharf-api`) and what a value means (crate `wharf-engine`).
//! Reading accepts `null` wherever Go does (it means the zero value); writing keeps Docker's field order and its nulls.
//! Start with [`container`].

#[macro_use]
mod wire;
pub mod auth;
pub mod container;
pub mod event;
pub mod exec;
pub mod image;
pub mod inspect;
pub mod mount;
pub mod network;
pub mod plugin;
pub mod stats;
pub mod summary;
pub mod system;
mod version;

pub use version::{ApiVersion, MAX_API_VERSION, MIN_API_VERSION};
pub use wire::nullable;
