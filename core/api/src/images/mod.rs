//! Images.

pub mod create;
pub mod history;
pub mod inspect;
pub mod list;
pub mod load;
mod platform;
pub mod prune;
pub mod remove;
pub mod save;
mod select;
pub mod tag;
