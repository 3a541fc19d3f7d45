//! The image store: which images and references there are.
//!
//! Readers see an in-memory index; every change goes first to disk and then to the index, one change at a time. The order on disk
//! makes every crash harmless: blobs are published before the document that names them, documents before references, and
//! [`ImageStore::open`] deletes what no document names.

mod naming;

use crate::{
    blobs::Blobs,
    image::Image,
    manifest::{MAX_DOCUMENT, Manifest},
};
use bytes::Bytes;
pub use naming::NewName;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};
use wharf_store::{Doc, DocDir, Durability, dir::move_aside};
use wharf_types::{Digest, Error, Reference, Result, Timestamp};

/// All images of a data root. Clones share it; calls may come from any thread and block.
#[derive(Clone, Debug)]
pub struct ImageStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) blobs: Blobs,
    documents: DocDir<ImageDoc>,
    references: PathBuf,
    /// Some image's document stands aside: what seems to be nobody's may be that image's.
    keep_orphans: bool,
    index: RwLock<Index>,
    /// Held for the whole of every change; inside: what loads in progress rely on.
    change: Mutex<Pins>,
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) images: HashMap<Digest, Arc<Image>>,
    pub(crate) references: BTreeMap<Reference, Digest>,
}

/// How many loads need a blob or an unpacked layer (by chain id).
pub(crate) type Pins = HashMap<Digest, u32>;

/// `images/<hex>.json`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ImageDoc {
    pub(crate) id: Digest,
    pub(crate) manifest: Digest,
    pub(crate) layer_sizes: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_tagged: Option<Timestamp>,
}

/// `references.json`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct References {
    references: BTreeMap<Reference, Digest>,
}

/// The answer for a text that means no image, in Docker's words.
pub fn no_such_image(text: &str) -> Error {
    let named = text.parse::<Reference>().map_or_else(|_| text.to_owned(), |reference| reference.or_latest().to_string());
    Error::not_found(format!("No such image: {named}"))
}

impl ImageStore {
    /// Opens the store under `root` (`blobs/`, `images/`, `references.json`), making it when missing. Deletes what interrupted loads
    /// left. Documents that cannot be used are moved aside and logged.
    ///
    /// # Errors
    /// Only when the directories themselves cannot be read or made.
    pub fn open(root: &Path) -> Result<Self> {
        let blobs = Blobs::open(&root.join("blobs"))?;
        let documents: DocDir<ImageDoc> = DocDir::files(&root.join("images"), Durability::Synced)?;
        let references = root.join("references.json");
        let (loaded, _) = documents.load_all()?;
        let mut index = Index::default();
        for (key, doc) in loaded {
            match read_image(&blobs, &key, &doc) {
                Ok(image) => {
                    index.images.insert(doc.id.clone(), Arc::new(image));
                }
                Err(e) => {
                    let moved_to = move_aside(&documents.path(&key)?)?;
                    tracing::error!(image = %doc.id, moved_to = %moved_to.display(), "unusable, its document was moved aside: {e}");
                }
            }
        }
        index.references = read_references(&references)?;
        index.references.retain(|_, id| index.images.contains_key(id));
        let names: Vec<_> = index.images.keys().cloned().collect();
        names.iter().for_each(|id| index.refresh(id));
        let keep_orphans = documents.any_aside()?;
        if keep_orphans {
            tracing::warn!("blobs and layers without image are kept while image documents stand aside: repair or delete these");
        } else {
            let used: HashSet<&Digest> = index.images.values().flat_map(|i| i.blobs()).collect();
            blobs.retain(|d| used.contains(d))?;
        }
        Ok(Self(Arc::new(Inner { blobs, documents, references, keep_orphans, index: RwLock::new(index), change: Mutex::default() })))
    }

    /// All images, newest first.
    pub fn list(&self) -> Vec<Arc<Image>> {
        let mut all: Vec<_> = self.0.index().images.values().cloned().collect();
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        all
    }

    /// How many images there are.
    pub fn count(&self) -> usize {
        self.0.index().images.len()
    }

    /// The image with this id.
    pub fn get(&self, id: &Digest) -> Option<Arc<Image>> {
        self.0.index().images.get(id).cloned()
    }

    /// Opens a blob of an image.
    ///
    /// # Errors
    /// When it is not in the store.
    pub fn open_blob(&self, digest: &Digest) -> Result<std::fs::File> {
        self.0.blobs.open_blob(digest)
    }

    /// Finds the image that `text` means: a full id, else a reference (`latest` when neither tag nor digest is given), else the
    /// beginning of exactly one id; ids with or without `sha256:`.
    ///
    /// # Errors
    /// `NotFound` `No such image: NAME:TAG`, `InvalidParameter` for what can be neither and for an ambiguous beginning.
    pub fn resolve(&self, text: &str) -> Result<Arc<Image>> {
        let index = self.0.index();
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if let Ok(id) = format!("sha256:{hex}").parse::<Digest>() {
            return index.images.get(&id).cloned().ok_or_else(|| no_such_image(text));
        }
        let reference = text.parse::<Reference>()?.or_latest();
        if let Some(image) = index.lookup(&reference) {
            return Ok(image);
        }
        let is_prefix = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut found = index.images.values().filter(|i| is_prefix && i.id.hex().starts_with(hex));
        match (found.next(), found.next()) {
            (Some(image), None) => Ok(Arc::clone(image)),
            (Some(_), Some(_)) => Err(Error::invalid(format!("image id prefix {text} is ambiguous: several images begin with it"))),
            (None, _) => Err(no_such_image(text)),
        }
    }

    /// The image that has exactly this name, `latest` where the reference has neither tag nor digest.
    pub fn named(&self, reference: &Reference) -> Option<Arc<Image>> {
        self.0.index().lookup(&reference.clone().or_latest())
    }

    /// Gives the image `id` a name, `latest` where the reference has neither tag nor digest. Returns the image that had the name
    /// before, if it was another one.
    ///
    /// # Errors
    /// `NotFound` when there is no such image, `InvalidParameter` for the repository `sha256`, `Conflict` when another image has the
    /// name than the one that may lose it, `System` when the disk fails.
    pub fn tag(&self, id: &Digest, name: impl Into<NewName>) -> Result<Option<Digest>> {
        let _change = self.0.change();
        let name = name.into();
        self.0.may_name(id, &name)?;
        self.0.tag(id, &name.reference)
    }

    /// Takes a name away and leaves the image. Returns the image that had it.
    ///
    /// # Errors
    /// `NotFound` when nothing has this name, `System` when the disk fails.
    pub fn untag(&self, reference: &Reference) -> Result<Digest> {
        let _change = self.0.change();
        let reference = reference.clone().or_latest();
        let had = self.0.index().references.get(&reference).cloned();
        let id = had.ok_or_else(|| Error::not_found(format!("No such image: {reference}")))?;
        self.0.set_references(|all| {
            all.remove(&reference);
        })?;
        Ok(id)
    }

    /// Lets `remove` delete those of `chains` that no image and no load in progress needs. While it runs, no image appears or
    /// disappears, so nothing that is removed can be needed a moment later. At boot, called with every layer there is, it deletes
    /// those without owner. While an image's document stands aside nothing is removed.
    ///
    /// # Errors
    /// The first one of `remove`; the other layers are still tried.
    pub fn release_layers(&self, chains: &[Digest], remove: &mut dyn FnMut(&Digest) -> Result<()>) -> Result<()> {
        let pins = self.0.change();
        if self.0.keep_orphans {
            return Ok(());
        }
        let used: HashSet<Digest> = self.0.index().images.values().flat_map(|i| i.chain_ids()).collect();
        let mut outcome = Ok(());
        // Children before parents.
        for chain in chains.iter().rev().filter(|c| !used.contains(c) && !pins.contains_key(c)) {
            outcome = outcome.and(remove(chain));
        }
        outcome
    }
}

impl Index {
    /// The image with exactly this name. A digest decides alone, whatever tag stands beside it.
    pub(crate) fn lookup(&self, reference: &Reference) -> Option<Arc<Image>> {
        let id = match reference.digest() {
            Some(digest) => self.references.get(&reference.with_digest(digest.clone())),
            None => self.references.get(reference),
        };
        id.and_then(|id| self.images.get(id)).cloned()
    }

    /// Recomputes an image's own list of its names.
    fn refresh(&mut self, id: &Digest) {
        let names = self.references.iter().filter(|(_, i)| *i == id).map(|(r, _)| r.clone());
        let (digests, tags): (Vec<_>, Vec<_>) = names.partition(|r| r.digest().is_some());
        if let Some(image) = self.images.get_mut(id)
            && (image.tags != tags || image.digests != digests)
        {
            let image = Arc::make_mut(image);
            (image.tags, image.digests) = (tags, digests);
        }
    }
}

impl Inner {
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self) -> MutexGuard<'_, Pins> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the references on disk, then in the index.
    pub(crate) fn set_references(&self, edit: impl FnOnce(&mut BTreeMap<Reference, Digest>)) -> Result<()> {
        let mut references = self.index().references.clone();
        edit(&mut references);
        let doc = Doc::new(References { references });
        doc.write(&self.references, Durability::Synced)?;
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.references = doc.body.references;
        let ids: Vec<_> = index.images.keys().cloned().collect();
        ids.iter().for_each(|id| index.refresh(id));
        Ok(())
    }

    /// Makes an image whose blobs are published known.
    pub(crate) fn add(&self, image: Image) -> Result<Arc<Image>> {
        let known = self.index().images.get(&image.id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        self.documents.put(image.id.hex(), &image_doc(&image))?;
        let image = Arc::new(image);
        self.index.write().unwrap_or_else(PoisonError::into_inner).images.insert(image.id.clone(), Arc::clone(&image));
        Ok(image)
    }

    /// Forgets an image with its references, then deletes the blobs that nothing else needs.
    pub(crate) fn forget(&self, image: &Image, pins: &Pins) -> Result<()> {
        if self.index().references.values().any(|id| *id == image.id) {
            self.set_references(|all| all.retain(|_, id| *id != image.id))?;
        }
        self.documents.remove(image.id.hex())?;
        self.index.write().unwrap_or_else(PoisonError::into_inner).images.remove(&image.id);
        for blob in image.blobs() {
            self.drop_blob_if_unused(blob, pins);
        }
        Ok(())
    }

    /// A blob that cannot be deleted now is deleted by the next [`ImageStore::open`].
    pub(crate) fn drop_blob_if_unused(&self, blob: &Digest, pins: &Pins) {
        let used = pins.contains_key(blob) || self.index().images.values().any(|i| i.blobs().any(|b| b == blob));
        if !used
            && !self.keep_orphans
            && let Err(e) = self.blobs.remove(blob)
        {
            tracing::warn!("{e}");
        }
    }
}

fn image_doc(image: &Image) -> ImageDoc {
    ImageDoc {
        id: image.id.clone(),
        manifest: image.manifest.clone(),
        layer_sizes: image.layers.iter().map(|l| l.size).collect(),
        parent: image.parent.clone(),
        last_tagged: image.last_tagged,
    }
}

fn read_image(blobs: &Blobs, key: &str, doc: &ImageDoc) -> Result<Image> {
    if key != doc.id.hex() {
        return Err(Error::system(format!("the document of {} is named {key}", doc.id)));
    }
    let manifest = Manifest::parse(&blobs.read(&doc.manifest, MAX_DOCUMENT)?)?;
    let raw_config = Bytes::from(blobs.read(&doc.id, MAX_DOCUMENT)?);
    if let Some(missing) = manifest.layers.iter().find(|l| !blobs.has(&l.digest)) {
        return Err(Error::system(format!("layer blob {} is missing", missing.digest)));
    }
    let mut image = Image::assemble(doc.manifest.clone(), &manifest, raw_config, &doc.layer_sizes)?;
    image.parent.clone_from(&doc.parent);
    image.last_tagged = doc.last_tagged;
    Ok(image)
}

fn read_references(path: &Path) -> Result<BTreeMap<Reference, Digest>> {
    match Doc::<References>::read(path) {
        Ok(doc) => Ok(doc.map(|d| d.body.references).unwrap_or_default()),
        Err(e) => {
            let moved_to = move_aside(path)?;
            tracing::error!(moved_to = %moved_to.display(), "the references are unreadable and were moved aside, all images are untagged: {e}");
            Ok(BTreeMap::new())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
