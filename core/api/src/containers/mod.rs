//! Containers. One endpoint is one file (start, stop and restart share one); the others are the shapes they answer with.

pub mod attach;
pub mod create;
mod defaults;
pub mod inspect;
pub mod kill;
pub mod lifecycle;
pub mod list;
pub mod logs;
mod networks;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod resize;
mod select;
mod status;
mod summary;
pub mod top;
pub mod wait;
