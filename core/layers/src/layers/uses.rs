//! Who needs a mounted root file system: the container that runs in it, and whoever borrows it for a moment.

use super::Layers;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wharf_types::{ContainerId, Result};

/// Per container, so that a slow mount holds up nobody else.
#[derive(Debug, Default)]
pub(super) struct Uses(Mutex<HashMap<ContainerId, Arc<Mutex<Use>>>>);

#[derive(Debug, Default)]
struct Use {
    borrowers: usize,
    /// The last borrower unmounts it.
    release: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uses {
    fn of(&self, id: &ContainerId) -> Arc<Mutex<Use>> {
        lock(&self.0).entry(id.clone()).or_default().clone()
    }

    /// Mounts it for its container.
    pub(super) fn mount(&self, id: &ContainerId, mount: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
        let all = self.of(id);
        let mut uses = lock(&all);
        let path = mount()?;
        uses.release = false;
        Ok(path)
    }

    /// Its container needs it no more.
    pub(super) fn unmount(&self, id: &ContainerId, unmount: impl FnOnce() -> Result<()>) -> Result<()> {
        let all = self.of(id);
        let mut uses = lock(&all);
        uses.release = uses.borrowers > 0;
        if uses.release { Ok(()) } else { unmount() }
    }

    /// Unmounts it whoever uses it: it is being removed.
    pub(super) fn forget(&self, id: &ContainerId, unmount: impl FnOnce() -> Result<()>) -> Result<()> {
        let all = self.of(id);
        let uses = lock(&all);
        unmount()?;
        drop(uses);
        lock(&self.0).remove(id);
        Ok(())
    }
}

/// A root file system that stays mounted as long as this exists.
#[derive(Debug)]
pub struct Borrowed {
    layers: Arc<Layers>,
    id: ContainerId,
    uses: Arc<Mutex<Use>>,
    path: PathBuf,
}

impl Layers {
    /// Makes a container's root file system visible for a moment, whether its container runs or not.
    ///
    /// # Errors
    /// As [`Layers::mount`].
    pub fn borrow(self: &Arc<Self>, id: &ContainerId) -> Result<Borrowed> {
        let all = self.uses.of(id);
        let mut uses = lock(&all);
        let idle = uses.borrowers == 0 && !self.is_mounted(id);
        let path = self.mount_now(id)?;
        uses.borrowers += 1;
        uses.release |= idle;
        drop(uses);
        Ok(Borrowed { layers: Arc::clone(self), id: id.clone(), uses: all, path })
    }
}

impl Borrowed {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut uses = lock(&self.uses);
        uses.borrowers -= 1;
        if uses.borrowers == 0 && std::mem::take(&mut uses.release) {
            let unmounted = self.layers.driver.unmount(&self.layers.rw_dir(&self.id));
            if let Err(e) = unmounted {
                tracing::warn!(container = ?self.id, error = %e, "left mounted for the next start");
            }
        }
    }
}
