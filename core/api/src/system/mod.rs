//! Facts about the engine, its pulse, and what happens in it.

pub mod auth;
pub mod df;
pub mod events;
pub mod info;
pub mod ping;
pub mod version;
