//! The extension traits. A built-in driver, a WebAssembly component and one of Docker's own plugins implement the same
//! trait; callers cannot tell which they have.
//!
//! Not here: any implementation. Start with [`authz`]; the other kinds are alike: [`logging`], [`volume`], [`metrics`], [`ipam`].
//! [`plugin`] is how the engine gets at those that are not compiled in.

pub mod authz;
pub mod facts;
pub mod ipam;
pub mod logging;
pub mod metrics;
pub mod plugin;
pub mod secret;
pub mod volume;

use authz::{Authorizer, AuthzRequest, Object};
use std::sync::Arc;

/// The one look-up of extensions. The engine and the API hold it; the daemon decides what is behind it.
pub trait Extensions: Send + Sync {
    /// The authorization chain in its configured order: an immutable snapshot, swapped as a whole when it changes.
    fn authorizers(&self) -> Arc<[Arc<dyn Authorizer>]>;

    /// A request was answered as if `_object` did not exist, because its sender may not see it.
    fn hidden(&self, _rq: &AuthzRequest, _object: &Object) {}
}

/// No extensions at all: an empty authorization chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExtensions;

impl Extensions for NoExtensions {
    fn authorizers(&self) -> Arc<[Arc<dyn Authorizer>]> {
        Arc::new([])
    }
}
