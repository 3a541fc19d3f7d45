//! A host configuration that comes with the start, as clients before API 1.24 send it.

use super::Actor;
use crate::containers::{blocking, create};
use wharf_api_types::container::HostConfig;
use wharf_types::Result;

impl Actor {
    /// Starts the container; `host` takes the place of what it was created with, and stays after the start, whatever becomes of it.
    pub(super) async fn start_with(&mut self, host: Option<Box<HostConfig>>) -> Result<()> {
        if let Some(host) = host {
            self.can_start()?;
            tracing::warn!(container = ?self.spec.id, "a host configuration in the start is deprecated: it belongs into the create");
            let (shared, spec) = (self.shared.clone(), self.spec.clone());
            let adopted = blocking(move || create::adopt(&shared, &spec, *host)).await?;
            self.store(adopted).await?;
            self.publish();
        }
        self.start().await
    }
}
