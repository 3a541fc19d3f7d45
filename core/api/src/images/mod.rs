//! Images.

pub mod create;
pub mod inspect;
pub mod list;
pub mod load;
pub mod remove;
mod select;
pub mod tag;
