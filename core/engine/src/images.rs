//! Images: load, import, find, tag, remove.

mod commit;
mod prune;
mod save;

pub use prune::{PrunedImages, layer_sizes};

use crate::{
    Events,
    containers::{Index, blocking},
    judged,
    metrics::{Metrics, Timer},
    wiring::LayerStore,
};
use std::{
    collections::{BTreeMap, HashSet},
    io::{BufReader, Read},
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};
use tokio::{io::AsyncRead, sync::mpsc};
use tokio_util::io::SyncIoBridge;
pub use wharf_images::Image;
use wharf_images::{DeleteEvent, ImageStore, ImportOptions, LoadProgress, MayName, Naming, NewName, Platform, Usage, no_such_image};
use wharf_layers::Layers;
use wharf_spi::authz::ObjectKind;
use wharf_types::{ContainerId, Digest, Error, ErrorKind, Reference, Result, Timestamp};

/// Progress messages that may wait for a slow client before the load waits too.
const PROGRESS: usize = 64;
/// Bytes read from a request body at a time.
const CHUNK: usize = 1 << 20;

/// The service.
#[derive(Clone)]
pub struct Images {
    store: ImageStore,
    layers: Arc<Layers>,
    containers: Arc<Index>,
    events: Events,
    metrics: Arc<Metrics>,
    pruning: Arc<AtomicBool>,
}

/// A step of a load or import, in the order the client shall see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageProgress {
    /// Bytes of a layer read so far (`Loading layer`).
    Layer {
        /// The layer's diff id.
        diff_id: Digest,
        /// Bytes done.
        current: u64,
        /// Bytes in all; 0 when unknown.
        total: u64,
    },
    /// A tag was taken from an older image.
    Renamed {
        /// The tag.
        reference: String,
        /// Who had it.
        old: Digest,
    },
    /// An image is there (`Loaded image: TAG`, or `Loaded image ID: ID` without tag).
    Loaded {
        /// Its tag.
        reference: Option<String>,
        /// Its id.
        id: Digest,
    },
}

/// What to import.
#[derive(Clone, Debug, Default)]
pub struct ImportRequest {
    /// Repository and tag for the new image.
    pub reference: Option<String>,
    /// Commit message; empty for Docker's `Imported from -`.
    pub message: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// `os[/arch[/variant]]`.
    pub platform: Option<String>,
}

/// How to remove.
#[derive(Clone, Debug, Default)]
pub struct RemoveImage {
    /// Also with several names, or a stopped container.
    pub force: bool,
    /// Ancestors without a name stay.
    pub noprune: bool,
    /// What it must be for; empty for anything.
    pub platforms: Vec<Platform>,
    /// The containers that a refusal may tell of; none for all.
    pub seen: Option<HashSet<ContainerId>>,
}

/// One line of the answer of remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A reference is gone.
    Untagged(String),
    /// An image or a layer is gone.
    Deleted(Digest),
}

impl Images {
    /// The service over its stores; `containers` tells which images are in use.
    pub fn new(store: ImageStore, layers: Arc<Layers>, containers: Arc<Index>, events: Events, metrics: Arc<Metrics>) -> Self {
        Self { store, layers, containers, events, metrics, pruning: Arc::default() }
    }

    /// All images.
    pub fn list(&self) -> Vec<Arc<Image>> {
        self.store.list()
    }

    /// Finds one by id, id prefix or reference; in a request that was judged, the one that was judged.
    ///
    /// # Errors
    /// 404 `No such image: NAME`, also when the name means another image by now.
    pub fn get(&self, name: &str) -> Result<Arc<Image>> {
        let found = self.store.resolve(name)?;
        match judged::id_of(ObjectKind::Image, name) {
            Some(id) if id != found.id.as_str() => Err(no_such_image(name)),
            _ => Ok(found),
        }
    }

    /// The image that has exactly this name.
    pub fn named(&self, reference: &Reference) -> Option<Arc<Image>> {
        self.store.named(reference)
    }

    /// The one found by [`Images::get`], when it is for one of `platforms`, or none are named.
    ///
    /// # Errors
    /// 404, also for an image for another platform.
    pub fn get_for(&self, name: &str, platforms: &[Platform]) -> Result<Arc<Image>> {
        let image = self.get(name)?;
        fits(&image, platforms)?;
        Ok(image)
    }

    /// The snapshotter's name and directories of an image's top layer (`GraphDriver`).
    pub fn graph_data(&self, image: &Image) -> (String, BTreeMap<String, String>) {
        let data = image.chain_id().map(|chain| self.layers.graph_data(&chain)).unwrap_or_default();
        (self.layers.driver().to_owned(), data)
    }

    /// Loads the images of a tar, or those for one of `platforms` when some are named, with the names that `may_name` lets them
    /// have. It is asked in a thread of its own, which may block. Progress arrives while it works; the last message is an error or the
    /// channel closes.
    pub fn load(
        &self,
        body: impl AsyncRead + Send + Unpin + 'static,
        platforms: Vec<Platform>,
        mut may_name: impl FnMut(&[Naming]) -> Result<()> + Send + 'static,
    ) -> mpsc::Receiver<Result<ImageProgress>> {
        let (tx, rx) = mpsc::channel(PROGRESS);
        let (images, input) = (self.clone(), SyncIoBridge::new(body));
        tokio::task::spawn_blocking(move || {
            // A client that went away does not stop a load that is nearly done: what cannot be told is dropped.
            let mut tell = |progress| drop(tx.blocking_send(Ok(progress)));
            let outcome = images.load_now(BufReader::with_capacity(CHUNK, input), &platforms, &mut may_name, &mut tell);
            if let Err(e) = outcome {
                let _ = tx.blocking_send(Err(e));
            }
        });
        rx
    }

    fn load_now(
        &self,
        input: impl Read + Send,
        platforms: &[Platform],
        may_name: MayName<'_>,
        on: &mut dyn FnMut(ImageProgress),
    ) -> Result<()> {
        let layers = LayerStore(&self.layers);
        let loaded = self.store.load_for(platforms, input, &layers, may_name, &mut |progress| {
            on(match progress {
                LoadProgress::Layer { diff_id, current, total } => ImageProgress::Layer { diff_id, current, total },
                LoadProgress::Renamed { reference, old } => ImageProgress::Renamed { reference: reference.to_string(), old },
            });
        });
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(e) => {
                self.release(&self.layers.list())?;
                return Err(e);
            }
        };
        for one in loaded {
            let reference = one.tag.map(|t| t.to_string());
            let name = reference.clone().unwrap_or_else(|| one.image.id.to_string());
            self.event("load", one.image.id.as_str(), &name);
            on(ImageProgress::Loaded { reference, id: one.image.id.clone() });
        }
        Ok(())
    }

    /// Makes an image of a root file system's tar.
    ///
    /// # Errors
    /// 400 for a bad archive, reference or change, 409 when another image has the name than the one that was judged.
    pub async fn import(&self, body: impl AsyncRead + Send + Unpin + 'static, rq: ImportRequest) -> Result<Arc<Image>> {
        let reference = rq.reference.as_deref().map(str::parse::<Reference>).transpose()?.map(Reference::or_latest);
        let platform = rq.platform.as_deref().filter(|p| !p.is_empty()).map(str::parse::<Platform>).transpose()?.unwrap_or_default();
        let name = reference.map(new_name);
        let options = ImportOptions { name, message: rq.message, changes: rq.changes, platform, created: Timestamp::now() };
        let (images, input) = (self.clone(), SyncIoBridge::new(body));
        blocking(move || {
            let layers = LayerStore(&images.layers);
            let image = images.store.import(BufReader::with_capacity(CHUNK, input), options, &layers).inspect_err(|_| {
                if let Err(e) = images.release(&images.layers.list()) {
                    tracing::warn!(error = %e, "layers of a failed import left for the next start");
                }
            })?;
            images.event("import", image.id.as_str(), image.id.as_str());
            Ok(image)
        })
        .await
    }

    /// Tags an image; the tag moves when another image has it.
    ///
    /// # Errors
    /// 404 for the image, 400 for the new name, 409 when another image has it than the one that was judged.
    pub async fn tag(&self, name: &str, repo: &str, tag: &str) -> Result<()> {
        let image = self.get(name)?;
        let reference = Reference::of(repo, tag)?;
        let (store, id, to) = (self.store.clone(), image.id.clone(), new_name(reference.clone()));
        blocking(move || store.tag(&id, to)).await?;
        self.event("tag", image.id.as_str(), &reference.to_string());
        Ok(())
    }

    /// Removes a reference, and the image when it was the last. With `platforms`, only an image for one of them.
    ///
    /// # Errors
    /// 404, and 409 when it is in use.
    pub async fn remove(&self, name: &str, how: RemoveImage) -> Result<Vec<Removed>> {
        let began = Instant::now();
        let _gate = self.containers.image_gate.write().await;
        let RemoveImage { force, noprune, platforms, seen } = how;
        let image = self.get_for(name, &platforms)?;
        let (images, text) = (self.clone(), name.to_owned());
        let (events, layers) = blocking(move || {
            let deleted = images.store.delete(&text, force, noprune, &|id| images.usage(id, seen.as_ref()))?;
            Ok((deleted.events, images.release(&deleted.chains)?))
        })
        .await?;
        self.metrics.observe(Timer::ImageDelete, began);
        let line = |event: DeleteEvent| match event {
            DeleteEvent::Untagged(reference) => {
                self.event("untag", image.id.as_str(), image.id.as_str());
                Removed::Untagged(reference)
            }
            DeleteEvent::Deleted(id) => {
                if id == image.id {
                    self.event("delete", id.as_str(), id.as_str());
                }
                Removed::Deleted(id)
            }
        };
        Ok(events.into_iter().map(line).chain(layers.into_iter().map(Removed::Deleted)).collect())
    }

    /// Deletes those of `chains` that no image needs, and tells which; at boot, given all, those that a crash left behind.
    ///
    /// # Errors
    /// When a layer cannot be deleted.
    pub fn release(&self, chains: &[Digest]) -> Result<Vec<Digest>> {
        let mut released = Vec::new();
        self.store.release_layers(chains, &mut |chain| match self.layers.remove(chain) {
            // A container still stands on it; the layer goes with its last container.
            Err(e) if e.kind() == ErrorKind::Conflict => Ok(()),
            outcome => outcome.map(|()| released.push(chain.clone())),
        })?;
        Ok(released)
    }

    /// Who uses an image, as somebody is told who sees only some containers.
    fn usage(&self, id: &Digest, seen: Option<&HashSet<ContainerId>>) -> Usage {
        let mut usage = Usage::None;
        for handle in self.containers.all() {
            let published = handle.published.borrow();
            if published.view.spec.image != *id {
                continue;
            }
            let told = Some(published.view.id()).filter(|id| seen.is_none_or(|seen| seen.contains(*id))).cloned();
            if published.view.state.running {
                return Usage::Running(told);
            }
            usage = Usage::Stopped(told);
        }
        usage
    }

    fn event(&self, action: &str, id: &str, name: &str) {
        let mut attributes: BTreeMap<String, String> = match self.store.resolve(id) {
            Ok(image) => image.config.config.labels.clone().unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        };
        attributes.insert("name".to_owned(), name.to_owned());
        self.events.publish("image", action, id, attributes);
    }
}

/// A name that an image is to get. In a request that was judged, the one that was judged may lose it.
pub(crate) fn new_name(reference: Reference) -> NewName {
    let holder = judged::id_of(ObjectKind::Image, &reference.to_string());
    NewName { reference, holder }
}

/// Whether an image is for one of `platforms`; every image is when none are named.
///
/// # Errors
/// 404 in Docker's words.
pub(crate) fn fits(image: &Image, platforms: &[Platform]) -> Result<()> {
    let own = image.platform();
    if platforms.is_empty() || platforms.iter().any(|wanted| wanted.takes(&own)) {
        return Ok(());
    }
    let name = image.tags.first().map_or_else(|| image.id.to_string(), ToString::to_string);
    let wanted = platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let text = format!("image with reference {name} was found but does not match the specified platform: wanted {wanted}, actual: {own}");
    Err(Error::not_found(text))
}
