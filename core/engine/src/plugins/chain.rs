//! The authorization chain: what `authorization-plugins` names, in its order.
//!
//! A name never falls out of the chain. While nothing answers to it (there is no such plugin, it is disabled, it does not start),
//! its place denies, and says why. Only the operator opens the door again: by mending the plugin, or by taking the name out of
//! `daemon.json` and reloading.

use super::{
    Managed,
    decisions::{Decisions, Judged, Monitored},
    lifecycle::means,
    told,
};
use crate::Events;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OnceCell;
use wharf_spi::{
    authz::{Authorizer, AuthzRequest, Decision, Interests},
    plugin::{PluginRunner, RunningPlugin},
};
use wharf_types::{Error, ErrorKind, Reference, Result};

/// The chain. An authorizer of Docker's own kind is kept from one rebuild to the next.
pub struct Chain {
    current: ArcSwap<Arc<[Arc<dyn Authorizer>]>>,
    named: Mutex<Named>,
    docker: Arc<DockerPlugins>,
    decisions: Arc<Decisions>,
}

#[derive(Default)]
struct Named {
    names: Vec<String>,
    monitor: Vec<String>,
}

/// Docker's own plugins that are named.
struct DockerPlugins {
    runner: Arc<dyn PluginRunner>,
    events: Events,
    connected: Mutex<BTreeMap<String, Arc<dyn RunningPlugin>>>,
}

impl Chain {
    /// An empty one.
    pub fn new(runner: Arc<dyn PluginRunner>, events: Events, decisions: Arc<Decisions>) -> Self {
        let docker = Arc::new(DockerPlugins { runner, events, connected: Mutex::default() });
        Self { current: ArcSwap::from_pointee(Arc::from([])), named: Mutex::default(), docker, decisions }
    }

    /// The chain as it is now.
    pub fn current(&self) -> Arc<[Arc<dyn Authorizer>]> {
        Arc::clone(&self.current.load())
    }

    /// Sets the names.
    pub fn name(&self, names: Vec<String>, monitor: Vec<String>) {
        self.docker.connected().retain(|name, _| names.contains(name));
        *self.named.lock().unwrap_or_else(PoisonError::into_inner) = Named { names, monitor };
    }

    /// Whether a plugin is named.
    pub fn names(&self, reference: &Reference) -> bool {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.names.iter().any(|n| means(n, reference))
    }

    /// The names that no managed plugin answers to, and Docker's own plugin of that name when it was found.
    pub fn others(&self, table: &BTreeMap<String, Managed>) -> Vec<(String, Option<Arc<dyn RunningPlugin>>)> {
        let names = self.named.lock().unwrap_or_else(PoisonError::into_inner).names.clone();
        let connected = self.docker.connected();
        let other = |name: &String| !table.values().any(|m| means(name, &m.document.reference));
        names.into_iter().filter(other).map(|name| (name.clone(), connected.get(&name).cloned())).collect()
    }

    /// Looks every name up again.
    pub async fn rebuild(&self, table: &BTreeMap<String, Managed>) {
        let (names, monitor) = {
            let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            (named.names.clone(), named.monitor.clone())
        };
        let mut chain: Vec<Arc<dyn Authorizer>> = Vec::with_capacity(names.len());
        for name in names {
            let managed = table.values().find(|m| means(&name, &m.document.reference));
            let found = match managed {
                Some(managed) => of_managed(managed),
                None => self.docker.connect(&name).await,
            };
            let judge = found.unwrap_or_else(|e| {
                tracing::error!(plugin = %name, error = %e, "every request is denied: an authorization plugin cannot answer");
                let awaited = managed.is_none() && e.kind() == ErrorKind::NotFound;
                if awaited {
                    Arc::new(Awaited { name: name.clone(), docker: self.docker.clone(), found: OnceCell::new() })
                } else {
                    Arc::new(Absent { name: name.clone(), why: e.message().to_owned() })
                }
            });
            let shown = managed.map_or_else(|| name.clone(), Managed::name);
            let decisions = self.decisions.clone();
            chain.push(match monitor.contains(&name) {
                true => Arc::new(Monitored::new(judge, &shown, decisions)),
                false => Arc::new(Judged::new(judge, &shown, decisions)),
            });
        }
        self.current.store(Arc::new(chain.into()));
    }
}

impl DockerPlugins {
    async fn connect(&self, name: &str) -> Result<Arc<dyn Authorizer>> {
        let known = self.connected().get(name).cloned();
        let running = match known {
            Some(running) => running,
            None => self.runner.connect(name).await?,
        };
        let judge = running.authorizer().ok_or_else(|| no_authorizer(name))?;
        running.watch(told(self.events.clone(), name.to_owned(), name.to_owned()));
        self.connected().insert(name.to_owned(), running);
        Ok(judge)
    }

    fn connected(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<dyn RunningPlugin>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_authorizer(name: &str) -> Error {
    let text = format!("Plugin does not implement the requested driver: plugin={name:?}, requested implementation=\"authz\"");
    Error::new(ErrorKind::System, text)
}

fn of_managed(managed: &Managed) -> Result<Arc<dyn Authorizer>> {
    let name = managed.name();
    match &managed.running {
        Some(running) => running.authorizer().ok_or_else(|| no_authorizer(&name)),
        None if managed.document.enabled => Err(Error::system(format!("plugin {name:?} does not start: {}", managed.trouble))),
        None => Err(Error::conflict(format!("plugin {name:?} found but disabled"))),
    }
}

/// A place in the chain that nobody fills.
struct Absent {
    name: String,
    why: String,
}

#[async_trait]
impl Authorizer for Absent {
    fn name(&self) -> &str {
        &self.name
    }
    async fn judge(&self, _: &AuthzRequest) -> Result<Decision> {
        Err(Error::system(self.why.clone()))
    }
}

/// The place of a plugin of Docker's own kind that was not there when it was looked for: such plugins may start after the engine.
struct Awaited {
    name: String,
    docker: Arc<DockerPlugins>,
    found: OnceCell<Arc<dyn Authorizer>>,
}

impl Awaited {
    async fn found(&self) -> Result<&Arc<dyn Authorizer>> {
        let found = self.found.get_or_try_init(|| self.docker.connect(&self.name)).await;
        found.map_err(|e| Error::system(e.message().to_owned()))
    }
}

#[async_trait]
impl Authorizer for Awaited {
    fn name(&self) -> &str {
        &self.name
    }
    // What Docker's authorizers want.
    fn interests(&self) -> Interests {
        Interests { input: true, filter: false }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        self.found().await?.judge(rq).await
    }
    async fn judge_answer(&self, rq: &AuthzRequest, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Decision> {
        self.found().await?.judge_answer(rq, status, headers, body).await
    }
    fn judges_answers(&self) -> bool {
        true
    }
}
