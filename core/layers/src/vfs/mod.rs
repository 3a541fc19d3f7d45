//! `vfs`: every layer and every rw layer is a full copy. Slow and large, but it works on any file system.
//!
//! A rw layer's directory holds `rootfs`; nothing is ever mounted.

mod copy;

use crate::{apply::Whiteouts, snapshotter::Snapshotter, usage};
use copy::copy_tree;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result, error::Context};

#[derive(Debug)]
pub(crate) struct Vfs;

fn create(to: &Path, from: Option<&Path>) -> Result<()> {
    std::fs::create_dir(to).context(format_args!("create {}", to.display()))?;
    match from {
        Some(from) => copy_tree(from, to).context(format_args!("copy {} to {}", from.display(), to.display())),
        None => Ok(()),
    }
}

impl Snapshotter for Vfs {
    fn name(&self) -> &'static str {
        "vfs"
    }

    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Delete
    }

    fn parents_first(&self) -> bool {
        true
    }

    fn create_layer(&self, content: &Path, parent: Option<&Path>) -> Result<()> {
        create(content, parent)
    }

    fn create_rw(&self, dir: &Path, layers: &[PathBuf]) -> Result<()> {
        create(&dir.join("rootfs"), layers.first().map(PathBuf::as_path))
    }

    fn rw_root(&self, dir: &Path) -> PathBuf {
        dir.join("rootfs")
    }

    fn written(&self, _dir: &Path) -> Option<PathBuf> {
        None
    }

    fn mount(&self, dir: &Path, _layers: &[PathBuf]) -> Result<PathBuf> {
        let root = dir.join("rootfs");
        if root.is_dir() { Ok(root) } else { Err(Error::system(format!("{} is missing", root.display()))) }
    }

    fn unmount(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn is_mounted(&self, _dir: &Path) -> bool {
        false
    }

    fn usage(&self, dir: &Path, layers: &[PathBuf]) -> Result<u64> {
        usage::tree_size(&dir.join("rootfs"), layers.first().map(PathBuf::as_path))
    }

    fn status(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn graph_data(&self, _dir: Option<&Path>, _layers: &[PathBuf]) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
