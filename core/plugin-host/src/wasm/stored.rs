//! What plugins store, by name: opened once, however many of a name are loaded at the same moment, as in an upgrade.

use super::{private, state::Store, timers::Timers};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use wharf_types::{Result, error::Context};

pub(super) struct Stored {
    root: PathBuf,
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    state: BTreeMap<PathBuf, Weak<Store>>,
    timers: BTreeMap<PathBuf, Weak<Timers>>,
}

impl Stored {
    pub fn open(root: &Path) -> Result<Self> {
        private::directory(root)?;
        Ok(Self { root: root.to_owned(), opened: Mutex::default() })
    }

    /// A plugin's keys and values; the quota is that of the first who asks. Blocks.
    pub fn state(&self, plugin: &str, quota: u64) -> Result<Arc<Store>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        shared(&mut opened.state, private::path_of(&self.root, plugin)?, |dir| Store::open(dir, quota))
    }

    /// Removes what a plugin of this name stored. Who still has it keeps it to himself. Blocks.
    pub fn remove(&self, plugin: &str) -> Result<()> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = private::path_of(&self.root, plugin)?;
        opened.state.remove(&dir);
        opened.timers.remove(&dir);
        remove(&self.root, plugin)
    }

    /// A plugin's timers. Blocks.
    pub fn timers(&self, plugin: &str) -> Result<Arc<Timers>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        shared(&mut opened.timers, private::path_of(&self.root, plugin)?, Timers::open)
    }
}

/// Removes what a plugin of this name stored below `root`, where no host is. Blocks.
///
/// # Errors
/// [`wharf_types::ErrorKind::System`] naming the directory.
pub(crate) fn remove(root: &Path, plugin: &str) -> Result<()> {
    let path = private::path_of(root, plugin)?;
    match std::fs::remove_dir_all(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(format_args!("remove {}", path.display())),
        _ => Ok(()),
    }
}

fn shared<T>(all: &mut BTreeMap<PathBuf, Weak<T>>, dir: PathBuf, open: impl FnOnce(&Path) -> Result<T>) -> Result<Arc<T>> {
    all.retain(|_, opened| opened.strong_count() > 0);
    if let Some(opened) = all.get(&dir).and_then(Weak::upgrade) {
        return Ok(opened);
    }
    private::directory(&dir)?;
    let opened = Arc::new(open(&dir)?);
    all.insert(dir, Arc::downgrade(&opened));
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::state::Change;

    #[test]
    fn two_of_a_name_see_each_others_changes() {
        let tmp = tempfile::tempdir().unwrap();
        let stored = Stored::open(tmp.path()).unwrap();
        let (old, new) = (stored.state("p", 1_000).unwrap(), stored.state("p", 1_000).unwrap());
        let other = stored.state("q", 1_000).unwrap();
        old.commit(&[Change::Put("k".to_owned(), vec![1])]).unwrap();
        assert_eq!((new.get("k"), other.get("k")), (Some(vec![1]), None));
        drop((old, new));
        let again = stored.state("p", 1_000).unwrap();
        assert_eq!(again.get("k"), Some(vec![1]), "it is on disk");
        stored.remove("p").unwrap();
        stored.remove("p").unwrap();
        assert_eq!(stored.state("p", 1_000).unwrap().get("k"), None);
        remove(tmp.path(), "p").unwrap();
        assert!(!tmp.path().join("p").exists());
    }
}
