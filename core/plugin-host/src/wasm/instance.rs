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
use std::{
    sync::Arc,
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
        arm(&mut store, limit);
        let raw = within(shared, limit, template.pre.instantiate_async(&mut store)).await?;
        let lifecycle = template.lifecycle.load(&mut store, &raw)?;
        Ok(Self { store, raw, lifecycle, deadline: limit })
    }

    /// The first call.
    pub async fn start(&mut self, shared: &Shared) -> Result<(), NoResult> {
        let limit = arm(&mut self.store, self.deadline);
        call(shared, Function::Start, limit, self.lifecycle.call_start(&mut self.store)).await
    }

    /// After [`Instance::start`].
    pub async fn reload(&mut self, shared: &Shared) -> Result<(), NoResult> {
        let limit = arm(&mut self.store, self.deadline);
        call(shared, Function::Reload, limit, self.lifecycle.call_reload(&mut self.store)).await
    }

    /// A timer went off.
    pub async fn wake(&mut self, shared: &Shared, timer: &str) -> Result<(), NoResult> {
        let limit = arm(&mut self.store, self.deadline);
        call(shared, Function::Wake, limit, self.lifecycle.call_wake(&mut self.store, timer)).await
    }
}

/// Sets the deadline of the next call.
pub(super) fn arm(store: &mut Store<Cx>, limit: Duration) -> Duration {
    store.data_mut().deadline = Instant::now() + limit;
    store.set_epoch_deadline(1);
    limit
}

/// A call of an armed instance, counted.
pub(super) async fn call<R>(
    shared: &Shared,
    function: Function,
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<Result<R, String>>>,
) -> Result<R, NoResult> {
    let began = Instant::now();
    let outcome = within(shared, limit, call).await;
    let counted = match &outcome {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(failure) => Err(Some(failure)),
    };
    shared.statistics.count(function, began.elapsed(), counted);
    outcome.map_err(NoResult::Failed)?.map_err(NoResult::Answered)
}

/// The running code looks at its time itself; this ends it while it waits for the host. `left` is what is left of its deadline, told in
/// whole milliseconds.
async fn within<R>(shared: &Shared, left: Duration, call: impl Future<Output = wasmtime::Result<R>>) -> Result<R, Failure> {
    match tokio::time::timeout(left, shared.around.turns.run(call)).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(_) => Err(Failure::Deadline(Duration::from_millis(u64::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)))),
    }
}
