//! `wharf:host/secrets`: see [`crate::wasm::secrets`].

use super::{
    super::{bindings::host::secrets as wit, grant::Grant, secrets::Secret},
    Cx, keep,
};
use std::sync::Arc;
use wasmtime::component::Resource;

impl wit::Host for Cx {
    async fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Secret>, String>> {
        let shared = Arc::clone(&self.shared);
        let opened = self.shared.jobs.run(move || shared.secrets.open(&name, &shared.grants)).await.flatten();
        Ok(opened.and_then(|secret| keep(self, secret)))
    }
}

impl wit::HostSecret for Cx {
    async fn reveal(&mut self, secret: Resource<Secret>) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let secret = self.handles.get(&secret)?;
        let grant = Grant::Reveal(secret.name.clone());
        Ok(if self.shared.grants.covers(&grant) { Ok(secret.bytes().to_vec()) } else { Err(format!("no permission {grant}")) })
    }

    async fn drop(&mut self, secret: Resource<Secret>) -> wasmtime::Result<()> {
        self.handles.delete(secret)?;
        Ok(())
    }
}
