//! The nouns of Wharf: ids, names, references, signals, time and errors.
//!
//! Nothing here does I/O or knows of async; every other crate may depend on this one and it depends on none.
//! Start with [`error`], then [`id`] and [`reference`].

pub mod error;
pub mod id;
pub mod name;
pub mod reference;
pub mod signal;
pub mod time;

pub use error::{Error, ErrorKind, Result};
pub use id::{ContainerId, Digest, ExecId};
pub use name::ContainerName;
pub use reference::Reference;
pub use signal::Signal;
pub use time::{GoDuration, Timestamp};
