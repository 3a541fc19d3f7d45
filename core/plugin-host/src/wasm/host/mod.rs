//! The interfaces of `wharf:host`, one file each where there is something to say.
//!
//! Only what was granted is linked ([`link`]); each implementation may rely on that.

mod files;
mod state;
mod timers;

use super::{
    bindings::host::{clock, config, files as files_wit, log, metrics, random, state as state_wit, timers as timers_wit},
    context::Cx,
    grant::Grants,
    journal::Level,
    permission::granted,
    secrets,
    series::Report,
};
use std::time::Instant;
use wasmtime::component::{HasSelf, Linker};
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::Timestamp;

/// Bytes of one call of `random`.
const RANDOM_MAX: u32 = 64 << 10;

/// Links what everybody has, and what was granted.
pub(super) fn link(linker: &mut Linker<Cx>, grants: &Grants, kinds: &[Kind]) -> wasmtime::Result<()> {
    config::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    log::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    clock::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    random::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    if granted("state", grants) {
        state_wit::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if granted("files", grants) {
        files_wit::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if granted("metrics", grants) {
        metrics::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if granted("timers", grants) {
        timers_wit::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    // A mount plan may have handles of secrets: every volume driver names the type, also one that can get none.
    if kinds.contains(&Kind::Volume) && !granted("secrets", grants) {
        secrets::link_type(linker)?;
    }
    Ok(())
}

impl config::Host for Cx {
    fn settings(&mut self) -> String {
        self.generation.settings.clone()
    }

    fn name(&mut self) -> String {
        self.shared.name.clone()
    }
}

impl log::Host for Cx {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.shared.journal.write(&self.shared.name, level, &message, Instant::now());
    }
}

impl clock::Host for Cx {
    fn now(&mut self) -> u64 {
        u64::try_from(Timestamp::now().nanos()).unwrap_or(0)
    }

    fn monotonic(&mut self) -> u64 {
        u64::try_from(self.shared.loaded.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn remaining(&mut self) -> u64 {
        u64::try_from(self.deadline.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX)
    }
}

impl random::Host for Cx {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        if length > RANDOM_MAX {
            return Err(wasmtime::format_err!("it asked for {length} random bytes at once, more than {RANDOM_MAX}"));
        }
        let mut bytes = vec![0; length as usize];
        getrandom::fill(&mut bytes).map_err(|e| wasmtime::format_err!("random numbers: {e}"))?;
        Ok(bytes)
    }
}

impl metrics::Host for Cx {
    fn add(&mut self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.shared.series.report(Report::Add, name, labels, value);
    }

    fn set(&mut self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.shared.series.report(Report::Set, name, labels, value);
    }

    fn observe(&mut self, name: String, labels: Vec<(String, String)>, seconds: f64) {
        self.shared.series.report(Report::Observe, name, labels, seconds);
    }
}

/// Runs what blocks elsewhere.
async fn elsewhere<R: Send + 'static>(work: impl FnOnce() -> Result<R, String> + Send + 'static) -> Result<R, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(e.to_string()))
}
