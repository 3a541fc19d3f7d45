//! Removing images that nobody needs.

use super::{Images, RemoveImage, Removed};
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use wharf_images::{Image, Usage};
use wharf_types::{Digest, Error, ErrorKind, Result};

/// Answer of prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunedImages {
    /// What is gone.
    pub removed: Vec<Removed>,
    /// Bytes of layers freed.
    pub reclaimed: u64,
}

struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Images {
    /// Removes the images that no container uses and `select` accepts: those without a tag, or (unless `dangling_only`) all. An
    /// untagged image that others stand on goes with the last of these.
    ///
    /// # Errors
    /// 409 while another prune runs; images that cannot be removed are skipped.
    pub async fn prune(&self, dangling_only: bool, select: impl Fn(&Image) -> bool + Send) -> Result<PrunedImages> {
        if self.pruning.swap(true, Ordering::AcqRel) {
            return Err(Error::conflict("a prune operation is already running"));
        }
        let _running = Running(&self.pruning);
        let images = self.list();
        let before = layer_sizes(&images);
        let parents: HashSet<&Digest> = images.iter().filter_map(|i| i.parent.as_ref()).collect();
        let mut pruned = PrunedImages::default();
        for image in &images {
            let named = !image.tags.is_empty() || !image.digests.is_empty();
            let spared = if named { dangling_only && !image.tags.is_empty() } else { parents.contains(&image.id) };
            if spared || !select(image) || self.usage(&image.id, None) != Usage::None {
                continue;
            }
            let mut names: Vec<String> = image.tags.iter().chain(&image.digests).map(ToString::to_string).collect();
            if names.is_empty() {
                names.push(image.id.hex().to_owned());
            }
            for name in names {
                match self.remove(&name, RemoveImage::default()).await {
                    Ok(removed) => pruned.removed.extend(removed),
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => {}
                    Err(e) => tracing::warn!(image = %image.id, error = %e, "not pruned"),
                }
            }
        }
        let after = layer_sizes(&self.list());
        pruned.reclaimed = before.iter().filter(|(chain, _)| !after.contains_key(chain)).map(|(_, size)| size).sum();
        let attributes = [("reclaimed".to_owned(), pruned.reclaimed.to_string())].into();
        self.events.publish("image", "prune", "", attributes);
        Ok(pruned)
    }
}

/// The length of the files of every layer of these images, by chain id.
pub fn layer_sizes<'a>(images: impl IntoIterator<Item = &'a Arc<Image>>) -> HashMap<Digest, u64> {
    images.into_iter().flat_map(|i| i.chain_ids().into_iter().zip(i.layers.iter().map(|l| l.size))).collect()
}
