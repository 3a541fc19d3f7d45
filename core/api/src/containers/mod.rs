//! Containers. One endpoint is one file (start, stop and restart share one); the others are the shapes they answer with.

pub mod archive;
pub mod attach;
pub mod attach_ws;
pub mod changes;
pub mod commit;
pub mod create;

pub(crate) mod defaults;
pub mod export;
mod exposed;
pub mod inspect;
pub mod kill;
pub mod lifecycle;
pub mod list;
pub mod logs;
mod narrow;
mod networks;
pub mod pause;
pub mod prune;
pub mod remove;
pub mod rename;
pub mod resize;
pub mod select;
pub mod stats;
mod status;
mod summary;
pub mod top;
pub mod update;
pub mod wait;
