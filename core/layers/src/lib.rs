//! Unpacked layers and the root file systems made of them.
//!
//! A *layer* is the content of one layer tar, named by its chain id. A *rw layer* belongs to one container and lies on top of a stack
//! of layers. [`Layers`] keeps the books; how layers become a directory tree is the business of a snapshotter (`overlay2` or `vfs`);
//! [`apply`] turns a tar into files without trusting it. Nothing here knows of images or registries, and everything blocks.
//! Start with [`layers`].

pub mod apply;
pub mod archive;
mod background;
mod backing;
pub mod diff;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod layers;
mod mounts;
mod overlay;
mod pack;
mod snapshotter;
pub mod tar;
mod usage;
mod vfs;
pub mod view;

pub use layers::Layers;
