//! Small images made on the spot, so that the tests need no registry: a busybox root, special files, and archives that attack.
//!
//! [`Layer`] writes a layer's tar, [`Image`] is config and layers, [`Image::docker_archive`] and [`Image::oci_layout`] package it.

mod layer;
mod pack;
mod samples;

pub use layer::Layer;
pub use pack::{Compression, Image};
pub use samples::{basic_archive, busybox, hostile, labelled, special_files};
