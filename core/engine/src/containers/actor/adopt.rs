//! A host configuration that comes with the start, as clients before API 1.24 send it.

use super::Actor;
use crate::containers::record::AllowedBind;
use crate::containers::{blocking, create};
use wharf_api_types::container::HostConfig;
use wharf_types::Result;

/// How a container is to be started.
#[derive(Clone, Debug, Default)]
pub struct StartRequest {
    /// What takes the place of its host configuration, which clients before API 1.24 may send; only binds and mounts to other places
    /// stay.
    pub host_config: Option<Box<HostConfig>>,
    /// Where its binds may lead, when somebody was asked: this time, when its restart policy starts it again, and for copies.
    pub allowed_binds: Option<Vec<AllowedBind>>,
}

impl Actor {
    /// Starts the container. A host configuration stays after the start, whatever becomes of it.
    pub(super) async fn start_with(&mut self, rq: StartRequest) -> Result<()> {
        self.can_start()?;
        if let Some(host) = rq.host_config {
            tracing::warn!(container = ?self.spec.id, "a host configuration in the start is deprecated: it belongs into the create");
            let (shared, spec) = (self.shared.clone(), self.spec.clone());
            let adopted = blocking(move || create::adopt(&shared, &spec, *host)).await?;
            self.store(adopted).await?;
        }
        self.state.allowed_binds = rq.allowed_binds;
        self.publish();
        self.start().await
    }
}
