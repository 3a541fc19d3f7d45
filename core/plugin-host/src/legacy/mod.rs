//! The client of Docker's own plugin protocol (v1): JSON documents posted to a socket, or handed to a native library.
//!
//! What is better here than in Docker: every call has a deadline, a plugin that hangs stops costing time, an authorizer sees what
//! will be executed, and anything but a clear permission denies.
//!
//! Not here: how Docker's managed plugins are installed and run (once their process starts, [`greet`] speaks to it), and
//! which plugins the configuration names. Start with [`Plugins`], which finds and activates plugins when they are first used, then
//! [`LegacyPlugin`], one that was activated.

mod address;
mod authz;
mod breaker;
mod discovery;
mod http;
mod managed;
mod native;
mod plugin;
mod plugins;
mod tls;
mod wire;

pub use address::{Address, Endpoint, TlsFiles};
pub use discovery::Discovery;
pub use http::Http;
pub use managed::greet;
pub use native::Native;
pub use plugin::LegacyPlugin;
pub use plugins::Plugins;

use async_trait::async_trait;
use std::{sync::Arc, time::Duration};
use wharf_types::{Error, Result};

/// Carries calls to a plugin. It knows no deadlines: a call that takes too long is dropped by its caller.
#[async_trait]
pub trait Transport: Send + Sync {
    /// One call: the name of a method such as `Plugin.Activate`, a JSON document or nothing; answers the plugin's document.
    ///
    /// # Errors
    /// 503 when the plugin cannot be reached; 500 with the plugin's words for its failure, and when the answer is too large. The
    /// message begins with the method.
    async fn call(&self, method: &str, body: Vec<u8>) -> Result<Vec<u8>>;
}

/// How long plugins may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one call, connecting included. Docker has no such limit.
    pub call: Duration,
    /// For `Plugin.Activate`, once the plugin can be reached: programs still load what they need then.
    pub activation: Duration,
    /// For a plugin to become reachable when it is first used; Docker's number.
    pub patience: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { call: Duration::from_secs(5), activation: Duration::from_secs(10), patience: Duration::from_secs(30) }
    }
}

/// The longest answer that is read, in bytes. A decision takes some dozens, the longest list of volumes not a tenth of this.
const MAX_ANSWER: usize = 1 << 20;

/// Whether native libraries may be loaded into the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NativePlugins {
    /// They are refused.
    #[default]
    Refused,
    /// They are loaded when only root can change them.
    Allowed,
}

/// Makes the transport to an address. Reads certificates and loads libraries, but does not connect yet.
///
/// # Errors
/// 403 for a native library that is not allowed or not safe to load, 400 for certificates that cannot be used.
pub async fn connect(address: &Address, native: NativePlugins) -> Result<Arc<dyn Transport>> {
    match (&address.endpoint, native) {
        (Endpoint::Native(path), NativePlugins::Allowed) => Ok(Arc::new(Native::load(path.clone()).await?)),
        (Endpoint::Native(path), NativePlugins::Refused) => {
            Err(Error::forbidden(format!("native plugins are not allowed: {}", path.display())))
        }
        _ => {
            let address = address.clone();
            let made = tokio::task::spawn_blocking(move || Http::new(&address)).await;
            Ok(Arc::new(made.map_err(|e| Error::system(e.to_string()))??))
        }
    }
}
