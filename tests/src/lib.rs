//! Harness of the end-to-end tests: starts a real daemon, talks to it with real clients, and fails when anything is left behind.
//!
//! It knows no crate of the engine: only the daemon's binary, its flags, its socket and the machine. Therefore the same tests run
//! against dockerd, which proves the tests before they judge Wharf.
//!
//! Start reading at [`Daemon`], then [`Case`] (what a test gets), then `tests/e2e/main.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken expectation is a failed test"
)]

mod case;
mod command;
mod daemon;
mod engine;
pub mod http;
pub mod image;
mod leaks;
mod netns;
pub mod poll;
mod pty;
pub mod suite;
mod sys;

pub use case::Case;
pub use command::{Output, run, run_with_stdin};
pub use daemon::{Daemon, urlencode};
pub use engine::Engine;
pub use leaks::Footprint;
pub use netns::NetNs;
pub use pty::Pty;
