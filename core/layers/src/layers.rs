//! The books: which layers and rw layers there are, and which stack each rw layer stands on.
//!
//! Everything is below one directory per driver, on one mount, so that making and removing end in a rename:
//! `layers/<hex>/{layer.json,diff}`, `rw/<container id>/{parent,…}`, `tmp` for layers being made, `trash`.

mod changes;
mod state;
mod uses;

use crate::{
    apply::{RootAttributes, apply},
    background::Background,
    backing::PrivateMount,
    snapshotter::{Snapshotter, by_name},
};
use rustix::fs::{self, Gid, Mode, OFlags, Uid};
use state::{LayerDoc, NO_PARENT, PARENT_LINK, Stack, State, read_parent};
use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};
pub use uses::Borrowed;
use uses::Uses;
use wharf_store::{Doc, DocDir, Durability, Trash, sync_dir};
use wharf_types::{ContainerId, Digest, Error, Result, error::Context};

/// All layers of a data root under one driver. Calls may come from any thread and block.
#[derive(Debug)]
pub struct Layers {
    root: PathBuf,
    driver: Box<dyn Snapshotter>,
    trash: Trash,
    state: Mutex<State>,
    /// A layer that was being made is there, or failed.
    settled: Condvar,
    background: Background,
    uses: Uses,
    // Dropped last: it undoes the mount that everything above lies on.
    _private: PrivateMount,
}

const LAYER_FILE: &str = "layer.json";
impl Layers {
    /// Opens the layers below `root` for the storage driver `driver` (`overlay2` or `vfs`). What an interrupted call left is deleted;
    /// layers and rw layers without owner are the caller's to find ([`Layers::list`], [`Layers::rw_ids`]) and remove.
    ///
    /// # Errors
    /// `InvalidParameter` for an unknown driver or one that does not work here; `System` when the directories cannot be used.
    pub fn open(root: &Path, driver: &str) -> Result<Self> {
        if !matches!(driver, "overlay2" | "vfs") {
            by_name(driver, root)?;
        }
        let root = root.join(driver);
        std::fs::create_dir_all(&root).context(format_args!("create {}", root.display()))?;
        let root = root.canonicalize().context(format_args!("resolve {}", root.display()))?;
        let private = PrivateMount::new(&root)?;
        for dir in ["rw", "tmp"] {
            std::fs::create_dir_all(root.join(dir)).context(format_args!("create {}", root.join(dir).display()))?;
        }
        let driver = by_name(driver, &root)?;
        let trash = Trash::open(&root.join("trash"))?;
        trash.empty()?;
        for entry in std::fs::read_dir(root.join("tmp"))? {
            trash.remove(&entry?.path())?;
        }
        let documents: DocDir<LayerDoc> = DocDir::dirs(&root.join("layers"), LAYER_FILE, trash.clone(), Durability::Synced)?;
        let (layers, _) = documents.load_all()?;
        let mut state = State::default();
        state.layers.extend(layers.into_iter().map(|(_, doc)| (doc.chain.clone(), doc)));
        for entry in std::fs::read_dir(root.join("rw"))? {
            let name = entry?.file_name();
            if let Ok(id) = name.to_string_lossy().parse::<ContainerId>() {
                let stack = read_parent(&root.join("rw").join(&name)).map(|top| state.stack(top));
                state.rw.insert(id, stack);
            }
        }
        Ok(Self {
            root,
            driver,
            trash,
            state: Mutex::new(state),
            settled: Condvar::new(),
            background: Background::default(),
            uses: Uses::default(),
            _private: private,
        })
    }

    /// Whether the layer is unpacked.
    pub fn has(&self, chain: &Digest) -> bool {
        self.state().layers.contains_key(chain)
    }

    /// Whether a layer can be applied only after its parent.
    pub fn parents_first(&self) -> bool {
        self.driver.parents_first()
    }

    /// Unpacks `tar`, whose digest is `diff_id`, as the layer `chain` and returns the length of its files in bytes. An existing layer
    /// is left alone and nothing is read; of two calls for the same layer the second waits for the first.
    ///
    /// That the digest is right is for the reader to know: one that is not sure fails at its end, and then there is no layer.
    ///
    /// # Errors
    /// `InvalidParameter` when the tar is damaged or hostile, `NotFound` when the driver needs the
    /// parent and it is missing, `System` when the disk fails. No trace is left then.
    pub fn apply(&self, parent: Option<&Digest>, chain: &Digest, diff_id: &Digest, tar: &mut dyn Read) -> Result<u64> {
        {
            let mut state = self.settled.wait_while(self.state(), |s| s.making.contains(chain)).unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = state.layers.get(chain) {
                return Ok(known.size);
            }
            state.making.insert(chain.clone());
        }
        let tmp = self.root.join("tmp").join(chain.hex());
        let made = self.make_layer(&tmp, parent, chain, diff_id, tar);
        if made.is_err()
            && let Err(e) = self.trash.remove(&tmp)
        {
            tracing::warn!("{e}");
        }
        let mut state = self.state();
        state.making.remove(chain);
        self.settled.notify_all();
        let doc = made?;
        let size = doc.size;
        state.layers.insert(chain.clone(), doc);
        Ok(size)
    }

    fn make_layer(&self, tmp: &Path, parent: Option<&Digest>, chain: &Digest, diff_id: &Digest, tar: &mut dyn Read) -> Result<LayerDoc> {
        std::fs::create_dir(tmp).context(format_args!("create {}", tmp.display()))?;
        let below = match parent {
            Some(parent) if self.driver.parents_first() => {
                if !self.has(parent) {
                    return Err(Error::not_found(format!("layer {parent} is not unpacked")));
                }
                Some(self.content(parent))
            }
            _ => None,
        };
        let content = tmp.join("diff");
        self.driver.create_layer(&content, below.as_deref())?;
        let applied = apply(&content, tar, self.driver.whiteouts())?;
        let doc =
            LayerDoc { chain: chain.clone(), diff_id: diff_id.clone(), parent: parent.cloned(), size: applied.size, root: applied.root };
        Doc::new(doc.clone()).write(&tmp.join(LAYER_FILE), Durability::Cached)?;
        // One sync for all files of the layer, then the rename that makes it exist.
        let dir = fs::open(tmp, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).context("open layer")?;
        fs::syncfs(&dir).context("sync layer")?;
        let layers = self.root.join("layers");
        std::fs::rename(tmp, layers.join(chain.hex())).context(format_args!("commit layer {chain}"))?;
        sync_dir(&layers).context("sync layers")?;
        Ok(doc)
    }

    /// Removes a layer; a missing one is no error.
    ///
    /// # Errors
    /// `Conflict` while a rw layer stands on it.
    pub fn remove(&self, chain: &Digest) -> Result<()> {
        let mut state = self.state();
        if let Some((user, _)) = state.rw.iter().find(|(_, stack)| stack.as_ref().is_some_and(|s| s.layers.contains(chain))) {
            return Err(Error::conflict(format!("layer {chain} is in use by container {}", user.short())));
        }
        // The lock is held so that nobody builds on the layer between the check and its end.
        self.trash.remove(&self.root.join("layers").join(chain.hex()))?;
        state.layers.remove(chain);
        Ok(())
    }

    /// All layers, parents before children.
    pub fn list(&self) -> Vec<Digest> {
        let state = self.state();
        let mut all: Vec<(usize, &Digest)> = state.layers.keys().map(|chain| (state.below(chain).len(), chain)).collect();
        all.sort();
        all.into_iter().map(|(_, chain)| chain.clone()).collect()
    }

    /// Makes the rw layer of a container on top of the layer `parent`; `None` for an image without layers.
    ///
    /// # Errors
    /// `Conflict` when the container has one, `NotFound` when a layer is missing, `System` when the disk fails.
    pub fn create_rw(&self, id: &ContainerId, parent: Option<&Digest>) -> Result<()> {
        let (stack, root) = {
            let mut state = self.state();
            if state.rw.contains_key(id) {
                return Err(Error::conflict(format!("container {} has a read-write layer already", id.short())));
            }
            let stack = state.stack(parent.cloned());
            state.check(&stack)?;
            let root = stack.layers.iter().find_map(|chain| state.layers.get(chain)?.root);
            state.rw.insert(id.clone(), Some(stack.clone()));
            (stack, root)
        };
        let made = self.make_rw(id, &stack, root);
        if made.is_err() {
            let _ = self.trash.remove(&self.rw_dir(id));
            self.state().rw.remove(id);
        }
        made
    }

    fn make_rw(&self, id: &ContainerId, stack: &Stack, root: Option<RootAttributes>) -> Result<()> {
        let dir = self.rw_dir(id);
        fs::mkdir(&dir, Mode::from_raw_mode(0o711)).context(format_args!("create {}", dir.display()))?;
        self.driver.create_rw(&dir, &self.contents(&stack.layers))?;
        if let Some(root) = root {
            let path = self.driver.rw_root(&dir);
            fs::chown(&path, Some(Uid::from_raw(root.uid)), Some(Gid::from_raw(root.gid)))
                .and_then(|()| fs::chmod(&path, Mode::from_raw_mode(root.mode)))
                .context(format_args!("set owner and mode of {}", path.display()))?;
        }
        // Made last: a directory with this link is complete.
        let target = stack.top.as_ref().map_or(PathBuf::from(NO_PARENT), |top| Path::new("../../layers").join(top.hex()));
        fs::symlink(target, dir.join(PARENT_LINK)).context(format_args!("create {}", dir.join(PARENT_LINK).display()))
    }

    /// Makes a container's root file system visible and returns where. Mounting twice is no error.
    ///
    /// # Errors
    /// `NotFound` when the rw layer or one of its layers is missing, `System` when the kernel refuses.
    pub fn mount(&self, id: &ContainerId) -> Result<PathBuf> {
        let mount = || self.mount_now(id);
        self.uses.mount(id, mount)
    }

    fn mount_now(&self, id: &ContainerId) -> Result<PathBuf> {
        let stack = self.stack_of(id)?;
        self.state().check(&stack)?;
        self.driver.mount(&self.rw_dir(id), &self.contents(&stack.layers))
    }

    /// Takes it away, now or when nobody borrows it any more; processes that still use it keep it until they end. Not mounted is no
    /// error.
    ///
    /// # Errors
    /// `System` when the kernel refuses.
    pub fn unmount(&self, id: &ContainerId) -> Result<()> {
        self.uses.unmount(id, || self.driver.unmount(&self.rw_dir(id)))
    }

    /// Whether a container's root file system is mounted; never with `vfs`.
    pub fn is_mounted(&self, id: &ContainerId) -> bool {
        self.driver.is_mounted(&self.rw_dir(id))
    }

    /// Unmounts and removes a container's rw layer; a missing one is no error. It is gone at once and deleted in the background.
    ///
    /// # Errors
    /// `System` when it cannot be unmounted or renamed away; it is then still there.
    pub fn remove_rw(&self, id: &ContainerId) -> Result<()> {
        let dir = self.rw_dir(id);
        self.uses.forget(id, || self.driver.unmount(&dir))?;
        if let Some(discarded) = self.trash.discard(&dir)? {
            self.background.run(dir, move || discarded.delete());
        }
        self.state().rw.remove(id);
        Ok(())
    }

    /// All containers that have a rw layer.
    pub fn rw_ids(&self) -> Vec<ContainerId> {
        self.state().rw.keys().cloned().collect()
    }

    /// Bytes that a container's rw layer has beyond its image.
    ///
    /// # Errors
    /// `NotFound` when there is no such rw layer, `System` when it cannot be read.
    pub fn rw_usage(&self, id: &ContainerId) -> Result<u64> {
        let stack = self.stack_of(id)?;
        self.driver.usage(&self.rw_dir(id), &self.contents(&stack.layers))
    }

    /// The driver's name.
    pub fn driver(&self) -> &str {
        self.driver.name()
    }

    /// `DriverStatus` of `/info`.
    pub fn status(&self) -> Vec<(String, String)> {
        self.driver.status()
    }

    /// `GraphDriver.Data` of a container's inspect; empty when it has no rw layer.
    pub fn rw_graph_data(&self, id: &ContainerId) -> BTreeMap<String, String> {
        let Ok(stack) = self.stack_of(id) else { return BTreeMap::new() };
        self.driver.graph_data(Some(&self.rw_dir(id)), &self.contents(&stack.layers))
    }

    /// `GraphDriver.Data` of an image's inspect, by the chain id of its top layer.
    pub fn graph_data(&self, chain: &Digest) -> BTreeMap<String, String> {
        let stack = self.state().below(chain);
        self.driver.graph_data(None, &self.contents(&stack))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stack_of(&self, id: &ContainerId) -> Result<Stack> {
        match self.state().rw.get(id) {
            Some(Some(stack)) => Ok(stack.clone()),
            Some(None) => Err(Error::system(format!("{} is incomplete: it has no link \"{PARENT_LINK}\"", self.rw_dir(id).display()))),
            None => Err(Error::not_found(format!("container {} has no read-write layer", id.short()))),
        }
    }

    fn rw_dir(&self, id: &ContainerId) -> PathBuf {
        self.root.join("rw").join(id.as_str())
    }

    fn content(&self, chain: &Digest) -> PathBuf {
        let mut path = self.root.join("layers");
        path.push(chain.hex());
        path.push("diff");
        path
    }

    fn contents(&self, stack: &[Digest]) -> Vec<PathBuf> {
        stack.iter().map(|chain| self.content(chain)).collect()
    }
}

#[cfg(test)]
mod tests;
