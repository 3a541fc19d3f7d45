//! One instance of a component, and how it is called: with a deadline that also holds for what the host does on its behalf.

use super::{
    bindings::lifecycle,
    context::{Budget, Cx, Generation, HANDLES, Shared},
    failure::Failure,
    grant::Grants,
    host,
    policy::Bounds,
    statistics::Function,
};
use crate::words::cut;
use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use wasmtime::{
    Store, UpdateDeadline,
    component::{Component, Instance as Raw, InstancePre, Linker, ResourceTable},
};
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::{Error, Result};

/// What instances are made of.
#[derive(Clone)]
pub(super) struct Template {
    pub pre: InstancePre<Cx>,
    lifecycle: lifecycle::GuestIndices,
}

impl Template {
    /// Links what was granted.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when the types of an import or export are not ours.
    pub fn new(component: &Component, grants: &Grants, kinds: &[Kind]) -> Result<Self> {
        let unfit = |e: wasmtime::Error| Error::invalid(format!("the plugin does not fit this engine: {e:#}"));
        let mut linker = Linker::new(component.engine());
        host::link(&mut linker, grants, kinds).map_err(unfit)?;
        let pre = linker.instantiate_pre(component).map_err(unfit)?;
        let lifecycle = lifecycle::GuestIndices::new(&pre).map_err(unfit)?;
        Ok(Self { pre, lifecycle })
    }
}

pub(super) struct Instance {
    pub store: Store<Cx>,
    pub raw: Raw,
    pub lifecycle: lifecycle::Guest,
    /// For one call.
    pub deadline: Duration,
}

/// Why a call had no result.
#[derive(Debug)]
pub(super) enum NoResult {
    /// The plugin says so; it lives on.
    Answered(String),
    /// The instance is done for.
    Failed(Failure),
}

impl From<wasmtime::Error> for NoResult {
    fn from(error: wasmtime::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl std::fmt::Display for NoResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(text) => f.write_str(text),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl Instance {
    /// Makes one. Nothing but the initialisation of its memory has run then.
    pub async fn new(template: &Template, shared: &Arc<Shared>, generation: &Arc<Generation>, bounds: Bounds) -> Result<Self, Failure> {
        let limit = bounds.deadline;
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(HANDLES);
        let cx = Cx {
            shared: Arc::clone(shared),
            generation: Arc::clone(generation),
            deadline: Instant::now(),
            limit,
            budget: Budget::new(bounds.memory, Arc::clone(&shared.memory)),
            handles,
        };
        let mut store = Store::new(template.pre.engine(), cx);
        store.limiter(|cx| &mut cx.budget);
        // Every tick, running code lets others run (see `turns`), and sees whether its time is over.
        store.epoch_deadline_callback(|cx| {
            let Cx { deadline, limit, .. } = cx.data();
            if Instant::now() < *deadline { Ok(UpdateDeadline::Yield(1)) } else { Err(wasmtime::Error::new(Failure::Deadline(*limit))) }
        });
        let span = arm(&mut store, Span::of(limit));
        let raw = within(shared, span, template.pre.instantiate_async(&mut store)).await?;
        let lifecycle = template.lifecycle.load(&mut store, &raw)?;
        Ok(Self { store, raw, lifecycle, deadline: limit })
    }

    /// The first call.
    pub async fn start(&mut self, shared: &Shared) -> Result<(), NoResult> {
        let span = arm(&mut self.store, Span::of(self.deadline));
        call(shared, Function::Start, span, self.lifecycle.call_start(&mut self.store)).await
    }

    /// After [`Instance::start`].
    pub async fn reload(&mut self, shared: &Shared) -> Result<(), NoResult> {
        let span = arm(&mut self.store, Span::of(self.deadline));
        call(shared, Function::Reload, span, self.lifecycle.call_reload(&mut self.store)).await
    }

    /// A timer went off.
    pub async fn wake(&mut self, shared: &Shared, timer: &str) -> Result<(), NoResult> {
        let span = arm(&mut self.store, Span::of(self.deadline));
        call(shared, Function::Wake, span, self.lifecycle.call_wake(&mut self.store, timer)).await
    }
}

/// The time of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub began: Instant,
    /// How long it may take.
    pub limit: Duration,
}

impl Span {
    /// It begins now.
    pub fn of(limit: Duration) -> Self {
        Self { began: Instant::now(), limit }
    }

    /// What is left of it.
    pub fn rest(self) -> Self {
        let now = Instant::now();
        Self { began: now, limit: self.until().saturating_duration_since(now) }
    }

    fn until(self) -> Instant {
        self.began + self.limit
    }
}

/// Sets the deadline of the next call.
pub(super) fn arm(store: &mut Store<Cx>, span: Span) -> Span {
    let cx = store.data_mut();
    cx.deadline = span.until();
    cx.shared.around.ticker.expect(cx.deadline);
    store.set_epoch_deadline(1);
    span
}

/// A call of an armed instance, counted.
pub(super) async fn call<R>(
    shared: &Shared,
    function: Function,
    span: Span,
    call: impl Future<Output = wasmtime::Result<Result<R, String>>>,
) -> Result<R, NoResult> {
    let outcome = within(shared, span, call).await;
    let counted = match &outcome {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(failure) => Err(Some(failure)),
    };
    shared.statistics.count(function, span.began.elapsed(), counted);
    outcome.map_err(NoResult::Failed)?.map_err(|text| NoResult::Answered(cut(text)))
}

/// The running code looks at its time itself; this ends it while it waits for the host, or for its turn. Most calls wait for nobody:
/// they need no timer.
async fn within<R>(shared: &Shared, span: Span, call: impl Future<Output = wasmtime::Result<R>>) -> Result<R, Failure> {
    let mut call = pin!(call);
    if let Poll::Ready(outcome) = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
        return outcome.map_err(Failure::from);
    }
    match tokio::time::timeout_at(span.until().into(), shared.around.turns.run(span.began, call)).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        // Told in whole milliseconds.
        Err(_) => Err(Failure::Deadline(Duration::from_millis(u64::try_from(span.limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)))),
    }
}
