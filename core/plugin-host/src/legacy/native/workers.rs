//! Threads for calls that may never return. They are the plugin's own: one that hangs costs its plugin a thread, not the daemon one
//! of those that files are read with, and it does not keep the daemon from ending.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};
use tokio::sync::oneshot;
use wharf_types::{Error, Result};

/// Threads of one plugin at the most. With more calls than this at once, it does not answer any.
const MAX: usize = 16;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that are started when needed and stay.
#[derive(Default)]
pub struct Workers {
    idle: Mutex<Vec<mpsc::Sender<Job>>>,
    threads: AtomicUsize,
}

impl Workers {
    /// Runs a function on one of the threads. A caller that goes away leaves it running there.
    ///
    /// # Errors
    /// 503 when all threads are taken; 500 when one cannot be started, and when the function panics.
    pub async fn run<T: Send + 'static>(self: &Arc<Self>, what: &str, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let worker = self.worker(what)?;
        let (pool, home) = (Arc::downgrade(self), worker.clone());
        let job = Box::new(move || {
            let done = job();
            // First back, then heard of: who calls again finds this thread.
            if let Some(pool) = pool.upgrade() {
                pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(home);
            }
            _ = answer.send(done);
        });
        let failed = || Error::system(format!("{what}: the plugin's thread has ended"));
        worker.send(job).map_err(|_| failed())?;
        answered.await.map_err(|_| failed())
    }

    fn worker(self: &Arc<Self>, what: &str) -> Result<mpsc::Sender<Job>> {
        if let Some(worker) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(worker);
        }
        let more = |n| (n < MAX).then_some(n + 1);
        if self.threads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(Error::unavailable(format!("{what}: all {MAX} threads of the plugin are busy")));
        }
        let (worker, jobs) = mpsc::channel::<Job>();
        let place = Place(Arc::downgrade(self));
        let run = move || {
            let _place = place;
            jobs.into_iter().for_each(|job| job());
        };
        thread::Builder::new().name("native-plugin".to_owned()).spawn(run).map_err(|e| Error::system(format!("{what}: {e}")))?;
        Ok(worker)
    }
}

/// A thread's place in the count; its end is the thread's, or that there was none to be had.
struct Place(Weak<Workers>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.threads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
