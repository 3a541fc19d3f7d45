//! What plugins store, opened once for all that are loaded under one name: while a plugin is replaced, its old and its new version run
//! side by side, and neither may write over what the other has written.

use super::{private, state::Store, timers::Timers};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use wharf_types::Result;

/// Everything that is open below one directory.
pub(super) struct Stored {
    root: PathBuf,
    open: Mutex<BTreeMap<String, Open>>,
}

#[derive(Default)]
struct Open {
    state: Weak<Store>,
    timers: Weak<Timers>,
}

impl Stored {
    pub fn new(root: PathBuf) -> Self {
        Self { root, open: Mutex::default() }
    }

    /// The directory of a plugin, made if it was not there.
    fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = private::path_of(&self.root, name)?;
        private::directory(&dir)?;
        Ok(dir)
    }

    /// The state of a plugin. The quota of whoever opened it holds as long as it is open. Blocks.
    pub fn state(&self, name: &str, quota: u64) -> Result<Arc<Store>> {
        self.shared(name, |open| &mut open.state, |dir| Store::open(dir, quota))
    }

    /// The timers of a plugin. Blocks.
    pub fn timers(&self, name: &str) -> Result<Arc<Timers>> {
        self.shared(name, |open| &mut open.timers, Timers::open)
    }

    fn shared<T>(&self, name: &str, place: fn(&mut Open) -> &mut Weak<T>, make: impl FnOnce(&Path) -> Result<T>) -> Result<Arc<T>> {
        let dir = self.dir(name)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, open| open.state.strong_count() + open.timers.strong_count() > 0);
        if let Some(there) = open.get_mut(name).and_then(|open| place(open).upgrade()) {
            return Ok(there);
        }
        let made = Arc::new(make(&dir)?);
        *place(open.entry(name.to_owned()).or_default()) = Arc::downgrade(&made);
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Change;
    use super::*;

    #[test]
    fn two_of_one_name_see_the_same() {
        let tmp = tempfile::tempdir().unwrap();
        let stored = Stored::new(tmp.path().to_owned());
        let (old, new) = (stored.state("p", 1 << 20).unwrap(), stored.state("p", 1 << 20).unwrap());
        old.commit(&[Change::Put("a".to_owned(), b"1".to_vec())]).unwrap();
        new.commit(&[Change::Put("b".to_owned(), b"2".to_vec())]).unwrap();
        drop(old);
        assert_eq!(new.get("a"), Some(b"1".to_vec()));
        drop(new);
        let again = stored.state("p", 1 << 20).unwrap();
        assert_eq!((again.get("a"), again.get("b")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
        assert_eq!(stored.state("q", 1 << 20).unwrap().get("a"), None);
        assert!(Arc::ptr_eq(&stored.timers("p").unwrap(), &stored.timers("p").unwrap()));
    }
}
