//! Processes started in running containers.

pub mod create;
pub mod inspect;
pub mod resize;
pub mod start;
