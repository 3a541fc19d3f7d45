//! The Docker Engine API over HTTP.
//!
//! Not here: what a request does (crate `wharf-engine`), sockets and accept loops (crate `wharf-daemon`), the newest wire
//! shapes (crate `wharf-api-types`; how older API versions differ from them is here).
//!
//! Start with [`endpoint`]: every request passes version gate → decode → authorize → execute → encode. [`routes()`] is the
//! table of everything that is served and of everything that is refused by name; one endpoint is one file, for example
//! `containers/rename.rs`.

mod accept;
mod authz;
mod containers;
pub mod contract;
mod cx;
mod detach;
pub mod endpoint;
mod error;
mod execs;
mod facts;
mod filters;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(test)]
mod gate_tests;
mod hangup;
mod hijack;
mod images;
mod normalize;
mod plugins;
mod query;
#[cfg(test)]
mod reference;
mod reply;
mod request;
mod routes;
mod serve;
mod stream;
mod sys;
mod system;
#[cfg(test)]
mod testing;
mod unserved;
mod version;
mod websocket;

pub use cx::{Cx, Settings};
pub use endpoint::{Row, Verb};
pub use facts::Facts;
pub use hangup::Socket;
pub use routes::{app, routes};
pub use serve::{App, serve_connection};
pub use wharf_spi::authz::Caller;
