//! The plugins that announce themselves, found and activated when they are first used.

use super::{
    Discovery, LegacyPlugin, NativePlugins, Timeouts,
    breaker::Breaker,
    connect,
    plugin::{ACTIVATE, late},
};
use crate::pulse::Pulse;
use async_trait::async_trait;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use wharf_spi::{
    authz::{Authorizer, AuthzRequest, Decision, Interests},
    plugin::{Calls, Health, HealthWatch},
};
use wharf_types::{Error, ErrorKind, Result};

/// All of them, by name.
pub struct Plugins {
    discovery: Discovery,
    timeouts: Timeouts,
    native: NativePlugins,
    known: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One that was asked for.
#[derive(Default)]
struct Slot {
    /// Attempts to activate it that came to an end.
    attempts: AtomicU64,
    breaker: Breaker,
    pulse: Arc<Pulse>,
    /// Once it was activated.
    active: OnceLock<LegacyPlugin>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Unused,
    Failed(ErrorKind, String),
    Active(LegacyPlugin),
}

impl Plugins {
    /// Plugins that are found in these directories.
    pub fn new(discovery: Discovery, timeouts: Timeouts, native: NativePlugins) -> Arc<Self> {
        Arc::new(Self { discovery, timeouts, native, known: Mutex::default() })
    }

    /// The plugin of this name, activated now if it was not before. The first time it is waited for ([`Timeouts::patience`]); later
    /// ones try once. Who asks in the meantime takes part in the outcome.
    ///
    /// # Errors
    /// 404 when there is none, 503 when it cannot be reached, 500 when it fails, 403 for a native one that may not be loaded.
    pub async fn get(&self, name: &str) -> Result<LegacyPlugin> {
        let slot = self.slot(name);
        let seen = slot.attempts.load(Ordering::Acquire);
        let mut state = slot.state.lock().await;
        let patience = match &*state {
            State::Active(plugin) => return Ok(plugin.clone()),
            State::Failed(kind, message) if slot.attempts.load(Ordering::Acquire) != seen => return Err(Error::new(*kind, message)),
            State::Failed(..) => Duration::ZERO,
            State::Unused => self.timeouts.patience,
        };
        let Some(permit) = slot.breaker.permit() else {
            return Err(Error::unavailable("Plugin.Activate: not called, the plugin did not answer in time lately"));
        };
        // Everybody waits who asks for it meanwhile; so nothing of it may take forever, also what is not the plugin's answer.
        let limit = patience + self.timeouts.activation + self.timeouts.call;
        let activation = self.activate(name, Timeouts { patience, ..self.timeouts }, slot.pulse.clone());
        let outcome = tokio::time::timeout(limit, activation).await.unwrap_or_else(|_| Err(late(ACTIVATE, limit)));
        permit.ended(outcome.is_ok());
        slot.pulse.feel(&outcome, &slot.breaker);
        slot.attempts.fetch_add(1, Ordering::Release);
        match &outcome {
            Ok(plugin) => {
                let _ = slot.active.set(plugin.clone());
                *state = State::Active(plugin.clone());
            }
            // Clients may ask for any name: those of no plugin are not kept, and one that appears later is waited for.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                *state = State::Unused;
                if !slot.pulse.is_watched() {
                    self.known().remove(name);
                }
            }
            Err(e) => *state = State::Failed(e.kind(), e.message().to_owned()),
        }
        outcome
    }

    /// The names of all that are there now, activated or not. Blocks: it reads directories.
    pub fn list(&self) -> Vec<String> {
        self.discovery.list()
    }

    /// How a plugin is, as far as is known without asking it.
    pub fn health(&self, name: &str) -> Health {
        self.slot(name).pulse.health()
    }

    /// Has `told` hear of changes of a plugin's health.
    pub fn watch(&self, name: &str, told: HealthWatch) {
        self.slot(name).pulse.watch(told);
    }

    /// The calls of a plugin; none of one that was not activated.
    pub fn calls(&self, name: &str) -> Vec<(&'static str, Calls)> {
        self.slot(name).active.get().map(LegacyPlugin::statistics).unwrap_or_default()
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        self.known().entry(name.to_owned()).or_default().clone()
    }

    /// A plugin as an authorizer. It is looked for when there is something to decide; as long as it is not there, it denies.
    pub fn authorizer(self: &Arc<Self>, name: &str) -> Arc<dyn Authorizer> {
        Arc::new(Named { name: name.to_owned(), plugins: self.clone() })
    }

    async fn activate(&self, name: &str, timeouts: Timeouts, pulse: Arc<Pulse>) -> Result<LegacyPlugin> {
        let (discovery, wanted) = (self.discovery.clone(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || discovery.find(&wanted)).await;
        let address = found.map_err(|e| Error::system(e.to_string()))??;
        LegacyPlugin::greet(name, connect(&address, self.native).await?, timeouts, pulse).await
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An authorizer by its name in the configuration.
struct Named {
    name: String,
    plugins: Arc<Plugins>,
}

impl Named {
    async fn active(&self) -> Result<Arc<dyn Authorizer>> {
        self.plugins.get(&self.name).await?.authorizer()
    }
}

#[async_trait]
impl Authorizer for Named {
    fn name(&self) -> &str {
        &self.name
    }
    fn interests(&self) -> Interests {
        Interests { input: true, filter: false }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        self.active().await?.judge(rq).await
    }
    async fn judge_answer(&self, rq: &AuthzRequest, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Decision> {
        self.active().await?.judge_answer(rq, status, headers, body).await
    }
    fn judges_answers(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_of_an_activation_takes_forever() {
        let tmp = tempfile::tempdir().unwrap();
        let fifo = tmp.path().join("ca.pem");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let spec = serde_json::json!({"Addr": "https://127.0.0.1:1", "TLSConfig": {"CAFile": fifo}});
        std::fs::write(tmp.path().join("p.json"), spec.to_string()).unwrap();
        let discovery = Discovery { sockets: tmp.path().join("none"), specs: vec![tmp.path().to_owned()] };
        let short = Duration::from_millis(100);
        let plugins = Plugins::new(discovery, Timeouts { call: short, activation: short, patience: short }, NativePlugins::Refused);
        let asked = tokio::time::timeout(Duration::from_secs(20), plugins.get("p")).await.unwrap();
        assert_eq!(asked.err().unwrap().message(), "Plugin.Activate: no answer within 300ms");
        // Lets the thread go that waits for it.
        drop(std::fs::File::options().write(true).open(&fifo).unwrap());
    }
}
