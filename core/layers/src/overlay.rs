//! `overlay2`: each layer is its own directory, and the kernel's overlayfs shows them on top of each other.
//!
//! A rw layer's directory holds `upper` (what the container changed), `work` (overlayfs' own) and `merged` (the mount point).

use crate::{apply::Whiteouts, background::Background, backing, mounts, mounts::OverlayMount, snapshotter::Snapshotter, usage};
use rustix::fs::{self, Mode};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result, error::Context};

#[derive(Debug)]
pub(crate) struct Overlay {
    backing: &'static str,
    options: Vec<(&'static str, &'static str)>,
    metacopy: bool,
    redirect: bool,
    /// An empty directory: overlayfs wants a lower layer even for an image without layers.
    empty: PathBuf,
    background: Background,
}

/// Overlayfs' limit (`OVL_MAX_STACK` is 500; Docker stops at 128 layers, so images do too).
const MAX_LAYERS: usize = 500;

impl Overlay {
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let backing = backing::file_system(root)?;
        if backing == "overlayfs" {
            return Err(Error::invalid(
                "'overlay2' is not supported over overlayfs: backing file system is unsupported for this graph driver",
            ));
        }
        if !backing::has_entry_types(root)? {
            return Err(Error::invalid(format!(
                "overlay2: the backing {backing} filesystem is formatted without d_type support, which leads to incorrect behavior"
            )));
        }
        let empty = root.join("empty");
        std::fs::create_dir_all(&empty).context(format_args!("create {}", empty.display()))?;
        // With an index, a lower layer that was copied or restored would be refused.
        let options = if backing::overlay_setting("index") { vec![("index", "off")] } else { Vec::new() };
        let (metacopy, redirect) = (backing::overlay_setting("metacopy"), backing::overlay_setting("redirect_dir"));
        Ok(Self { backing, options, metacopy, redirect, empty, background: Background::default() })
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    fs::mkdir(path, Mode::from_raw_mode(mode)).context(format_args!("create {}", path.display()))
}

impl Snapshotter for Overlay {
    fn name(&self) -> &'static str {
        "overlay2"
    }

    fn whiteouts(&self) -> Whiteouts {
        Whiteouts::Overlay
    }

    fn parents_first(&self) -> bool {
        false
    }

    fn create_layer(&self, content: &Path, _parent: Option<&Path>) -> Result<()> {
        make_dir(content, 0o755)
    }

    fn create_rw(&self, dir: &Path, _layers: &[PathBuf]) -> Result<()> {
        for (name, mode) in [("upper", 0o755), ("work", 0o700), ("merged", 0o700)] {
            make_dir(&dir.join(name), mode)?;
        }
        Ok(())
    }

    fn rw_root(&self, dir: &Path) -> PathBuf {
        dir.join("upper")
    }

    fn written(&self, dir: &Path) -> Option<PathBuf> {
        // With these, files and directories can be elsewhere than their names say.
        (!self.metacopy && !self.redirect).then(|| dir.join("upper"))
    }

    fn mount(&self, dir: &Path, layers: &[PathBuf]) -> Result<PathBuf> {
        let target = dir.join("merged");
        if self.is_mounted(dir) {
            return Ok(target);
        }
        if layers.len() > MAX_LAYERS {
            return Err(Error::invalid(format!("an image may have {MAX_LAYERS} layers, this one has {}", layers.len())));
        }
        // The upper directory must not be part of two overlays at once.
        self.background.wait_for(&target);
        let none = [self.empty.clone()];
        let lowers = if layers.is_empty() { &none[..] } else { layers };
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        let overlay = OverlayMount { target: &target, upper: &upper, work: &work, lowers, options: &self.options };
        overlay.mount().context(format_args!("error creating overlay mount to {}", target.display()))?;
        Ok(target)
    }

    fn unmount(&self, dir: &Path) -> Result<()> {
        let target = dir.join("merged");
        if let Some(handle) = mounts::detach(&target).context(format_args!("unmount {}", target.display()))? {
            self.background.run(target, move || drop(handle));
        }
        Ok(())
    }

    fn is_mounted(&self, dir: &Path) -> bool {
        backing::is_mount_point(&dir.join("merged"))
    }

    fn usage(&self, dir: &Path, _layers: &[PathBuf]) -> Result<u64> {
        usage::tree_size(&dir.join("upper"), None)
    }

    fn status(&self) -> Vec<(String, String)> {
        let lines = [
            ("Backing Filesystem", self.backing.to_owned()),
            ("Supports d_type", true.to_string()),
            ("Using metacopy", self.metacopy.to_string()),
            ("Native Overlay Diff", (!self.metacopy && !self.redirect).to_string()),
            ("userxattr", false.to_string()),
        ];
        lines.map(|(key, value)| (key.to_owned(), value)).to_vec()
    }

    fn graph_data(&self, dir: Option<&Path>, layers: &[PathBuf]) -> BTreeMap<String, String> {
        let text = |p: &Path| p.display().to_string();
        let mut data = BTreeMap::new();
        let lowers = match (dir, layers) {
            (Some(dir), _) => {
                data.insert("UpperDir".to_owned(), text(&dir.join("upper")));
                data.insert("WorkDir".to_owned(), text(&dir.join("work")));
                data.insert("MergedDir".to_owned(), text(&dir.join("merged")));
                layers
            }
            (None, [top, rest @ ..]) => {
                data.insert("UpperDir".to_owned(), text(top));
                rest
            }
            (None, []) => return data,
        };
        if !lowers.is_empty() {
            data.insert("LowerDir".to_owned(), lowers.iter().map(|l| text(l)).collect::<Vec<_>>().join(":"));
        }
        data
    }
}
