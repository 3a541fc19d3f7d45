//! Loading images from an archive: `docker save` archives and OCI layouts, packed or not.
//!
//! 1. [`spool`]: every file of the archive becomes a staged blob, hashed while it is written.
//! 2. [`plan`]: `manifest.json` or `index.json` says which of them are images.
//! 3. [`unpack`]: layers are unpacked and their diff ids checked, several at a time.
//! 4. commit: blobs are published; whoever decides is asked for the names; then image documents are written, then references.
//!
//! A failure or crash before 4 leaves nothing visible.

pub(crate) mod lease;
pub(crate) mod plan;
pub(crate) mod spool;
pub(crate) mod unpack;

use crate::{
    image::Image,
    manifest::Manifest,
    platform::Platform,
    store::{ImageStore, Inner, Pins},
};
use bytes::Bytes;
use lease::Lease;
use plan::Plan;
use spool::Spool;
use std::{
    collections::HashSet,
    io::Read,
    sync::{Arc, MutexGuard},
};
use unpack::{Layer, unpack_layers};
use wharf_types::{Digest, Error, Reference, Result};

/// Unpacked layers, by chain id.
pub trait LayerApplier: Sync {
    /// Whether the layer is unpacked already.
    fn has(&self, chain: &Digest) -> bool;

    /// Unpacks a layer and returns the length of its files in bytes. The tar is read to its end, where it fails unless its digest is
    /// `diff_id`. An existing layer is left alone: then nothing is read.
    ///
    /// # Errors
    /// When the tar cannot be read, is damaged or hostile, or the disk fails.
    fn apply(&self, parent: Option<&Digest>, chain: &Digest, diff_id: &Digest, tar: &mut dyn Read) -> Result<u64>;

    /// Whether a layer can be unpacked only after its parent. Otherwise the layers of an image are unpacked in parallel.
    fn parents_first(&self) -> bool {
        true
    }
}

/// What a load tells while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadProgress {
    /// A new layer is being unpacked (`Loading layer`).
    Layer {
        /// Its diff id.
        diff_id: Digest,
        /// Bytes of the blob read so far.
        current: u64,
        /// Length of the blob in bytes.
        total: u64,
    },
    /// A name was taken from another image.
    Renamed {
        /// The name.
        reference: Reference,
        /// The image that had it.
        old: Digest,
    },
}

/// A name that a load is about to give.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The name.
    pub reference: Reference,
    /// The image that has it, and will lose it.
    pub holder: Option<Arc<Image>>,
}

/// Asked for all names of an archive before any of its images becomes known; an error ends the load. Asked anew when somebody else
/// gave one of them to another image meanwhile.
pub type MayName<'a> = &'a mut dyn FnMut(&[Naming]) -> Result<()>;

/// An image that a load brought, once for each of its tags in the archive.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The image.
    pub image: Arc<Image>,
    /// The tag; `None` for an image without.
    pub tag: Option<Reference>,
}

impl ImageStore {
    /// Loads every image of an archive. All images become known at the end, or none does.
    ///
    /// # Errors
    /// As [`ImageStore::load_for`].
    pub fn load(&self, input: impl Read + Send, layers: &dyn LayerApplier, on: &mut dyn FnMut(LoadProgress)) -> Result<Vec<Loaded>> {
        self.load_for(&[], input, layers, &mut |_| Ok(()), on)
    }

    /// Loads those images of an archive that are for one of `platforms`; where an index offers several, the first of them. No
    /// platform at all means every image, and of an index the host's.
    ///
    /// After an error the caller lets [`ImageStore::release_layers`] remove what was unpacked for nothing.
    ///
    /// # Errors
    /// `InvalidParameter` for an archive that is damaged, hostile or none, `NotFound` for one without an image for the platforms;
    /// those of `may_name`; `System` when the disk fails.
    pub fn load_for(
        &self,
        platforms: &[Platform],
        input: impl Read + Send,
        layers: &dyn LayerApplier,
        may_name: MayName<'_>,
        on: &mut dyn FnMut(LoadProgress),
    ) -> Result<Vec<Loaded>> {
        let lease = Lease::new(Arc::clone(&self.0));
        let spool = Spool::read(&self.0.blobs, &lease, input)?;
        let plans = plan::plan(&self.0.blobs, &spool, platforms)?;
        let mut images = Vec::new();
        for plan in plans {
            images.push(self.0.prepare(&spool, &lease, plan, layers, on)?);
        }
        self.0.commit(spool, &lease, images, may_name, on)
    }
}

struct Prepared {
    image: Image,
    tags: Vec<Reference>,
}

impl Inner {
    fn prepare(
        &self,
        spool: &Spool,
        lease: &Lease,
        plan: Plan,
        layers: &dyn LayerApplier,
        on: &mut dyn FnMut(LoadProgress),
    ) -> Result<Prepared> {
        let os = plan.parsed_config.os.as_str();
        if !os.is_empty() && os != "linux" {
            return Err(Error::invalid(format!("cannot load {os} image on linux")));
        }
        let manifest_text = match plan.manifest {
            Some(text) => text,
            None => {
                let layers = plan.layers.iter().map(|name| spool.describe_layer(&self.blobs, lease, name)).collect::<Result<_>>()?;
                Manifest::synthesise(&plan.config, layers)?
            }
        };
        let manifest = Manifest::parse(&manifest_text)?;
        let diff_ids = &plan.parsed_config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            return Err(Error::invalid(format!(
                "invalid manifest, layers length mismatch: expected {}, got {}",
                diff_ids.len(),
                manifest.layers.len()
            )));
        }
        let work: Vec<Layer<'_>> = manifest
            .layers
            .iter()
            .zip(diff_ids)
            .map(|(blob, diff_id)| {
                lease.pin(&blob.digest);
                Ok(Layer { diff_id, blob: &blob.digest, total: blob.size, source: spool.by_digest(&blob.digest)? })
            })
            .collect::<Result<_>>()?;
        let sizes = unpack_layers(self, lease, &work, layers, on)?;
        let manifest_digest = spool.add(&self.blobs, lease, &manifest_text)?;
        spool.add(&self.blobs, lease, &plan.config)?;
        let image = Image::assemble(manifest_digest, &manifest, Bytes::from(plan.config), &sizes)?;
        Ok(Prepared { image, tags: plan.tags })
    }

    fn commit(
        &self,
        spool: Spool,
        _lease: &Lease,
        images: Vec<Prepared>,
        may_name: MayName<'_>,
        on: &mut dyn FnMut(LoadProgress),
    ) -> Result<Vec<Loaded>> {
        let needed: HashSet<Digest> = images.iter().flat_map(|p| p.image.blobs().cloned()).collect();
        self.blobs.publish(spool.into_staged().filter(|s| needed.contains(&s.digest)))?;
        let _change = self.ask(&images, may_name)?;
        let mut known = Vec::new();
        for Prepared { image, tags } in images {
            known.push((self.add(image)?.id.clone(), tags));
        }
        let mut loaded = Vec::new();
        for (id, tags) in &known {
            for tag in tags {
                if let Some(old) = self.name(id, tag)? {
                    on(LoadProgress::Renamed { reference: tag.clone(), old });
                }
            }
        }
        for (id, tags) in known {
            let image = self.index().images.get(&id).cloned().ok_or_else(|| Error::system(format!("image {id} vanished")))?;
            if tags.is_empty() {
                loaded.push(Loaded { image: Arc::clone(&image), tag: None });
            }
            loaded.extend(tags.into_iter().map(|tag| Loaded { image: Arc::clone(&image), tag: Some(tag) }));
        }
        Ok(loaded)
    }

    /// Asks for the names of all images. No other change comes between the answer and what is done with it.
    fn ask(&self, images: &[Prepared], may_name: MayName<'_>) -> Result<MutexGuard<'_, Pins>> {
        let names = || {
            let index = self.index();
            let tags = images.iter().flat_map(|p| &p.tags);
            tags.map(|tag| Naming { reference: tag.clone(), holder: index.lookup(tag) }).collect::<Vec<_>>()
        };
        loop {
            let asked = names();
            may_name(&asked)?;
            let change = self.change();
            if names().iter().map(Naming::holder_id).eq(asked.iter().map(Naming::holder_id)) {
                return Ok(change);
            }
        }
    }
}

impl Naming {
    fn holder_id(&self) -> Option<&Digest> {
        self.holder.as_ref().map(|image| &image.id)
    }
}

#[cfg(test)]
pub(crate) mod tests;
