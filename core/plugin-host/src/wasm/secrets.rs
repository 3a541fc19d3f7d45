//! Secrets in the hands of the engine: what handles of `wharf:host/secrets` mean.

use super::context::Cx;
use wasmtime::component::{Linker, Resource, ResourceType};
pub use wharf_spi::secret::Secret;

const INTERFACE: &str = "wharf:host/secrets@0.1.0";

/// Links the type without any way to get a secret, for components that have it in the types of what they export.
pub(super) fn link_type(linker: &mut Linker<Cx>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.resource("secret", ResourceType::host::<Secret>(), |mut cx, handle| {
        cx.data_mut().table.delete(Resource::<Secret>::new_own(handle))?;
        Ok(())
    })
}

/// What a plugin handed over.
pub(super) fn take(cx: &mut Cx, handle: Resource<Secret>) -> Result<Secret, String> {
    cx.table.delete(handle).map_err(|e| format!("a secret that it does not have: {e}"))
}
