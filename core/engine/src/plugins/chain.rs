//! The authorization chain: what `authorization-plugins` names, in its order.
//!
//! A name never falls out of the chain. While nothing answers to it (there is no such plugin, it is disabled, it does not start),
//! its place denies, and says why. Only the operator opens the door again: by mending the plugin, or by taking the name out of
//! `daemon.json` and reloading.

use super::{Managed, lifecycle::means};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use wharf_spi::{
    authz::{Authorizer, AuthzRequest, Caller, Decision, Interests, Object, Verdict},
    plugin::{PluginRunner, RunningPlugin},
};
use wharf_types::{Error, ErrorKind, Reference, Result};

/// The chain. An authorizer of Docker's own kind is kept from one rebuild to the next.
pub struct Chain {
    current: ArcSwap<Arc<[Arc<dyn Authorizer>]>>,
    named: Mutex<Named>,
}

#[derive(Default)]
struct Named {
    names: Vec<String>,
    monitor: Vec<String>,
    connected: BTreeMap<String, Arc<dyn RunningPlugin>>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { current: ArcSwap::from_pointee(Arc::from([])), named: Mutex::default() }
    }
}

impl Chain {
    /// The chain as it is now.
    pub fn current(&self) -> Arc<[Arc<dyn Authorizer>]> {
        Arc::clone(&self.current.load())
    }

    /// Sets the names.
    pub fn name(&self, names: Vec<String>, monitor: Vec<String>) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.connected.retain(|name, _| names.contains(name));
        (named.names, named.monitor) = (names, monitor);
    }

    /// Whether a plugin is named.
    pub fn names(&self, reference: &Reference) -> bool {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.names.iter().any(|n| means(n, reference))
    }

    /// Looks every name up again.
    pub async fn rebuild(&self, table: &BTreeMap<String, Managed>, runner: &dyn PluginRunner) {
        let (names, monitor) = {
            let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            (named.names.clone(), named.monitor.clone())
        };
        let mut chain: Vec<Arc<dyn Authorizer>> = Vec::with_capacity(names.len());
        for name in names {
            let found = match table.values().find(|m| means(&name, &m.document.reference)) {
                Some(managed) => of_managed(managed),
                None => self.connect(&name, runner).await,
            };
            let judge = found.unwrap_or_else(|e| {
                tracing::error!(plugin = %name, error = %e, "every request is denied: an authorization plugin cannot answer");
                Arc::new(Absent { name: name.clone(), why: e.message().to_owned() })
            });
            chain.push(if monitor.contains(&name) { Arc::new(Monitored(judge)) } else { judge });
        }
        self.current.store(Arc::new(chain.into()));
    }

    async fn connect(&self, name: &str, runner: &dyn PluginRunner) -> Result<Arc<dyn Authorizer>> {
        let known = self.named.lock().unwrap_or_else(PoisonError::into_inner).connected.get(name).cloned();
        let running = match known {
            Some(running) => running,
            None => runner.connect(name).await?,
        };
        let judge = running.authorizer().ok_or_else(|| no_authorizer(name))?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).connected.insert(name.to_owned(), running);
        Ok(judge)
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

/// An authorizer that is asked and not obeyed.
struct Monitored(Arc<dyn Authorizer>);

#[async_trait]
impl Authorizer for Monitored {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn interests(&self) -> Interests {
        Interests { filter: false, ..self.0.interests() }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        let outcome = self.0.judge(rq).await;
        let (would, rule) = match &outcome {
            Ok(Decision { verdict: Verdict::Deny(denial), rule }) => (denial.reason.as_str(), rule.as_str()),
            Ok(_) => return Ok(Verdict::Allow.into()),
            Err(e) => (e.message(), ""),
        };
        tracing::warn!(plugin = self.name(), action = rq.action.0, rule, "would be denied: {would}");
        Ok(Decision { verdict: Verdict::Allow, rule: rule.to_owned() })
    }
    async fn filter(&self, _: &Caller, objects: &[Object]) -> Result<Vec<bool>> {
        Ok(vec![true; objects.len()])
    }
}
