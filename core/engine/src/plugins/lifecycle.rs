//! Making, changing and removing plugins: one change at a time, each with one commit point, the document.

use super::{
    Document, Managed, PlacedPlugin, Plugins, canonical, content, fresh_id, placed, privileges,
    process::{Process, Spec},
    settings, told,
};
use crate::containers::blocking;
use futures_util::future::join_all;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;
use wharf_api_types::plugin::{Plugin, PluginConfig, PluginPrivilege, PluginSettings};
use wharf_spi::plugin::{Description, Package, RunningPlugin};
use wharf_types::{Error, Reference, Result};

/// How long a plugin may take to start when nobody says.
const START_PATIENCE: Duration = Duration::from_secs(30);

impl Plugins {
    /// Starts what is enabled, and what the configuration names. What does not start is logged, and denies where it is an authorizer.
    pub async fn boot(&self, placed: Vec<PlacedPlugin>) {
        let _changing = self.0.changing.lock().await;
        let mut table = BTreeMap::clone(&self.0.table.load());
        for placed in placed {
            let same = |managed: &Managed| canonical(&managed.document.reference) == canonical(&placed.name);
            for (_, other) in table.extract_if(.., |_, managed| same(managed)) {
                tracing::warn!(plugin = other.name(), "left out: the configuration names another one of its name");
            }
            let managed = self.place(placed).await;
            table.insert(managed.id.clone(), managed);
        }
        let enabled = table.values().filter(|m| m.document.enabled);
        if let Err(e) = self.0.processes.sweep(enabled.clone().map(|m| m.id.clone()).collect()).await {
            tracing::error!(error = %e, "what was left of plugins is not removed");
        }
        let brought = join_all(enabled.map(|m| self.bring_back(m.clone()))).await;
        for managed in brought {
            if !managed.trouble.is_empty() {
                tracing::error!(plugin = managed.name(), error = managed.trouble, "the plugin does not start");
            }
            table.insert(managed.id.clone(), managed);
        }
        self.0.table.store(Arc::new(table));
        self.0.chain.rebuild(&self.0.table.load()).await;
        self.tidy().await;
    }

    async fn bring_back(&self, mut managed: Managed) -> Managed {
        if !managed.trouble.is_empty() {
            return managed;
        }
        let started = match managed.is_component() {
            true => self.start(&managed, &managed.document.settings, START_PATIENCE).await,
            false => self.resume(&managed).await,
        };
        match started {
            Ok(running) => managed.running = Some(running),
            Err(e) => e.message().clone_into(&mut managed.trouble),
        }
        managed
    }

    /// Ends everything that runs; what is enabled is started again at the next start of the engine.
    pub async fn shutdown(&self) {
        let _changing = self.0.changing.lock().await;
        let table = self.0.table.load_full();
        join_all(table.values().filter_map(|m| m.running.as_ref()).map(|running| running.stop())).await;
    }

    /// Makes a plugin of an archive with `config.json` and `rootfs/`.
    ///
    /// # Errors
    /// 400 for what is no plugin, 409 for a name that is taken.
    pub async fn create(&self, name: &str, archive: impl AsyncRead + Send + Unpin + 'static) -> Result<()> {
        let reference = name.parse::<Reference>()?;
        if reference.digest().is_some() {
            return Err(Error::invalid(format!("invalid reference {name:?}: the name of a plugin cannot have a digest")));
        }
        let reference = reference.or_latest();
        let is_free = || match self.0.table.load().values().any(|m| m.document.reference == reference) {
            true => Err(Error::conflict(format!("plugin {:?} already exists", reference.to_string()))),
            false => Ok(()),
        };
        is_free()?;
        let id = fresh_id()?;
        let dir = self.dir(&id);
        let made = async {
            // However long the client and the compiler take, other changes go on.
            let (place, input) = (dir.clone(), SyncIoBridge::new(archive));
            let (content, config) = blocking(move || content::take(&place, input)).await?;
            let described = self.describe(&dir.join(&content), &config).await;
            let description = described.map_err(|e| e.context(format_args!("plugin {name:?}")))?;
            let settings = settings::initial(&config);
            let _changing = self.0.changing.lock().await;
            is_free()?;
            let document = Document { reference: reference.clone(), enabled: false, config, settings, description, content };
            self.commit(&id, &document).await?;
            let managed = Managed { id: id.clone(), document, running: None, trouble: String::new(), placed: None };
            self.publish(&id, Some(managed.clone())).await;
            self.event("create", &managed);
            Ok(())
        };
        let made = made.await;
        if made.is_err() {
            let _changing = self.0.changing.lock().await;
            let _ = self.0.trash.remove(&dir);
            self.tidy().await;
        }
        made
    }

    /// Starts a plugin, now and at every start of the engine.
    ///
    /// # Errors
    /// 404, 409 when it is enabled, and why it does not start.
    pub async fn enable(&self, name: &str, timeout: Duration) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        let mut managed = self.find(name)?;
        placed::refuse(&managed)?;
        if managed.document.enabled && managed.running.is_some() {
            return Err(Error::conflict(format!("plugin already enabled: plugin {:?} is enabled", managed.name())));
        }
        let patience = if timeout.is_zero() { START_PATIENCE } else { timeout };
        let running = self.start(&managed, &managed.document.settings, patience).await?;
        managed.document.enabled = true;
        if let Err(e) = self.commit(&managed.id, &managed.document).await {
            running.stop().await;
            return Err(e);
        }
        managed.running = Some(running);
        managed.trouble = String::new();
        self.publish(&managed.id, Some(managed.clone())).await;
        self.event("enable", &managed);
        Ok(())
    }

    /// Ends a plugin. An authorizer that is named in the chain denies from now on.
    ///
    /// # Errors
    /// 404; 409 when it is not enabled, or is in use and `force` is not given.
    pub async fn disable(&self, name: &str, force: bool) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        let mut managed = self.find(name)?;
        placed::refuse(&managed)?;
        if !managed.document.enabled {
            let name = managed.name();
            return Err(Error::conflict(format!("plugin is already disabled: plugin {name:?} found but disabled")));
        }
        self.refuse_in_use(&managed, force)?;
        managed.document.enabled = false;
        self.commit(&managed.id, &managed.document).await?;
        let running = managed.running.take();
        self.publish(&managed.id, Some(managed.clone())).await;
        if let Some(running) = running {
            running.stop().await;
        }
        self.event("disable", &managed);
        Ok(())
    }

    /// Removes a plugin with what it keeps.
    ///
    /// # Errors
    /// 404; 409 when it is enabled or in use and `force` is not given.
    pub async fn remove(&self, name: &str, force: bool) -> Result<Plugin> {
        let _changing = self.0.changing.lock().await;
        let mut managed = self.find(name)?;
        placed::refuse(&managed)?;
        self.refuse_in_use(&managed, force)?;
        if managed.document.enabled && !force {
            return Err(Error::conflict(format!("plugin {:?} is enabled", managed.name())));
        }
        if managed.document.enabled {
            // Half removed, it must not start again: with mounts of files that are gone, or without what it kept.
            managed.document.enabled = false;
            self.commit(&managed.id, &managed.document).await?;
        }
        // What it keeps goes first: a plugin of this name that comes later must not find it, whatever happens on the way.
        let running = managed.running.take();
        managed.trouble = "it is being removed".to_owned();
        self.publish(&managed.id, Some(managed.clone())).await;
        if let Some(running) = running {
            running.stop().await;
        }
        self.0.processes.release(&managed.id).await?;
        let name = managed.document.reference.familiar_name();
        let shared = |other: &Managed| other.id != managed.id && other.document.reference.familiar_name() == name;
        if !self.0.table.load().values().any(shared) {
            self.0.runner.remove(&name).await?;
        }
        let (plugins, id) = (self.clone(), managed.id.clone());
        blocking(move || plugins.0.documents.remove(&id)).await?;
        self.publish(&managed.id, None).await;
        self.tidy().await;
        self.event("remove", &managed);
        Ok(managed.wire(false))
    }

    /// Changes settings of a plugin that is not enabled.
    ///
    /// # Errors
    /// 404, 500 as Docker's for what cannot be set or while it is enabled.
    pub async fn set(&self, name: &str, changes: &[String]) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        let mut managed = self.find(name)?;
        placed::refuse(&managed)?;
        if managed.document.enabled {
            return Err(Error::system("cannot set on an active plugin, disable plugin before setting"));
        }
        managed.document.settings = settings::apply(&managed.document.config, &managed.document.settings, changes)?;
        self.commit(&managed.id, &managed.document).await?;
        let id = managed.id.clone();
        self.publish(&id, Some(managed)).await;
        Ok(())
    }

    /// Gives a plugin the content of another one of this engine; id and settings stay. One that runs is replaced once the new one
    /// has started, and goes on when that fails.
    ///
    /// # Errors
    /// 404; 409 when a process would have to be replaced; 500 `incorrect privileges` when more are needed than were agreed to.
    pub async fn upgrade(&self, name: &str, remote: &str, agreed: &[PluginPrivilege]) -> Result<()> {
        let _changing = self.0.changing.lock().await;
        let old = self.find(name)?;
        placed::refuse(&old)?;
        let source = self.local(remote)?;
        if old.document.enabled && !(old.is_component() && source.is_component()) {
            return Err(Error::conflict(format!("plugin must be disabled before upgrading: plugin {:?} is enabled", old.name())));
        }
        let config = source.document.config.clone();
        let settings = carried(&config, &old.document.settings);
        let has = privileges::of(&old.document.config, &old.document.settings);
        let needs = privileges::of(&config, &settings);
        let more = privileges::beyond(&needs, &[&has[..], agreed].concat());
        if !more.is_empty() {
            return Err(Error::system(format!("incorrect privileges: {} is not agreed to", more.join(", "))));
        }
        let (from, dir) = (self.content(&source), self.dir(&old.id));
        let copy = if source.is_component() { content::copy } else { content::duplicate };
        let content = blocking(move || copy(&from, &dir)).await?;
        let document = Document { config, settings, description: source.document.description.clone(), content, ..old.document.clone() };
        let mut new = Managed { id: old.id.clone(), document, running: None, trouble: String::new(), placed: None };
        let swapped = async {
            if old.document.enabled {
                new.running = Some(self.start(&new, &new.document.settings, START_PATIENCE).await?);
            }
            self.commit(&new.id, &new.document).await
        };
        if let Err(e) = swapped.await {
            content::sweep(&self.dir(&old.id), &old.document.content, &self.0.trash);
            return Err(e);
        }
        let upgraded = (new.document.content.clone(), new.clone());
        self.publish(&old.id, Some(new)).await;
        // Requests that began with the old component end with it: it goes with its last handle.
        content::sweep(&self.dir(&old.id), &upgraded.0, &self.0.trash);
        self.tidy().await;
        self.event("upgrade", &upgraded.1);
        Ok(())
    }

    /// Names the authorizers, in order; those in `monitor` are asked but not obeyed.
    pub async fn authorize_with(&self, names: Vec<String>, monitor: Vec<String>) {
        let _changing = self.0.changing.lock().await;
        self.0.chain.name(names, monitor);
        self.0.chain.rebuild(&self.0.table.load()).await;
    }

    /// Lets the runner forget components that no plugin has.
    async fn tidy(&self) {
        let table = self.0.table.load_full();
        let digests: Vec<_> = table.values().filter_map(|m| m.document.description.as_ref()).map(|d| d.digest.clone()).collect();
        if let Err(e) = self.0.runner.retain(&digests).await {
            tracing::warn!(error = %e, "what was prepared for removed plugins stays");
        }
    }

    pub(super) async fn describe(&self, content: &Path, config: &PluginConfig) -> Result<Option<Description>> {
        if config.interface.protocol_scheme != super::COMPONENT {
            return Ok(None);
        }
        let (component, _) = (content::component(content)?, content::schema(content)?);
        let described = self.0.runner.describe(component).await?;
        for kind in &described.kinds {
            let wanted = privileges::interface(*kind);
            if !config.interface.types.iter().any(|t| privileges::capability(t) == Some(wanted)) {
                let text =
                    format!("the component is of kind {}, but config.json does not declare docker.{wanted}/1.0", privileges::word(*kind));
                return Err(Error::invalid(text));
            }
        }
        if described.kinds.is_empty() {
            return Err(Error::invalid("the component exports nothing that a plugin exports"));
        }
        Ok(Some(described))
    }

    async fn start(&self, managed: &Managed, own: &PluginSettings, patience: Duration) -> Result<Arc<dyn RunningPlugin>> {
        let name = managed.name();
        let Some(described) = managed.document.description.as_ref().filter(|_| managed.is_component()) else {
            let process = Process::start(&self.0.processes, self.process(managed)?, patience).await?;
            process.watch(told(self.0.events.clone(), managed.id.clone(), name));
            return Ok(Arc::new(process));
        };
        let content = self.content(managed);
        let schema = content::schema(&content)?;
        let package = Package {
            name: managed.document.reference.familiar_name(),
            component: content::component(&content)?,
            digest: described.digest.clone(),
            settings: settings::object(own, schema.as_ref())?,
            schema,
            permissions: settings::permissions(&managed.document.config, own),
            memory: managed.document.config.wharf.memory,
        };
        // Another version of the engine has to prepare it anew. That has a limit of its own, and is no slow start.
        self.0.runner.describe(package.component.clone()).await.map_err(|e| e.context(format_args!("plugin {name:?}")))?;
        let started = tokio::time::timeout(patience, self.0.runner.load(package)).await;
        let running = started.map_err(|_| Error::system(format!("plugin {name:?} did not start within {} s", patience.as_secs())))??;
        running.watch(told(self.0.events.clone(), managed.id.clone(), name));
        Ok(running)
    }

    async fn resume(&self, managed: &Managed) -> Result<Arc<dyn RunningPlugin>> {
        let process = Process::resume(&self.0.processes, self.process(managed)?, START_PATIENCE).await;
        process.watch(told(self.0.events.clone(), managed.id.clone(), managed.name()));
        Ok(Arc::new(process))
    }

    /// A plugin as its process is concerned.
    fn process(&self, managed: &Managed) -> Result<Spec> {
        let Document { config, settings, .. } = &managed.document;
        let (name, scheme) = (managed.name(), &config.interface.protocol_scheme);
        if !super::DOCKER.contains(&scheme.as_str()) {
            return Err(Error::not_implemented(format!("plugin {name:?} speaks {scheme:?}, and that is not supported")));
        }
        let rootfs = self.content(managed).join("rootfs");
        Ok(Spec { id: managed.id.parse()?, name, config: config.clone(), settings: settings.clone(), rootfs })
    }

    fn refuse_in_use(&self, managed: &Managed, force: bool) -> Result<()> {
        match self.0.chain.names(&managed.document.reference) {
            true if !force => Err(Error::conflict(format!("plugin {:?} is in use by authorization-plugins", managed.name()))),
            _ => Ok(()),
        }
    }

    async fn commit(&self, id: &str, document: &Document) -> Result<()> {
        let (plugins, id, document) = (self.clone(), id.to_owned(), document.clone());
        blocking(move || plugins.0.documents.put(&id, &document)).await
    }
}

/// The settings of a new version: what was set stays where it can still be set.
fn carried(config: &PluginConfig, old: &PluginSettings) -> PluginSettings {
    let mut settings = settings::initial(config);
    for change in &old.env {
        if let Ok(changed) = settings::apply(config, &settings, std::slice::from_ref(change)) {
            settings = changed;
        }
    }
    settings
}

/// Whether a name in `authorization-plugins` means this plugin.
pub(super) fn means(name: &str, reference: &Reference) -> bool {
    name.parse::<Reference>().is_ok_and(|r| canonical(&r.or_latest()) == canonical(reference))
}
