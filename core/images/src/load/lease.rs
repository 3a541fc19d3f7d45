//! What a load in progress relies on must not be deleted by somebody else meanwhile.

use crate::store::Inner;
use std::sync::{Arc, Mutex, PoisonError};
use wharf_types::Digest;

/// Pins blobs and unpacked layers until it is dropped. Then blobs that no image uses are deleted: those of a failed load, and those
/// of an image that was here already.
#[derive(Debug)]
pub(crate) struct Lease {
    store: Arc<Inner>,
    pinned: Mutex<Vec<Digest>>,
}

impl Lease {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        Self { store, pinned: Mutex::default() }
    }

    /// From here on the blob or layer `digest` stays if it exists.
    pub(crate) fn pin(&self, digest: &Digest) {
        *self.store.change().entry(digest.clone()).or_insert(0) += 1;
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).push(digest.clone());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let pinned = std::mem::take(&mut *self.pinned.lock().unwrap_or_else(PoisonError::into_inner));
        let mut pins = self.store.change();
        for digest in pinned {
            if let Some(count) = pins.get_mut(&digest) {
                *count -= 1;
                if *count == 0 {
                    pins.remove(&digest);
                    self.store.drop_blob_if_unused(&digest, &pins);
                }
            }
        }
    }
}
