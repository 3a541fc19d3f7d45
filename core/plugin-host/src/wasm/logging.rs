//! A plugin as a [`LogDriver`].
//!
//! A sink is a resource in an instance, and instances come and go: they are dropped when they fail, when their time is over, and when
//! the plugin is reloaded. A sink whose instance is gone gets another one, which begins after what was acknowledged last.

use super::{
    bindings::log_driver as wit,
    instance::{Span, arm, call},
    pool::{Lease, Pool, again, ask, export, refusal},
    statistics::Function,
};
use async_trait::async_trait;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::ResourceAny;
use wharf_spi::{
    logging::{LogContainer, LogDriver, LogSink, Outcome, batch},
    plugin::PluginKind as Kind,
};
use wharf_types::Result;

pub(super) struct Logging;

export!(Logging, Kind::Logging);

/// A sink in an instance: the number of the instance, and the handle.
type Held = (u64, ResourceAny);

pub(super) struct Driver(Arc<Inner>);

struct Inner {
    pool: Arc<Pool<Logging>>,
    /// Sinks that nobody closed; they are dropped when their instance is used next.
    orphans: Mutex<Vec<Held>>,
}

impl Driver {
    pub fn new(pool: Arc<Pool<Logging>>) -> Self {
        Self(Arc::new(Inner { pool, orphans: Mutex::default() }))
    }
}

#[async_trait]
impl LogDriver for Driver {
    fn name(&self) -> &str {
        &self.0.pool.shared.name
    }

    async fn validate(&self, options: &[(String, String)]) -> Result<()> {
        ask!(self.0.pool, LogValidate, call_validate(options), |(), _| Ok(())).map_err(refusal)
    }

    /// The plugin hears of it with the first batch.
    async fn open(&self, container: &LogContainer, options: &[(String, String)], cursor: u64) -> Result<Box<dyn LogSink>> {
        let container = wit::Container {
            id: container.id.clone(),
            name: container.name.clone(),
            image_id: container.image_id.clone(),
            image_name: container.image_name.clone(),
            command: container.command.clone(),
            created: u64::try_from(container.created.nanos()).unwrap_or(0),
            labels: container.labels.clone(),
            env: container.env.clone(),
        };
        Ok(Box::new(Sink { driver: Arc::clone(&self.0), container, options: options.to_vec(), cursor, held: None }))
    }
}

struct Sink {
    driver: Arc<Inner>,
    container: wit::Container,
    options: Vec<(String, String)>,
    /// Acknowledged.
    cursor: u64,
    held: Option<Held>,
}

impl Sink {
    /// An armed instance that has this sink, and the time that is left.
    async fn attach<'a>(&mut self, driver: &'a Inner) -> Result<(Lease<'a, Logging>, ResourceAny, Span)> {
        let (mut lease, span) = driver.pool.lease().await?;
        let warm = &mut lease.warm;
        arm(&mut warm.instance.store, span);
        let held = self.held.filter(|(number, _)| *number == warm.number);
        if let Some((_, sink)) = held {
            return Ok((lease, sink, span));
        }
        self.held = None;
        let opening = async {
            for (_, orphan) in driver.orphans_of(warm.number) {
                orphan.resource_drop_async(&mut warm.instance.store).await?;
            }
            let sink = warm.guest.sink();
            sink.call_constructor(&mut warm.instance.store, &self.container, &self.options, self.cursor).await.map(Ok)
        };
        match call(&driver.pool.shared, Function::LogOpen, span, opening).await {
            Ok(sink) => {
                self.held = Some((warm.number, sink));
                Ok((lease, sink, span.rest()))
            }
            Err(failure) => lease.done(Function::LogOpen, Err(failure), |never: std::convert::Infallible, _| match never {}),
        }
    }
}

impl Inner {
    fn orphans_of(&self, number: u64) -> Vec<Held> {
        let mut orphans = self.orphans.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of older instances are gone with them.
        std::mem::take(&mut *orphans).into_iter().filter(|(of, _)| *of == number).collect()
    }
}

#[async_trait]
impl LogSink for Sink {
    async fn push(&mut self, batch: &[u8], cursor: u64) -> Result<Outcome> {
        let driver = Arc::clone(&self.driver);
        let (mut lease, sink, span) = self.attach(&driver).await?;
        let warm = &mut lease.warm;
        let pushing = warm.guest.sink();
        let pushing = pushing.call_push(&mut warm.instance.store, sink, batch, cursor);
        let outcome = call(&driver.pool.shared, Function::LogPush, span, pushing).await;
        let outcome = lease.done(Function::LogPush, outcome, |outcome, _| outcome_of(outcome, batch))?;
        if !matches!(outcome, Outcome::RetryAfter(_)) {
            self.cursor = cursor;
        }
        Ok(outcome)
    }

    async fn close(&mut self) -> Result<()> {
        let driver = Arc::clone(&self.driver);
        let (mut lease, sink, span) = self.attach(&driver).await?;
        self.held = None;
        let warm = &mut lease.warm;
        let closing = async {
            let answer = warm.guest.sink().call_close(&mut warm.instance.store, sink).await?;
            sink.resource_drop_async(&mut warm.instance.store).await?;
            Ok(answer)
        };
        let outcome = call(&driver.pool.shared, Function::LogClose, span, closing).await;
        lease.done(Function::LogClose, outcome, |(), _| Ok(()))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.driver.orphans.lock().unwrap_or_else(PoisonError::into_inner).push(held);
        }
    }
}

fn outcome_of(outcome: wit::Outcome, batch: &[u8]) -> Result<Outcome, String> {
    Ok(match outcome {
        wit::Outcome::Committed => Outcome::Committed,
        wit::Outcome::RetryAfter(milliseconds) => Outcome::RetryAfter(again(milliseconds)),
        wit::Outcome::Rejected(places) => {
            let count = batch::count(batch).map_err(|e| e.to_string())?;
            let in_order = places.is_sorted_by(|a, b| a < b);
            match places.last() {
                Some(last) if !in_order || *last as usize >= count => {
                    return Err(format!("it rejects entries that a batch of {count} does not have, or not in their order"));
                }
                _ => Outcome::Rejected(places),
            }
        }
    })
}
