//! A plugin as a [`LogTransform`].

use super::{
    bindings::log_transform as wit,
    pool::{Pool, ask, export},
};
use async_trait::async_trait;
use wharf_spi::{
    logging::{LogTransform, batch},
    plugin::PluginKind as Kind,
};
use wharf_types::Result;

pub(super) struct Transform;

export!(Transform, Kind::LogTransform);

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
