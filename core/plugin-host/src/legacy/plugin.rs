//! A plugin that was activated.

use super::{Timeouts, Transport, authz::SocketAuthorizer, breaker::Breaker, wire};
use crate::pulse::Pulse;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use wharf_spi::{
    authz::Authorizer,
    plugin::{Calls, Health, HealthWatch},
};
use wharf_types::{Error, ErrorKind, Result};

/// The first method of every plugin.
pub(super) const ACTIVATE: &str = "Plugin.Activate";

/// A plugin that answered `Plugin.Activate`. Cheap to clone.
#[derive(Clone)]
pub struct LegacyPlugin(Arc<Inner>);

struct Inner {
    name: String,
    implements: Vec<String>,
    transport: Arc<dyn Transport>,
    deadline: Duration,
    breaker: Breaker,
    counts: Mutex<BTreeMap<&'static str, Calls>>,
    pulse: Arc<Pulse>,
}

#[derive(Deserialize)]
pub(super) struct Activated {
    #[serde(rename = "Implements", alias = "implements", default)]
    pub(super) implements: Option<Vec<String>>,
}

impl LegacyPlugin {
    /// Greets a plugin. While it cannot be reached it is tried again, after 1, 2, 4, 8… seconds, as long as [`Timeouts::patience`]
    /// lasts; any other failure is final.
    ///
    /// # Errors
    /// 503 when it could not be reached, 500 when it failed or did not answer in time.
    pub async fn activate(name: &str, transport: Arc<dyn Transport>, timeouts: Timeouts) -> Result<Self> {
        Self::greet(name, transport, timeouts, Arc::default()).await
    }

    /// The same, for whoever watches its health.
    pub(super) async fn greet(name: &str, transport: Arc<dyn Transport>, timeouts: Timeouts, pulse: Arc<Pulse>) -> Result<Self> {
        let (started, mut pause) = (Instant::now(), Duration::from_secs(1));
        let answer = loop {
            let outcome = timeout(timeouts.activation, transport.call(ACTIVATE, Vec::new())).await;
            match outcome.unwrap_or_else(|_| Err(late(ACTIVATE, timeouts.activation))) {
                Ok(answer) => break answer,
                Err(e) if e.kind() == ErrorKind::Unavailable && started.elapsed() + pause < timeouts.patience => {
                    tracing::warn!(plugin = name, "Unable to connect to plugin: {e}, retrying in {pause:?}");
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(e) => return Err(e),
            }
        };
        let implements = wire::decode::<Activated>(ACTIVATE, &answer)?.implements.unwrap_or_default();
        Ok(Self::new(name, implements, transport, timeouts.call, pulse))
    }

    pub(super) fn new(name: &str, implements: Vec<String>, transport: Arc<dyn Transport>, deadline: Duration, pulse: Arc<Pulse>) -> Self {
        let (breaker, counts) = (Breaker::default(), Mutex::default());
        Self(Arc::new(Inner { name: name.to_owned(), implements, transport, deadline, breaker, counts, pulse }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it says that it is: `authz`, `VolumeDriver`, `LogDriver`, ….
    pub fn implements(&self) -> &[String] {
        &self.0.implements
    }

    /// It as an authorizer.
    ///
    /// # Errors
    /// As [`Self::require`].
    pub fn authorizer(&self) -> Result<Arc<dyn Authorizer>> {
        self.require("authz")?;
        Ok(Arc::new(SocketAuthorizer::new(self.clone())))
    }

    /// Makes sure that it is of a kind.
    ///
    /// # Errors
    /// 500 in Docker's words when it is not.
    pub fn require(&self, kind: &str) -> Result<()> {
        if self.0.implements.iter().any(|implemented| implemented == kind) {
            return Ok(());
        }
        let name = self.name();
        Err(Error::system(format!("Plugin does not implement the requested driver: plugin={name:?}, requested implementation={kind:?}")))
    }

    /// What became of its calls, by method; those that were not made, since it is left alone for a while, are not counted.
    pub fn statistics(&self) -> Vec<(&'static str, Calls)> {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(method, calls)| (*method, calls.clone())).collect()
    }

    /// How it is.
    pub fn health(&self) -> Health {
        self.0.pulse.health()
    }

    /// Has `told` hear of changes of its health.
    pub fn watch(&self, told: HealthWatch) {
        self.0.pulse.watch(told);
    }

    /// One call, within [`Timeouts::call`].
    pub(super) async fn call(&self, method: &'static str, body: Vec<u8>) -> Result<Vec<u8>> {
        let Some(permit) = self.0.breaker.permit() else {
            return Err(Error::unavailable(format!("{method}: not called, the plugin did not answer in time lately")));
        };
        let started = Instant::now();
        let outcome = timeout(self.0.deadline, self.0.transport.call(method, body)).await;
        let (took, timed_out) = (started.elapsed(), outcome.is_err());
        let outcome = outcome.unwrap_or_else(|_| Err(late(method, self.0.deadline)));
        permit.ended(outcome.is_ok());
        self.0.pulse.feel(&outcome, &self.0.breaker);
        self.count(method, took, outcome.is_err(), timed_out);
        outcome
    }

    fn count(&self, method: &'static str, took: Duration, failed: bool, timed_out: bool) {
        let mut counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = counts.entry(method).or_default();
        calls.seconds.add(took.as_secs_f64());
        calls.timeouts += u64::from(timed_out);
        calls.errors += u64::from(failed && !timed_out);
    }
}

pub(super) fn late(method: &str, deadline: Duration) -> Error {
    Error::system(format!("{method}: no answer within {deadline:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Cannot be reached so many times, then answers.
    struct Absent(AtomicU32, &'static str);

    #[async_trait]
    impl Transport for Absent {
        async fn call(&self, method: &str, _: Vec<u8>) -> Result<Vec<u8>> {
            let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            if left.is_ok() { Err(Error::unavailable(method)) } else { Ok(self.1.as_bytes().to_vec()) }
        }
    }

    async fn activate(times: u32, answer: &'static str) -> (Result<LegacyPlugin>, u64) {
        let started = Instant::now();
        let transport = Arc::new(Absent(times.into(), answer));
        (LegacyPlugin::activate("x", transport, Timeouts::default()).await, started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn patience() {
        let (plugin, took) = activate(3, r#"{"Implements": ["authz"]}"#).await;
        assert_eq!((plugin.unwrap().implements(), took), (&["authz".to_owned()][..], 1 + 2 + 4));
        let (failed, took) = activate(u32::MAX, "").await;
        assert_eq!((failed.err().unwrap().kind(), took), (ErrorKind::Unavailable, 1 + 2 + 4 + 8));
    }

    #[tokio::test(start_paused = true)]
    async fn kinds() {
        let (plugin, _) = activate(0, r#"{"Implements": null}"#).await;
        let plugin = plugin.unwrap();
        assert!(plugin.authorizer().is_err());
        let e = plugin.require("VolumeDriver").unwrap_err();
        let words = r#"Plugin does not implement the requested driver: plugin="x", requested implementation="VolumeDriver""#;
        assert_eq!((e.kind(), e.message()), (ErrorKind::System, words));
        let (failed, took) = activate(0, r#"["authz"]"#).await;
        assert_eq!((failed.err().unwrap().kind(), took), (ErrorKind::System, 0));
    }
}
