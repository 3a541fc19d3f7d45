//! The tick: running code is stopped every [`TICK`] to look at the time. Nothing ticks while nothing can run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};
use wasmtime::Engine;
use wharf_types::{Result, error::Context as _};

/// The slack of every deadline.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// How often it is seen whether there is an engine still.
const NAP: Duration = Duration::from_secs(5);

/// A thread that ticks.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

struct Shared {
    began: Instant,
    /// When the last deadline of all calls is, in microseconds from `began`.
    until: AtomicU64,
    asleep: AtomicBool,
}

impl Ticker {
    /// Starts the thread; it ends after the engine.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::System`] when there can be no more threads.
    pub fn start(engine: &Engine) -> Result<Self> {
        let shared = Arc::new(Shared { began: Instant::now(), until: AtomicU64::new(0), asleep: AtomicBool::new(false) });
        let (engine, state) = (engine.weak(), Arc::clone(&shared));
        let run = move || {
            while let Some(engine) = engine.upgrade() {
                thread::sleep(TICK);
                let over = state.is_over();
                // Once more after the last deadline, so that who missed it is stopped.
                engine.increment_epoch();
                drop(engine);
                if over {
                    // A call that begins now sees that this sleeps, or is seen here.
                    state.asleep.store(true, SeqCst);
                    if state.is_over() {
                        thread::park_timeout(NAP);
                    }
                    state.asleep.store(false, SeqCst);
                }
            }
        };
        let thread = thread::Builder::new().name("plugin-tick".into()).spawn(run).context("start the thread that ticks for plugins")?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Ticks until then, and once more.
    pub fn expect(&self, until: Instant) {
        self.shared.until.fetch_max(self.shared.at(until), SeqCst);
        if self.shared.asleep.load(SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.at(Instant::now()) > self.until.load(SeqCst)
    }

    fn at(&self, time: Instant) -> u64 {
        u64::try_from(time.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_between_calls() {
        let engine = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let wait = |asleep: bool| {
            while ticker.shared.asleep.load(SeqCst) != asleep {
                thread::sleep(Duration::from_millis(1));
            }
        };
        for _ in 0..3 {
            wait(true);
            ticker.expect(Instant::now() + TICK * 20);
            wait(false);
        }
    }
}
