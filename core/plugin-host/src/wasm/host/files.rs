//! `wharf:host/files`: see [`crate::wasm::files`].

use super::{super::bindings::host::files as wit, Cx};
use std::sync::Arc;

impl wit::Host for Cx {
    async fn read(&mut self, path: String) -> Result<Vec<u8>, String> {
        let files = Arc::clone(&self.generation.files);
        self.shared.jobs.run(move || files.read(&path).map(|content| content.to_vec())).await?
    }

    async fn stat(&mut self, path: String) -> Result<wit::Meta, String> {
        let files = Arc::clone(&self.generation.files);
        self.shared.jobs.run(move || files.stat(&path).map(|(size, digest)| wit::Meta { size, digest })).await?
    }

    async fn list(&mut self, path: String) -> Result<Vec<String>, String> {
        let files = Arc::clone(&self.generation.files);
        self.shared.jobs.run(move || files.list(&path)).await?
    }
}
