//! Warm instances of one kind of a plugin: one call each at a time, more of them as they are needed and allowed.

use super::{
    context::{Cx, Generation, Shared},
    failure::Failure,
    instance::{Instance, NoResult, Span, Template},
    journal::Level,
    policy::{self, Bounds},
    statistics::Function,
};
use crate::words::cut;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::component::InstancePre;
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::{Error, Result};

/// A kind: where its functions are in an instance, and what an instance says of itself.
pub(super) trait Export: Send + Sync + 'static {
    const KIND: Kind;
    /// Where its functions are in the component.
    type Indices: Send + Sync;
    /// Its functions in an instance.
    type Guest: Send + Sync;
    /// What every instance is asked once, after its start.
    type Said: Clone + Send + Sync;

    fn find(pre: &InstancePre<Cx>) -> wasmtime::Result<Self::Indices>;
    fn load(indices: &Self::Indices, instance: &mut Instance) -> wasmtime::Result<Self::Guest>;
    fn ask(guest: &Self::Guest, instance: &mut Instance, shared: &Shared) -> impl Future<Output = Result<Self::Said, NoResult>> + Send;
}

pub(super) struct Pool<E: Export> {
    template: Template,
    exports: E::Indices,
    pub shared: Arc<Shared>,
    bounds: Bounds,
    current: ArcSwap<Current<E>>,
    idle: Mutex<Vec<Box<Warm<E>>>>,
    permits: Semaphore,
    made: AtomicU64,
}

/// What new instances are made of, and what the first of them said.
struct Current<E: Export> {
    generation: Arc<Generation>,
    said: E::Said,
}

/// A started instance.
pub(super) struct Warm<E: Export> {
    pub instance: Instance,
    pub guest: E::Guest,
    /// Tells it from all others of the pool.
    pub number: u64,
    generation: Arc<Generation>,
    said: E::Said,
    calls: u32,
    /// When its last call began.
    last_used: Instant,
}

/// Lets a new generation replace the present one.
pub(super) type Adopt = Box<dyn FnOnce() + Send>;

/// What all pools of a plugin have in common.
#[async_trait]
pub(super) trait Instances: Send + Sync {
    /// Makes a first instance of a new generation, which starts and takes a `reload`. Everything stays as it is until it is adopted.
    ///
    /// # Errors
    /// What the plugin says.
    async fn prepare(self: Arc<Self>, generation: Arc<Generation>) -> Result<Adopt>;
    /// Drops instances that had nothing to do for [`policy::IDLE`], but for the one that was used last.
    fn shrink(&self, now: Instant);
    /// Tells an instance that a timer went off. Whether it was told, well or not.
    async fn wake(&self, timer: &str) -> bool;
    /// No more calls; those that are under way are waited for as long as they may take.
    async fn stop(&self);
}

impl<E: Export> Pool<E> {
    /// With a first instance, whose start decides whether there will be a pool.
    pub async fn new(template: Template, shared: Arc<Shared>, generation: Arc<Generation>, bounds: Bounds) -> Result<Self> {
        let exports = E::find(&template.pre).map_err(|e| Error::invalid(format!("the plugin does not fit this engine: {e:#}")))?;
        let first = make::<E>(&template, &exports, &shared, &generation, bounds, 0).await.map_err(unfit)?;
        let current = ArcSwap::from_pointee(Current { generation, said: first.said.clone() });
        let permits = Semaphore::new(bounds.instances);
        Ok(Self { template, exports, shared, bounds, current, idle: Mutex::new(vec![first]), permits, made: AtomicU64::new(1) })
    }

    /// What the first instance said.
    pub fn said(&self) -> E::Said {
        self.current.load().said.clone()
    }

    async fn make(&self, generation: &Arc<Generation>) -> Result<Box<Warm<E>>, NoResult> {
        let number = self.made.fetch_add(1, Relaxed);
        make(&self.template, &self.exports, &self.shared, generation, self.bounds, number).await
    }

    /// An instance for one call, and the time of that.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Unavailable`] when the plugin is quarantined, stopped or busy, or cannot be started.
    pub async fn lease(&self) -> Result<(Lease<'_, E>, Span)> {
        // The clock is read again only after something was waited for.
        let mut span = Span::of(self.bounds.deadline);
        self.shared.supervisor.admit(span.began).map_err(Error::unavailable)?;
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(span.limit, self.permits.acquire()).await {
                Ok(Ok(permit)) => {
                    span = span.rest();
                    permit
                }
                Ok(Err(_)) => return Err(Error::unavailable("it is stopped")),
                Err(_) => return Err(busy(span.limit)),
            },
        };
        let idle = self.idle().pop();
        let mut warm = match idle {
            Some(warm) => warm,
            None => {
                let generation = Arc::clone(&self.current.load().generation);
                // A caller waits for its deadline, and not for that of a start besides.
                let made = match tokio::time::timeout(span.limit, self.make(&generation)).await {
                    Ok(made) => made,
                    // It is not to blame for the time that others took.
                    Err(_) if span.limit < self.bounds.deadline / 2 => return Err(busy(self.bounds.deadline)),
                    Err(_) => Err(NoResult::Failed(Failure::Deadline(self.bounds.deadline))),
                };
                span = span.rest();
                made.map_err(|e| {
                    self.failed(Function::Start, &e);
                    Error::unavailable(e.to_string())
                })?
            }
        };
        warm.last_used = span.began;
        Ok((Lease { pool: self, warm, _permit: permit }, span))
    }

    fn failed(&self, function: Function, reason: &NoResult) {
        if matches!(reason, NoResult::Failed(Failure::Crowded)) {
            return;
        }
        let reason = reason.to_string();
        let text = format!("{}: {reason}", function.name());
        self.shared.journal.tell(&self.shared.name, Level::Error, &text);
        if self.shared.supervisor.failure(Instant::now(), text) {
            tracing::error!(plugin = self.shared.name, reason, "plugin is quarantined");
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Box<Warm<E>>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<E: Export> Instances for Pool<E> {
    async fn prepare(self: Arc<Self>, generation: Arc<Generation>) -> Result<Adopt> {
        if self.permits.is_closed() {
            return Err(Error::conflict("it is stopped"));
        }
        let mut first = self.make(&generation).await.map_err(unfit)?;
        first.instance.reload(&self.shared).await.map_err(unfit)?;
        Ok(Box::new(move || {
            let mut idle = self.idle();
            self.current.store(Arc::new(Current { generation, said: first.said.clone() }));
            let old = std::mem::replace(&mut *idle, vec![first]);
            drop(idle);
            drop(old);
        }))
    }

    fn shrink(&self, now: Instant) {
        let mut idle = self.idle();
        let newest = idle.pop();
        let keep = |warm: &Warm<E>| now.duration_since(warm.last_used) < policy::IDLE;
        let old: Vec<Box<Warm<E>>> = idle.extract_if(.., |warm| !keep(warm)).collect();
        idle.extend(newest);
        drop(idle);
        drop(old);
    }

    async fn wake(&self, timer: &str) -> bool {
        let Ok((mut lease, _)) = self.lease().await else { return false };
        let outcome = lease.warm.instance.wake(&self.shared, timer).await;
        let told = !matches!(outcome, Err(NoResult::Failed(_)));
        if let Err(e) = lease.done(Function::Wake, outcome, |(), _| Ok(())) {
            self.shared.journal.write(&self.shared.name, Level::Error, &format!("timer {timer}: {e}"), Instant::now());
        }
        told
    }

    async fn stop(&self) {
        let all = u32::try_from(self.bounds.instances).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(self.bounds.deadline + super::ticker::TICK * 10, self.permits.acquire_many(all)).await;
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }
}

/// Makes an instance, starts it, and asks what it wants.
async fn make<E: Export>(
    template: &Template,
    exports: &E::Indices,
    shared: &Arc<Shared>,
    generation: &Arc<Generation>,
    bounds: Bounds,
    number: u64,
) -> Result<Box<Warm<E>>, NoResult> {
    let mut instance = Instance::new(template, shared, generation, bounds).await.map_err(NoResult::Failed)?;
    instance.start(shared).await?;
    let guest = E::load(exports, &mut instance)?;
    let said = E::ask(&guest, &mut instance, shared).await?;
    let warm = Warm { instance, guest, number, generation: Arc::clone(generation), said, calls: 0, last_used: Instant::now() };
    Ok(Box::new(warm))
}

/// An instance in use. Dropped, it is gone, since nobody knows what state it is in.
pub(super) struct Lease<'a, E: Export> {
    pool: &'a Pool<E>,
    pub warm: Box<Warm<E>>,
    _permit: SemaphorePermit<'a>,
}

impl<E: Export> Lease<'_, E> {
    /// The call is over: what it answered is checked, and the instance goes back, or away.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] with what the plugin answered, [`wharf_types::ErrorKind::Unavailable`] with its failure,
    /// in words. What `check` says against an answer is one.
    pub fn done<R, T>(
        self,
        function: Function,
        outcome: Result<R, NoResult>,
        check: impl FnOnce(R, &mut Cx) -> Result<T, String>,
    ) -> Result<T> {
        let Self { pool, mut warm, _permit } = self;
        let whole = Failure::Deadline(pool.bounds.deadline);
        let outcome = match outcome {
            // Some of the time may have gone by before the call: what is known of it is the whole.
            Err(NoResult::Failed(Failure::Deadline(_))) => Err(NoResult::Failed(whole)),
            other => other,
        };
        let outcome = outcome.and_then(|answer| {
            check(answer, warm.instance.store.data_mut()).map_err(|what| {
                pool.shared.statistics.nonsense(function);
                NoResult::Failed(Failure::Nonsense(cut(what)))
            })
        });
        if let Err(failure @ NoResult::Failed(_)) = &outcome {
            pool.failed(function, failure);
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
                idle.push(warm);
            }
        }
        outcome.map_err(|e| match e {
            NoResult::Answered(text) => Error::system(text),
            NoResult::Failed(failure) => Error::unavailable(failure.to_string()),
        })
    }
}

/// A kind whose instances are asked nothing after their start; `wit` is what was generated for its interface.
macro_rules! export {
    ($name:ident, $kind:expr) => {
        impl $crate::wasm::pool::Export for $name {
            const KIND: wharf_spi::plugin::PluginKind = $kind;
            type Indices = wit::GuestIndices;
            type Guest = wit::Guest;
            type Said = ();

            fn find(pre: &wasmtime::component::InstancePre<$crate::wasm::context::Cx>) -> wasmtime::Result<Self::Indices> {
                wit::GuestIndices::new(pre)
            }
            fn load(indices: &Self::Indices, instance: &mut $crate::wasm::instance::Instance) -> wasmtime::Result<Self::Guest> {
                indices.load(&mut instance.store, &instance.raw)
            }
            async fn ask(
                _: &Self::Guest,
                _: &mut $crate::wasm::instance::Instance,
                _: &$crate::wasm::context::Shared,
            ) -> Result<(), $crate::wasm::instance::NoResult> {
                Ok(())
            }
        }
    };
}
pub(super) use export;

/// Calls a function of a leased instance, and checks its answer.
macro_rules! ask {
    ($pool:expr, $function:ident, $method:ident($($argument:expr),*), $check:expr) => {{
        let (mut lease, span) = $pool.lease().await?;
        let $crate::wasm::pool::Warm { instance, guest, .. } = &mut *lease.warm;
        $crate::wasm::instance::arm(&mut instance.store, span);
        let function = $crate::wasm::statistics::Function::$function;
        let outcome =
            $crate::wasm::instance::call(&$pool.shared, function, span, guest.$method(&mut instance.store $(, $argument)*)).await;
        lease.done(function, outcome, $check)
    }};
}
pub(super) use ask;

fn busy(limit: Duration) -> Error {
    Error::unavailable(format!("it is busy: no instance became free within {limit:?}"))
}

/// Why there is no first instance.
fn unfit(e: NoResult) -> Error {
    match e {
        NoResult::Failed(Failure::Crowded) => Error::unavailable(e.to_string()),
        _ => Error::invalid(e.to_string()),
    }
}

/// What the plugin answered against something that its user gave.
pub(super) fn refusal(e: Error) -> Error {
    if e.kind() == wharf_types::ErrorKind::System { Error::invalid(e.message()) } else { e }
}

/// When a plugin wants to be asked again, in milliseconds: within bounds that neither hammer it nor forget it.
pub(super) fn again(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds.clamp(100, 3_600_000))
}
