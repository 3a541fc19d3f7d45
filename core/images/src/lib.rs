//! Images: their blobs as they came (compressed), their documents and references, `load` and `import`.
//!
//! On disk an image is one document (`images/<hex>.json`) that names a manifest blob; the manifest names the config and the layers,
//! the image's id is the config's digest, and `references.json` says which name means which image. Everything here blocks and knows
//! nothing of mounts: unpacked layers are behind [`LayerApplier`]. Start with [`store`], then [`load`].

pub mod blobs;
pub mod changes;
pub mod commit;
pub mod compress;
pub mod config;
pub mod history;
pub mod image;
pub mod import;
pub mod load;
pub mod manifest;
pub mod platform;
pub mod remove;
pub mod save;
pub mod store;
mod words;

pub use commit::CommitOptions;
pub use config::{Healthcheck, History, ImageConfig, RootFs, RunConfig};
pub use history::Step;
pub use image::{Image, ImageLayer};
pub use import::ImportOptions;
pub use load::{LayerApplier, LoadProgress, Loaded, MayName, Naming};
pub use platform::Platform;
pub use remove::{DeleteEvent, Deleted, Usage};
pub use save::Saved;
pub use store::{ImageStore, NewName, no_such_image};
