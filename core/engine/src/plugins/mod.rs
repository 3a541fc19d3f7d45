//! Managed plugins (`docker plugin`): which there are, what they may do, and whether they run. Start with [`Plugins`].
//!
//! A plugin is a directory `<data-root>/plugins/<id>` with a document, which is the commit point of every change, and its content:
//! what the operator's archive held. Who runs components is behind [`PluginRunner`]; those that are processes are run by [`process`].
//! The authorization chain is in [`chain`].

mod chain;
pub mod content;
mod decision_log;
mod decisions;
mod exposed;
mod lifecycle;
mod placed;
pub mod privileges;
mod process;
pub mod settings;
#[cfg(test)]
mod tests;

use crate::Events;
use arc_swap::ArcSwap;
use chain::Chain;
pub use decision_log::DecisionLogSettings;
use decisions::Decisions;
pub use placed::PlacedPlugin;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use wharf_api_types::plugin::{Plugin, PluginConfig, PluginFacts, PluginPrivilege, PluginSettings};
use wharf_spi::{
    Extensions,
    authz::{Authorizer, AuthzRequest, Object},
    plugin::{Description, Health, HealthWatch, PluginRunner, RunningPlugin, Status},
};
use wharf_store::{DocDir, Durability, Trash};
use wharf_types::{ContainerId, Error, Reference, Result};

pub use process::Processes;

/// The `protocolScheme` of components. Everything else is a process in a root file system.
pub const COMPONENT: &str = "wasm.component/1";
/// The `protocolScheme`s of processes that are spoken to in Docker's protocol.
const DOCKER: [&str; 2] = ["", "moby.plugins.http/v1"];
/// Name of the document in a plugin's directory.
const DOCUMENT: &str = "plugin.json";

/// What is kept of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    reference: Reference,
    enabled: bool,
    config: PluginConfig,
    settings: PluginSettings,
    /// Of a component.
    description: Option<Description>,
    /// The directory beside the document that holds what the archive held.
    content: String,
}

/// A plugin as it is now.
#[derive(Clone)]
struct Managed {
    id: String,
    document: Document,
    /// What runs, when it is enabled and could be started.
    running: Option<Arc<dyn RunningPlugin>>,
    /// Why nothing runs although it is enabled.
    trouble: String,
    /// The directory of one that the configuration names.
    placed: Option<PathBuf>,
}

/// The service.
#[derive(Clone)]
pub struct Plugins(Arc<Inner>);

struct Inner {
    documents: DocDir<Document>,
    trash: Trash,
    runner: Arc<dyn PluginRunner>,
    processes: Arc<Processes>,
    events: Events,
    table: ArcSwap<BTreeMap<String, Managed>>,
    chain: Chain,
    decisions: Arc<Decisions>,
    /// Held while something changes.
    changing: tokio::sync::Mutex<()>,
}

impl Managed {
    /// As it is listed and named in messages.
    fn name(&self) -> String {
        self.document.reference.to_string()
    }

    fn is_component(&self) -> bool {
        self.document.config.interface.protocol_scheme == COMPONENT
    }

    /// Of what runs, or why nothing does.
    fn health(&self) -> Health {
        let without = |status: Status, reason: &str| Health { status, reason: reason.to_owned(), failures: 0 };
        match (&self.running, self.document.enabled) {
            (Some(running), _) => running.health(),
            (None, true) => without(Status::Failed, &self.trouble),
            (None, false) => without(Status::Disabled, ""),
        }
    }

    /// What is known of it beyond Docker.
    fn facts(&self) -> PluginFacts {
        let Document { config, settings, description, .. } = &self.document;
        let Health { status, reason, .. } = self.health();
        let kinds: Vec<&str> = match description {
            Some(described) => described.kinds.iter().map(|kind| privileges::word(*kind)).collect(),
            None => config.interface.types.iter().filter_map(|t| privileges::capability(t)).collect(),
        };
        PluginFacts {
            digest: description.as_ref().map(|d| d.digest.clone()).unwrap_or_default(),
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            imports: description.as_ref().map(|d| d.imports.clone()).unwrap_or_default(),
            permissions: settings::permissions(config, settings),
            path: self.placed.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            status: status.word().to_owned(),
            reason,
            log: self.running.as_ref().map(|r| r.log()).unwrap_or_default(),
        }
    }

    fn wire(&self, verbose: bool) -> Plugin {
        let Document { reference, enabled, config, settings, .. } = &self.document;
        Plugin {
            id: self.id.clone(),
            name: self.name(),
            enabled: *enabled,
            settings: settings.clone(),
            reference: canonical(reference),
            config: config.clone(),
            wharf: verbose.then(|| self.facts()),
        }
    }
}

/// With domain, path and tag.
fn canonical(reference: &Reference) -> String {
    format!("{}/{}:{}", reference.domain(), reference.path(), reference.tag().unwrap_or("latest"))
}

/// What a list leaves out.
#[derive(Clone, Debug, Default)]
pub struct PluginFilter {
    /// Only those that are, or are not, enabled.
    pub enabled: Option<bool>,
    /// Only those with one of these capabilities (`volumedriver`, `authz`, …).
    pub capabilities: Vec<String>,
}

impl Plugins {
    /// Reads what there is. Nothing runs yet.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn open(
        data_root: &std::path::Path,
        trash: Trash,
        runner: Arc<dyn PluginRunner>,
        processes: Arc<Processes>,
        events: Events,
    ) -> Result<Self> {
        let documents: DocDir<Document> = DocDir::dirs(&data_root.join("plugins"), DOCUMENT, trash.clone(), Durability::Synced)?;
        let (loaded, _) = documents.load_all()?;
        let table = loaded.into_iter().map(|(id, document)| {
            let managed = Managed { id: id.clone(), document, running: None, trouble: String::new(), placed: None };
            (id, managed)
        });
        let table: BTreeMap<_, _> = table.collect();
        for managed in table.values() {
            content::sweep(&documents.root().join(&managed.id), &managed.document.content, &trash);
        }
        let decisions = Arc::<Decisions>::default();
        let inner = Inner {
            chain: Chain::new(runner.clone(), events.clone(), decisions.clone()),
            decisions,
            documents,
            trash,
            runner,
            processes,
            events,
            table: ArcSwap::from_pointee(table),
            changing: tokio::sync::Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// All plugins by name.
    pub fn list(&self, filter: &PluginFilter) -> Vec<Plugin> {
        let table = self.0.table.load();
        let fits = |m: &&Managed| {
            let types = &m.document.config.interface.types;
            let capable = |c: &String| types.iter().any(|t| privileges::capability(t) == Some(c.as_str()));
            filter.enabled.is_none_or(|e| e == m.document.enabled)
                && (filter.capabilities.is_empty() || filter.capabilities.iter().any(capable))
        };
        let mut plugins: Vec<_> = table.values().filter(fits).map(|m| m.wire(false)).collect();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        plugins
    }

    /// One plugin by name, id, or unambiguous beginning of the id.
    ///
    /// # Errors
    /// 404, or 400 when several are meant.
    pub fn get(&self, name: &str) -> Result<Plugin> {
        self.find(name).map(|m| m.wire(true))
    }

    /// What a plugin of this name may do once it runs, for the operator to agree to.
    ///
    /// # Errors
    /// 404; plugins of registries cannot be asked yet (501).
    pub fn privileges(&self, remote: &str) -> Result<Vec<PluginPrivilege>> {
        let managed = self.local(remote)?;
        Ok(privileges::of(&managed.document.config, &managed.document.settings))
    }

    fn find(&self, name: &str) -> Result<Managed> {
        let table = self.0.table.load();
        if let Some(exact) = table.get(name) {
            return Ok(exact.clone());
        }
        if let Ok(reference) = name.parse::<Reference>() {
            let reference = reference.or_latest();
            if let Some(named) = table.values().find(|m| m.document.reference == reference) {
                return Ok(named.clone());
            }
        }
        let mut begin = table.range(name.to_owned()..).map(|(_, m)| m).take_while(|m| !name.is_empty() && m.id.starts_with(name));
        match (begin.next(), begin.next()) {
            (Some(one), None) => Ok(one.clone()),
            (Some(_), Some(_)) => Err(Error::invalid(format!("multiple plugins found for {name:?}"))),
            _ => Err(Error::not_found(format!("plugin {name:?} not found"))),
        }
    }

    /// A plugin of this engine that serves as the source of another.
    fn local(&self, remote: &str) -> Result<Managed> {
        self.find(remote).map_err(|_| {
            let text = format!("plugin {remote:?} is not on this engine, and getting plugins from registries is not supported yet");
            Error::not_implemented(text)
        })
    }

    /// Replaces what is known of a plugin, or forgets it; the chain follows.
    async fn publish(&self, id: &str, managed: Option<Managed>) {
        let mut table = BTreeMap::clone(&self.0.table.load());
        match managed {
            Some(managed) => drop(table.insert(id.to_owned(), managed)),
            None => drop(table.remove(id)),
        }
        self.0.table.store(Arc::new(table));
        self.0.chain.rebuild(&self.0.table.load()).await;
    }

    fn event(&self, action: &str, managed: &Managed) {
        let attributes = BTreeMap::from([("name".to_owned(), managed.name())]);
        self.0.events.publish("plugin", action, managed.id.clone(), attributes);
    }

    fn dir(&self, id: &str) -> PathBuf {
        self.0.documents.root().join(id)
    }

    /// Where its `config.json` and `rootfs/` are.
    fn content(&self, managed: &Managed) -> PathBuf {
        managed.placed.clone().unwrap_or_else(|| self.dir(&managed.id).join(&managed.document.content))
    }

    /// Writes decisions to this file from now on; with the same one, to the new file of this name. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened; the old one is written on then.
    pub fn log_decisions(&self, settings: Option<DecisionLogSettings>) -> Result<()> {
        self.0.decisions.log.configure(settings)
    }

    /// Opens the decision log anew: its file may have been moved away. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened; the old one is written on then.
    pub fn reopen_decision_log(&self) -> Result<()> {
        self.0.decisions.log.reopen()
    }

    /// Writes what waits for the decision log, and closes it. Blocks.
    pub fn close_decision_log(&self) {
        self.0.decisions.log.close();
    }
}

impl Extensions for Plugins {
    fn authorizers(&self) -> Arc<[Arc<dyn Authorizer>]> {
        self.0.chain.current()
    }
    fn hidden(&self, rq: &AuthzRequest, object: &Object) {
        self.0.decisions.hidden(rq, object);
    }
}

/// Makes events of what becomes of a plugin.
fn told(events: Events, id: String, name: String) -> HealthWatch {
    Arc::new(move |health| {
        let action = match health.status {
            Status::Quarantined => "quarantine",
            Status::Degraded | Status::Restarting => "degrade",
            Status::Healthy | Status::Disabled | Status::Failed => "recover",
        };
        let mut attributes = BTreeMap::from([("name".to_owned(), name.clone())]);
        if !health.reason.is_empty() {
            attributes.insert("reason".to_owned(), health.reason.clone());
        }
        events.publish("plugin", action, id.clone(), attributes);
    })
}

fn fresh_id() -> Result<String> {
    // Plugins have ids like containers.
    ContainerId::random().map(|id| id.to_string())
}
