//! Warm instances of an authorization plugin: one call each at a time, more of them as they are needed.

use super::{
    bindings::authorizer,
    context::{Generation, Shared},
    instance::{Instance, NoResult, Template, arm, call},
    journal::Level,
    policy,
    statistics::Function,
};
use arc_swap::ArcSwap;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use wharf_spi::authz::Interests;
use wharf_types::{Error, Result};

pub(super) struct Pool {
    template: Template,
    exports: authorizer::GuestIndices,
    shared: Arc<Shared>,
    current: ArcSwap<Current>,
    idle: Mutex<Vec<Warm>>,
    permits: Semaphore,
}

/// What new instances are made of, and what the first of them said.
struct Current {
    generation: Arc<Generation>,
    interests: Interests,
}

/// A started instance.
pub(super) struct Warm {
    pub instance: Instance,
    pub guest: authorizer::Guest,
    generation: Arc<Generation>,
    interests: Interests,
    calls: u32,
    idle_since: Instant,
}

impl Pool {
    /// With a first instance, whose start decides whether there will be a pool.
    pub async fn new(template: Template, shared: Arc<Shared>, generation: Arc<Generation>) -> Result<Self> {
        let exports = authorizer::GuestIndices::new(&template.pre)
            .map_err(|e| Error::invalid(format!("the plugin does not fit this engine: {e:#}")))?;
        let first = make(&template, &exports, &shared, &generation).await.map_err(|e| Error::invalid(e.to_string()))?;
        let current = ArcSwap::from_pointee(Current { generation, interests: first.interests });
        let permits = Semaphore::new(shared.bounds.instances);
        Ok(Self { template, exports, shared, current, idle: Mutex::new(vec![first]), permits })
    }

    pub fn interests(&self) -> Interests {
        self.current.load().interests
    }

    /// Replaces all instances by those of a new generation, when its first one starts and takes a `reload`.
    ///
    /// # Errors
    /// What the plugin says; the old instances stay.
    pub async fn replace(&self, generation: Arc<Generation>) -> Result<()> {
        if self.permits.is_closed() {
            return Err(Error::conflict("it is stopped"));
        }
        let mut first = make(&self.template, &self.exports, &self.shared, &generation).await.map_err(|e| Error::invalid(e.to_string()))?;
        first.instance.reload(&self.shared).await.map_err(|e| Error::invalid(e.to_string()))?;
        let interests = first.interests;
        let mut idle = self.idle();
        self.current.store(Arc::new(Current { generation, interests }));
        let old = std::mem::replace(&mut *idle, vec![first]);
        drop(idle);
        drop(old);
        self.shared.supervisor.forgive();
        Ok(())
    }

    /// An instance for one call, and the time that is left for that.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Unavailable`] when the plugin is quarantined, stopped or busy, or cannot be started.
    pub async fn lease(&self) -> Result<(Lease<'_>, Duration)> {
        let began = Instant::now();
        self.shared.supervisor.admit(began).map_err(Error::unavailable)?;
        let limit = self.shared.bounds.deadline;
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(limit, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(Error::unavailable("it is stopped")),
                Err(_) => return Err(Error::unavailable(format!("it is busy: no instance became free within {limit:?}"))),
            },
        };
        let idle = self.idle().pop();
        let warm = match idle {
            Some(warm) => warm,
            None => {
                let generation = Arc::clone(&self.current.load().generation);
                make(&self.template, &self.exports, &self.shared, &generation).await.map_err(|e| {
                    self.failed("start", &e.to_string());
                    Error::unavailable(e.to_string())
                })?
            }
        };
        Ok((Lease { pool: self, warm, _permit: permit }, limit.saturating_sub(began.elapsed())))
    }

    /// Drops instances that had nothing to do for [`policy::IDLE`], but for the one that was used last.
    pub fn shrink(&self, now: Instant) {
        let mut idle = self.idle();
        let newest = idle.pop();
        let keep = |warm: &mut Warm| now.duration_since(warm.idle_since) < policy::IDLE;
        let old: Vec<Warm> = idle.extract_if(.., |warm| !keep(warm)).collect();
        idle.extend(newest);
        drop(idle);
        drop(old);
    }

    /// No more calls; those that are under way are waited for as long as they may take.
    pub async fn stop(&self) {
        let all = u32::try_from(self.shared.bounds.instances).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(self.shared.bounds.deadline + super::engine::TICK * 10, self.permits.acquire_many(all)).await;
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    fn failed(&self, function: &str, reason: &str) {
        let text = format!("{function}: {reason}");
        self.shared.journal.write(&self.shared.name, Level::Error, &text, Instant::now());
        if self.shared.supervisor.failure(Instant::now(), text) {
            tracing::error!(plugin = self.shared.name, reason, "plugin is quarantined");
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Warm>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes an instance, starts it, and asks what it wants.
async fn make(
    template: &Template,
    exports: &authorizer::GuestIndices,
    shared: &Arc<Shared>,
    generation: &Arc<Generation>,
) -> Result<Warm, NoResult> {
    let mut instance = Instance::new(template, shared, generation).await.map_err(NoResult::Failed)?;
    instance.start(shared).await?;
    let guest = exports.load(&mut instance.store, &instance.raw)?;
    let limit = arm(&mut instance.store, shared.bounds.deadline);
    let asked = async { guest.call_interests(&mut instance.store).await.map(Ok) };
    let wanted = call(shared, Function::Interests, limit, asked).await?;
    let interests = Interests { input: wanted.input, filter: wanted.filter };
    Ok(Warm { instance, guest, generation: Arc::clone(generation), interests, calls: 0, idle_since: Instant::now() })
}

/// An instance in use. Dropped, it is gone, since nobody knows what state it is in.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    pub warm: Warm,
    _permit: SemaphorePermit<'a>,
}

impl Lease<'_> {
    /// The call is over: the instance goes back, or away.
    ///
    /// # Errors
    /// Its failure, or what the plugin answered, in words.
    pub fn done<R>(self, function: &str, outcome: Result<R, NoResult>) -> Result<R> {
        let Self { pool, mut warm, _permit } = self;
        if let Err(NoResult::Failed(failure)) = &outcome {
            pool.failed(function, &failure.to_string());
        } else {
            if pool.shared.supervisor.success() {
                tracing::info!(plugin = pool.shared.name, "plugin works again");
            }
            warm.calls += 1;
            let mut idle = pool.idle();
            if warm.calls < policy::RECYCLE_AFTER
                && Arc::ptr_eq(&warm.generation, &pool.current.load().generation)
                && !pool.permits.is_closed()
            {
                warm.idle_since = Instant::now();
                idle.push(warm);
            }
        }
        outcome.map_err(|e| Error::system(e.to_string()))
    }
}
