//! Calls into a shared library: the second transport of Docker's protocol, for decisions that must cost next to nothing.
//!
//! A native plugin is part of the daemon. Nothing confines it; so it is loaded only when the configuration allows it and only root
//! could have put it there. `plugin-sdk/c/wharf_plugin.h` is its side of the agreement.

mod sys;
mod trusted;
mod workers;

use super::{Transport, wire};
use async_trait::async_trait;
use std::{path::PathBuf, sync::Arc};
use wharf_types::{Error, Result};
use workers::Workers;

/// A library that was loaded. It stays so: nobody knows what threads it has started.
pub struct Native {
    entry: sys::Entry,
    workers: Arc<Workers>,
}

impl Native {
    /// Loads a library.
    ///
    /// # Errors
    /// 403 when anybody but root could have changed it, 400 when it is no plugin.
    pub async fn load(path: PathBuf) -> Result<Self> {
        let workers = Arc::new(Workers::default());
        let load = move || {
            trusted::check(&path)?;
            sys::load(&path).map_err(|e| Error::invalid(format!("could not load plugin {}: {e}", path.display())).with_source(e))
        };
        let entry = workers.run("loading a native plugin", load).await??;
        Ok(Self { entry, workers })
    }
}

#[async_trait]
impl Transport for Native {
    async fn call(&self, method: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let (entry, name) = (self.entry, method.to_owned());
        let called = self.workers.run(method, move || entry.call(&name, &body)).await?;
        match called {
            None => Err(wire::too_large(method)),
            Some((0, answer)) => Ok(answer),
            Some((_, answer)) => Err(wire::failure(method, &answer)),
        }
    }
}

#[cfg(test)]
mod tests;
