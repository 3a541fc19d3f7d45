//! A plugin as a [`LogTransform`].

use super::{
    bindings::log_transform as wit,
    context::{Cx, Shared},
    instance::{Instance, NoResult},
    pool::{Export, Pool, ask},
};
use async_trait::async_trait;
use wasmtime::component::InstancePre;
use wharf_spi::{
    logging::{LogTransform, batch},
    plugin::PluginKind as Kind,
};
use wharf_types::Result;

pub(super) struct Transform;

impl Export for Transform {
    const KIND: Kind = Kind::LogTransform;
    type Indices = wit::GuestIndices;
    type Guest = wit::Guest;
    type Said = ();

    fn find(pre: &InstancePre<Cx>) -> wasmtime::Result<Self::Indices> {
        wit::GuestIndices::new(pre)
    }

    fn load(indices: &Self::Indices, instance: &mut Instance) -> wasmtime::Result<Self::Guest> {
        indices.load(&mut instance.store, &instance.raw)
    }

    async fn ask(_: &Self::Guest, _: &mut Instance, _: &Shared) -> Result<(), NoResult> {
        Ok(())
    }
}

#[async_trait]
impl LogTransform for Pool<Transform> {
    fn name(&self) -> &str {
        &self.shared.name
    }

    async fn apply(&self, batch: &[u8]) -> Result<Vec<u8>> {
        ask!(self, LogApply, call_apply(batch), |made, _| match batch::count(&made) {
            Ok(_) => Ok(made),
            Err(e) => Err(e.to_string()),
        })
    }
}
