//! What several fuzz targets need: a directory to unpack into with something beside it that nobody may touch ([`Sandbox`]), and
//! archives that are wrong in meaning rather than in form ([`Member`]).

mod member;
mod sandbox;

pub use member::{Member, archive, sum};
pub use sandbox::{CANARY, Sandbox};
