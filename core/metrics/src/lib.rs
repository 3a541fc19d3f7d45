//! What is measured: a [`Histogram`] that costs two atomic additions for each observation, and the text in which Prometheus reads
//! numbers ([`Exposition`]).
//!
//! Not here: a registry. Whoever owns numbers writes them when somebody asks, so nothing is global and nothing is copied before.

mod histogram;
mod text;

pub use histogram::{Distribution, Histogram, SECONDS};
pub use text::{Exposition, Family, Kind};
