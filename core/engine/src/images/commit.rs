//! Images of containers.

use super::Images;
use crate::wiring::LayerStore;
use std::{io::Write, sync::Arc};
use wharf_images::{CommitOptions, Image};
use wharf_types::Result;

impl Images {
    /// Makes an image of another one and the layer that `changes` writes. Blocks.
    pub(crate) fn commit(&self, options: CommitOptions, changes: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Arc<Image>> {
        let tagged = options.name.as_ref().map(|name| name.reference.to_string());
        let image = self.store.commit(options, changes, &LayerStore(&self.layers)).inspect_err(|_| {
            if let Err(e) = self.release(&self.layers.list()) {
                tracing::warn!(error = %e, "layers of a failed commit left for the next start");
            }
        })?;
        if let Some(reference) = tagged {
            self.event("tag", image.id.as_str(), &reference);
        }
        Ok(image)
    }
}
