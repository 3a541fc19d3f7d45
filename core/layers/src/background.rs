//! Work that nobody should wait for: deleting trees, and ending overlays, for which the kernel syncs the whole file system of the upper
//! layer (`ovl_sync_fs`): milliseconds at best, much more while others write.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs one after another on a thread that lives while there are any. Dropping it waits for all of them.
#[derive(Default)]
pub(crate) struct Background(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(PathBuf, Job)>,
    /// How many jobs of a path are not done.
    pending: HashMap<PathBuf, usize>,
    running: bool,
}

impl Background {
    /// Runs `job`, which concerns `path`, soon.
    pub(crate) fn run(&self, path: PathBuf, job: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state();
        *state.pending.entry(path.clone()).or_default() += 1;
        state.queue.push_back((path, Box::new(job)));
        if !state.running {
            let shared = Arc::clone(&self.0);
            state.running = std::thread::Builder::new().name("layers".to_owned()).spawn(move || shared.work()).is_ok();
        }
        if !state.running {
            // No thread to be had: then here.
            drop(state);
            self.0.work();
        }
    }

    /// Returns when no job concerns `path`.
    pub(crate) fn wait_for(&self, path: &Path) {
        drop(self.0.changed.wait_while(self.0.state(), |s| s.pending.contains_key(path)));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.0.changed.wait_while(self.0.state(), |s| !s.pending.is_empty()));
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").field("pending", &self.0.state().pending).finish()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.state();
        while let Some((path, job)) = state.queue.pop_front() {
            drop(state);
            job();
            state = self.state();
            if let Some(count) = state.pending.get_mut(&path) {
                *count -= 1;
                if *count == 0 {
                    state.pending.remove(&path);
                }
            }
            self.changed.notify_all();
        }
        state.running = false;
    }
}
