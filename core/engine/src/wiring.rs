//! Adapters between the crates below: each is told what it needs and knows nothing of the others.

use std::io::Read;
use wharf_images::LayerApplier;
use wharf_layers::Layers;
use wharf_types::{Digest, Result};

/// The layer store, as loading images needs it.
pub struct LayerStore<'a>(pub &'a Layers);

impl LayerApplier for LayerStore<'_> {
    fn has(&self, chain: &Digest) -> bool {
        self.0.has(chain)
    }
    fn apply(&self, parent: Option<&Digest>, chain: &Digest, diff_id: &Digest, tar: &mut dyn Read) -> Result<u64> {
        self.0.apply(parent, chain, diff_id, tar)
    }
    fn parents_first(&self) -> bool {
        self.0.parents_first()
    }
}
