//! Plugins that the daemon's configuration names by their directories. They are read where they are at every start, and only there can
//! they be changed; none of them can keep the engine from starting.

use super::{Document, Managed, Plugins, canonical, content, settings};
use crate::containers::blocking;
use serde_json::{Map, Value};
use std::path::PathBuf;
use wharf_api_types::plugin::PluginConfig;
use wharf_types::{Digest, Error, Reference, Result};

/// A plugin as the configuration names it.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedPlugin {
    /// Its name.
    pub name: Reference,
    /// The directory with `config.json` and `rootfs/`.
    pub path: PathBuf,
    /// Settings by name; the others are those of `config.json`.
    pub settings: Map<String, Value>,
    /// What it may do; without it, what `config.json` asks for.
    pub permissions: Option<Vec<String>>,
}

impl PlacedPlugin {
    /// Reads it as far as that goes without running it. Blocks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<Vec<String>> {
        let (config, own) = self.read()?;
        if config.interface.protocol_scheme != super::COMPONENT {
            return Err(Error::not_implemented("it is a process: \"plugins\" of the daemon's configuration names components only"));
        }
        content::component(&self.path)?;
        settings::object(&own, content::schema(&self.path)?.as_ref())?;
        Ok(settings::permissions(&config, &own))
    }

    fn read(&self) -> Result<(PluginConfig, wharf_api_types::plugin::PluginSettings)> {
        content::trusted(&self.path)?;
        let mut config = content::config(&self.path)?;
        if let Some(permissions) = &self.permissions {
            config.wharf.permissions.clone_from(permissions);
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let changes: Vec<_> = self.settings.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        let own = settings::apply(&config, &settings::initial(&config), &changes)?;
        Ok((config, own))
    }
}

impl Plugins {
    /// As a managed plugin that nobody can change; its trouble says why it cannot be started, if so.
    pub(super) async fn place(&self, placed: PlacedPlugin) -> Managed {
        let id = Digest::of(format!("placed {}", canonical(&placed.name)).as_bytes()).hex().to_owned();
        let (config, own) = (PluginConfig::default(), wharf_api_types::plugin::PluginSettings::default());
        let reference = placed.name.clone();
        let document = Document { reference, enabled: true, config, settings: own, description: None, content: String::new() };
        let mut managed = Managed { id, document, running: None, trouble: String::new(), placed: Some(placed.path.clone()) };
        let read = async {
            let (config, own) = blocking(move || placed.read()).await?;
            (managed.document.config, managed.document.settings) = (config, own);
            managed.document.description = self.describe(&self.content(&managed), &managed.document.config).await?;
            Ok::<_, Error>(())
        };
        if let Err(e) = read.await {
            managed.trouble = e.message().to_owned();
        }
        managed
    }
}

/// Nobody but the operator's file changes such a plugin.
pub(super) fn refuse(managed: &Managed) -> Result<()> {
    match &managed.placed {
        None => Ok(()),
        Some(path) => Err(Error::conflict(format!(
            "plugin {:?} is named in the daemon's configuration with its directory {}: change \"plugins\" there, and restart the daemon",
            managed.name(),
            path.display()
        ))),
    }
}
