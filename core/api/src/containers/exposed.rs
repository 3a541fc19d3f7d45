//! What a container could do to the host, looked at once: what is judged is what is mounted.

use crate::Cx;
use wharf_api_types::container::HostConfig;
use wharf_engine::containers::{AllowedBind, exposure};
use wharf_spi::authz::{Bind, Exposure};

/// Where binds lead; unknown when nobody judges it.
#[derive(Default)]
pub struct Seen(Option<Vec<Bind>>);

impl Seen {
    /// Looks at the binds of a host configuration, when somebody judges them.
    pub fn of(cx: &Cx, host: &HostConfig) -> Self {
        Self(cx.is_guarded().then(|| exposure::binds(host)))
    }

    /// As authorizers see it.
    pub fn exposure(&self, cx: &Cx, host: &HostConfig) -> Option<Exposure> {
        Some(cx.containers.exposure(host, self.0.clone()?))
    }

    /// Where the binds may lead, once all have agreed.
    pub fn allowed(self) -> Option<Vec<AllowedBind>> {
        Some(self.0?.into_iter().map(AllowedBind::from).collect())
    }
}
