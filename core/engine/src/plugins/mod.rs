//! Managed plugins (`docker plugin`): which there are, what they may do, and whether they run. Start with [`Plugins`].
//!
//! A plugin is a directory `<data-root>/plugins/<id>` with a document, which is the commit point of every change, and its content:
//! what the operator's archive held. Who runs components is behind [`PluginRunner`]; those that are processes are run by [`process`].
//! The authorization chain is in [`chain`].

mod chain;
mod content;
mod lifecycle;
mod privileges;
mod process;
mod settings;

use crate::Events;
use arc_swap::ArcSwap;
use chain::Chain;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use wharf_api_types::plugin::{Plugin, PluginConfig, PluginFacts, PluginPrivilege, PluginSettings};
use wharf_spi::{
    Extensions,
    authz::Authorizer,
    plugin::{Description, PluginRunner, RunningPlugin},
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

    fn facts(&self) -> PluginFacts {
        let Document { enabled, config, settings, description, .. } = &self.document;
        let health = self.running.as_ref().map(|r| r.health()).unwrap_or_default();
        let (status, reason) = match (&self.running, enabled) {
            (Some(_), _) => (health.status, health.reason),
            (None, true) => ("failed".to_owned(), self.trouble.clone()),
            (None, false) => ("disabled".to_owned(), String::new()),
        };
        let (digest, kinds, imports) = match description {
            Some(d) => (d.digest.clone(), d.kinds.iter().map(|k| privileges::word(*k)).collect(), d.imports.clone()),
            None => {
                (String::new(), config.interface.types.iter().filter_map(|t| privileges::capability(t)).collect::<Vec<_>>(), Vec::new())
            }
        };
        PluginFacts {
            digest,
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            imports,
            permissions: settings::permissions(config, settings),
            status,
            reason,
            log: self.running.as_ref().map(|r| r.log()).unwrap_or_default(),
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
            let managed = Managed { id: id.clone(), document, running: None, trouble: String::new() };
            (id, managed)
        });
        let table: BTreeMap<_, _> = table.collect();
        for managed in table.values() {
            content::sweep(&documents.root().join(&managed.id), &managed.document.content, &trash);
        }
        let inner = Inner {
            documents,
            trash,
            runner,
            processes,
            events,
            table: ArcSwap::from_pointee(table),
            chain: Chain::default(),
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

    /// The names of what plugins of a capability there are that run, for `/info`.
    pub fn running(&self, capability: &str) -> Vec<String> {
        let table = self.0.table.load();
        let has = |m: &&Managed| {
            m.running.is_some() && m.document.config.interface.types.iter().any(|t| privileges::capability(t) == Some(capability))
        };
        table.values().filter(has).map(Managed::name).collect()
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
        self.0.chain.rebuild(&self.0.table.load(), self.0.runner.as_ref()).await;
    }

    fn event(&self, action: &str, managed: &Managed) {
        let attributes = BTreeMap::from([("name".to_owned(), managed.name())]);
        self.0.events.publish("plugin", action, managed.id.clone(), attributes);
    }

    fn dir(&self, id: &str) -> PathBuf {
        self.0.documents.root().join(id)
    }
}

impl Extensions for Plugins {
    fn authorizers(&self) -> Arc<[Arc<dyn Authorizer>]> {
        self.0.chain.current()
    }
}

fn fresh_id() -> Result<String> {
    // Plugins have ids like containers.
    ContainerId::random().map(|id| id.to_string())
}
