//! The interfaces of `wharf:host`, one file each where there is something to say.
//!
//! Only what was granted is linked ([`link`]); each implementation may rely on that.

mod facts;
mod files;
mod http;
mod secrets;
pub(super) mod sockets;
mod state;
mod timers;

use super::{
    bindings::host::{
        clock, config, events, files as files_wit, http as http_wit, log, metrics, objects, random, secrets as secrets_wit,
        sockets as sockets_wit, state as state_wit, timers as timers_wit,
    },
    context::{Cx, HANDLES},
    grant::Grants,
    journal::Level,
    permission::granted,
    series::Report,
};
use std::time::Instant;
use wasmtime::component::{HasSelf, Linker, Resource};
use wharf_spi::plugin::PluginKind as Kind;

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
    let (http, sockets) = (granted("http", grants), granted("sockets", grants));
    // The others, and the mount plans of volume drivers, speak of its type. Who was not given a secret opens none, and cannot import the
    // function at all.
    if granted("secrets", grants) || http || sockets || kinds.contains(&Kind::Volume) {
        secrets_wit::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if http {
        http_wit::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if sockets {
        sockets_wit::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if granted("objects", grants) {
        objects::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
    }
    if granted("events", grants) {
        events::add_to_linker::<_, HasSelf<Cx>>(linker, |cx| cx)?;
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
        u64::try_from(self.shared.around.clock.now().nanos()).unwrap_or(0)
    }

    fn monotonic(&mut self) -> u64 {
        u64::try_from(self.shared.around.clock.monotonic(self.shared.loaded).as_nanos()).unwrap_or(u64::MAX)
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

/// Gives something to the plugin.
///
/// # Errors
/// In words, when it holds too much.
fn keep<T: Send + 'static>(cx: &mut Cx, entry: T) -> Result<Resource<T>, String> {
    cx.handles.push(entry).map_err(|_| format!("an instance holds {HANDLES} secrets and connections at the most"))
}
