//! What a storage driver does, and the choice of one by name.

use crate::{apply::Whiteouts, overlay::Overlay, vfs::Vfs};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result};

/// Makes directory trees of layers. Paths are given: which layers exist and where is not its business.
///
/// `layers` is always the stack of content directories, top first. `dir` is the private directory of one rw layer.
pub(crate) trait Snapshotter: Send + Sync + std::fmt::Debug {
    /// As in `docker info`.
    fn name(&self) -> &'static str;
    /// What layer tars' whiteouts become.
    fn whiteouts(&self) -> Whiteouts;
    /// Whether a layer's content directory is made from its parent's.
    fn parents_first(&self) -> bool;
    /// Makes the content directory of a new layer.
    fn create_layer(&self, content: &Path, parent: Option<&Path>) -> Result<()>;
    /// Fills a new rw layer's directory.
    fn create_rw(&self, dir: &Path, layers: &[PathBuf]) -> Result<()>;
    /// The directory that a container changes: its attributes are those of `/`.
    fn rw_root(&self, dir: &Path) -> PathBuf;
    /// Where only what the container wrote is kept, if that tells every change.
    fn written(&self, dir: &Path) -> Option<PathBuf>;
    /// Makes the root file system visible and says where.
    fn mount(&self, dir: &Path, layers: &[PathBuf]) -> Result<PathBuf>;
    /// Takes it away; nothing to do is no error.
    fn unmount(&self, dir: &Path) -> Result<()>;
    /// Whether it is visible.
    fn is_mounted(&self, dir: &Path) -> bool;
    /// Bytes that the rw layer has beyond its layers.
    fn usage(&self, dir: &Path, layers: &[PathBuf]) -> Result<u64>;
    /// `DriverStatus` of `docker info`.
    fn status(&self) -> Vec<(String, String)>;
    /// `GraphDriver.Data` of inspect; `dir` is `None` for an image.
    fn graph_data(&self, dir: Option<&Path>, layers: &[PathBuf]) -> BTreeMap<String, String>;
}

/// The driver called `name` for the directory `root`.
pub(crate) fn by_name(name: &str, root: &Path) -> Result<Box<dyn Snapshotter>> {
    match name {
        "overlay2" => Ok(Box::new(Overlay::new(root)?)),
        "vfs" => Ok(Box::new(Vfs)),
        _ => Err(Error::invalid(format!("error initializing graphdriver: driver not supported: {name}"))),
    }
}
