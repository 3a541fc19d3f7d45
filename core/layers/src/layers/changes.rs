//! What containers changed, as the books and the driver know it.

use super::Layers;
use crate::diff::{Change, Difference};
use std::{io::Write, sync::Arc};
use wharf_types::{ContainerId, Result, error::Context};

impl Layers {
    /// What a container changed.
    ///
    /// # Errors
    /// As [`Layers::mount`], and `System` when its layer cannot be read.
    pub fn changes(self: &Arc<Self>, id: &ContainerId) -> Result<Vec<Change>> {
        self.difference(id, |d| d.changes())
    }

    /// Writes what a container changed as a layer tar.
    ///
    /// # Errors
    /// As [`Layers::changes`], and of `out`.
    pub fn pack_changes(self: &Arc<Self>, id: &ContainerId, out: impl Write) -> Result<()> {
        self.difference(id, |d| d.pack(out))
    }

    fn difference<T>(self: &Arc<Self>, id: &ContainerId, work: impl FnOnce(&Difference) -> std::io::Result<T>) -> Result<T> {
        let stack = self.stack_of(id)?;
        self.state().check(&stack)?;
        let mut below = self.contents(&stack.layers);
        if self.driver.parents_first() {
            // Each layer holds those below it as well.
            below.truncate(1);
        }
        let what = || format!("compare container {} with its image", id.short());
        if let Some(changed) = self.driver.written(&self.rw_dir(id)) {
            return work(&Difference { changed, whole: false, below }).context(what());
        }
        let borrowed = self.borrow(id)?;
        work(&Difference { changed: borrowed.path().to_owned(), whole: true, below }).context(what())
    }
}
