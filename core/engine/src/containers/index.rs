//! Which containers there are: by id, by name, by prefix. Rebuilt from the documents at boot, so it cannot disagree with them.

use super::actor::{Command, Published};
use crate::judged;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use tokio::sync::{mpsc, watch};
use wharf_spi::authz::ObjectKind;
use wharf_types::{ContainerId, ContainerName, Error, Result};

/// How to talk to a container's actor and what it last published.
#[derive(Clone)]
pub struct Handle {
    /// Changes go here.
    pub commands: mpsc::Sender<Command>,
    /// Reads come from here.
    pub published: watch::Receiver<Published>,
}

#[derive(Default)]
struct Maps {
    handles: BTreeMap<ContainerId, Handle>,
    names: HashMap<ContainerName, ContainerId>,
}

/// The index. Never locked across an await.
#[derive(Default)]
pub struct Index {
    maps: RwLock<Maps>,
    /// Held shared while an image is being looked up and put to use, or loaded; held alone while one is deleted.
    pub image_gate: tokio::sync::RwLock<()>,
}

impl Index {
    fn read(&self) -> RwLockReadGuard<'_, Maps> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn write(&self) -> RwLockWriteGuard<'_, Maps> {
        self.maps.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Full id, then name, then unique id prefix; in a request that was judged, what that was when it was judged.
    ///
    /// # Errors
    /// 404 `No such container: TEXT`, 400 for an ambiguous prefix.
    pub fn resolve(&self, text: &str) -> Result<Handle> {
        let judged = judged::id_of(ObjectKind::Container, text);
        let maps = self.read();
        match judged {
            None => maps.find(text),
            Some(id) => maps.handles.get(id.as_str()).cloned().ok_or_else(|| maps.find(text).err().unwrap_or_else(|| missing(text))),
        }
    }

    /// Every container, in no particular order.
    pub fn all(&self) -> Vec<Handle> {
        self.read().handles.values().cloned().collect()
    }

    /// Takes a name for a container that is being made or renamed.
    ///
    /// # Errors
    /// 409 in Docker's exact words when it is taken.
    pub fn reserve(self: &Arc<Self>, name: ContainerName, id: &ContainerId) -> Result<Reservation> {
        let mut maps = self.write();
        if let Some(owner) = maps.names.get(&name) {
            return Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". \
                 You have to remove (or rename) that container to be able to reuse that name."
            )));
        }
        maps.names.insert(name.clone(), id.clone());
        Ok(Reservation { index: self.clone(), name: Some(name) })
    }

    /// Makes a container visible; its name was reserved before.
    pub fn insert(&self, id: ContainerId, handle: Handle) {
        self.write().handles.insert(id, handle);
    }

    /// Forgets a container and frees its name.
    pub fn remove(&self, id: &ContainerId, name: &ContainerName) {
        let mut maps = self.write();
        maps.handles.remove(id.as_str());
        maps.names.remove(name);
    }

    /// Frees a name.
    pub fn release(&self, name: &ContainerName) {
        self.write().names.remove(name);
    }
}

impl Maps {
    fn find(&self, text: &str) -> Result<Handle> {
        if let Some(handle) = self.handles.get(text) {
            return Ok(handle.clone());
        }
        let named = text.parse::<ContainerName>().ok().and_then(|name| self.names.get(&name));
        if let Some(handle) = named.and_then(|id| self.handles.get(id)) {
            return Ok(handle.clone());
        }
        if text.is_empty() {
            return Err(missing(text));
        }
        let from = (std::ops::Bound::Included(text), std::ops::Bound::Unbounded);
        let mut matches = self.handles.range::<str, _>(from).take_while(|(id, _)| id.as_str().starts_with(text));
        match (matches.next(), matches.next()) {
            (Some((_, handle)), None) => Ok(handle.clone()),
            (Some(_), Some(_)) => Err(Error::invalid(format!("multiple IDs found with provided prefix: {text}"))),
            (None, _) => Err(missing(text)),
        }
    }
}

fn missing(text: &str) -> Error {
    Error::not_found(format!("No such container: {text}"))
}

/// A name taken; freed again when dropped before [`Reservation::keep`].
pub struct Reservation {
    index: Arc<Index>,
    name: Option<ContainerName>,
}

impl Reservation {
    /// The name belongs to its container from now on.
    pub fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.index.release(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Judged;
    use wharf_spi::authz::Object;

    fn index_of(ids: &[&str]) -> Arc<Index> {
        let index = Arc::new(Index::default());
        for id in ids {
            let id: ContainerId = format!("{id:0<64}").parse().unwrap();
            let (commands, _) = mpsc::channel(1);
            let (_, published) = watch::channel(Published::for_test(&id));
            index.insert(id, Handle { commands, published });
        }
        index
    }
    fn found(index: &Index, text: &str) -> Result<String> {
        index.resolve(text).map(|h| h.published.borrow().view.id().to_string())
    }

    #[tokio::test]
    async fn what_was_judged_is_what_is_meant() {
        let index = index_of(&["aa1", "bb"]);
        let named: ContainerName = "aa".parse().unwrap();
        index.reserve(named.clone(), &format!("{:0<64}", "bb").parse().unwrap()).unwrap().keep();
        let object = |text: &str| Object { id: found(&index, text).unwrap_or_default(), ..Object::named(ObjectKind::Container, text) };
        let judged = Judged::new(&[object("aa"), object("cc")]);
        // Now the name is gone, and "aa" is the beginning of another id.
        index.release(&named);
        assert!(found(&index, "aa").unwrap().starts_with("aa1"));
        index.reserve("cc".parse().unwrap(), &format!("{:0<64}", "bb").parse().unwrap()).unwrap().keep();
        let (was, none) = judged.scope(async { (found(&index, "aa"), found(&index, "cc")) }).await;
        assert!(was.unwrap().starts_with("bb"));
        assert_eq!(none.unwrap_err().message(), "No such container: cc");
        assert!(found(&index, "cc").unwrap().starts_with("bb"));
        // Of two that begin so, none was judged.
        let index = index_of(&["aa1", "aa2"]);
        let error = Judged::new(&[Object::named(ObjectKind::Container, "aa")]).within(|| found(&index, "aa")).unwrap_err();
        assert!(error.message().starts_with("multiple IDs"), "{error}");
    }

    #[test]
    fn prefixes() {
        let index = index_of(&["aa1", "aa2", "b"]);
        assert!(found(&index, "b").unwrap().starts_with('b'));
        assert!(found(&index, "aa1").unwrap().starts_with("aa1"));
        assert_eq!(found(&index, "aa").unwrap_err().message(), "multiple IDs found with provided prefix: aa");
        assert_eq!(found(&index, "c").unwrap_err().message(), "No such container: c");
        assert!(found(&index, "").is_err());
    }

    #[test]
    fn a_name_goes_before_a_prefix_and_is_freed_with_its_reservation() {
        let index = index_of(&["aa1", "bb"]);
        let bb: ContainerId = format!("{:0<64}", "bb").parse().unwrap();
        let name: ContainerName = "aa1".parse().unwrap();
        let taken = index.reserve(name.clone(), &bb).unwrap();
        assert!(found(&index, "/aa1").unwrap().starts_with("bb"));
        let e = index.reserve(name.clone(), &bb).err().unwrap();
        assert!(e.message().starts_with("Conflict. The container name \"/aa1\" is already in use by container \"bb"));
        drop(taken);
        assert!(index.reserve(name, &bb).is_ok());
    }
}
