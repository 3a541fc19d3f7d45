//! Committing: an image of another one and one more layer.

use crate::{
    compress::Compression,
    config::{History, ImageConfig, RunConfig},
    image::{Image, chain_ids},
    load::{LayerApplier, lease::Lease},
    manifest::{Descriptor, Manifest},
    store::{ImageStore, NewName},
};
use bytes::Bytes;
use std::{collections::BTreeMap, io::Write, sync::Arc, thread};
use wharf_types::{Digest, Error, Result, Timestamp};

/// What the new image is, besides its files.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// The image that it stands on.
    pub parent: Digest,
    /// Its name.
    pub name: Option<NewName>,
    /// Defaults for its containers.
    pub config: RunConfig,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// The command that changed the files.
    pub created_by: String,
    /// When it is made: now.
    pub created: Timestamp,
}

impl ImageStore {
    /// Makes an image; `changes` writes its layer's tar, and one without entries makes no layer. After an error the caller lets
    /// [`ImageStore::release_layers`] remove what was unpacked for nothing.
    ///
    /// # Errors
    /// `NotFound` when the parent is gone, those of `changes`, and `System` when the disk fails.
    pub fn commit(
        &self,
        opts: CommitOptions,
        changes: impl FnOnce(&mut dyn Write) -> Result<()>,
        layers: &dyn LayerApplier,
    ) -> Result<Arc<Image>> {
        let lease = Lease::new(Arc::clone(&self.0));
        let missing = || Error::not_found(format!("No such image: {}", opts.parent));
        let parent = self.get(&opts.parent).ok_or_else(missing)?;
        parent.blobs().for_each(|blob| lease.pin(blob));
        parent.chain_ids().iter().for_each(|chain| lease.pin(chain));
        // It may have been deleted before its blobs were pinned.
        self.get(&opts.parent).ok_or_else(missing)?;

        let mut writer = self.0.blobs.writer()?;
        changes(&mut writer)?;
        let layer = Some(writer.finish()).filter(|l| l.digest != empty_tar());

        let mut descriptors: Vec<Descriptor> = parent.layers.iter().map(|l| describe(&l.media_type, &l.blob, l.compressed_size)).collect();
        let mut sizes: Vec<u64> = parent.layers.iter().map(|l| l.size).collect();
        let mut rootfs = parent.config.rootfs.clone();
        if let Some(layer) = &layer {
            lease.pin(&layer.digest);
            let below = parent.chain_id();
            rootfs.diff_ids.push(layer.digest.clone());
            let chain = chain_ids(&rootfs.diff_ids).pop().unwrap_or_else(|| layer.digest.clone());
            lease.pin(&chain);
            // The disk takes the blob while the layer is unpacked.
            let size = thread::scope(|scope| {
                let synced = scope.spawn(|| layer.sync());
                let size = layers.apply(below.as_ref(), &chain, &layer.digest, &mut layer.open()?)?;
                synced.join().unwrap_or_else(|_| Err(Error::system("write blob: the thread panicked")))?;
                Ok::<_, Error>(size)
            })?;
            sizes.push(size);
            descriptors.push(describe(Compression::None.layer_media_type().unwrap_or_default(), &layer.digest, layer.size));
        }
        let step = History {
            created: Some(opts.created),
            created_by: opts.created_by,
            author: opts.author.clone(),
            comment: opts.comment,
            empty_layer: layer.is_none(),
        };
        let config = ImageConfig {
            created: Some(opts.created),
            author: opts.author,
            comment: String::new(),
            config: opts.config,
            rootfs,
            history: parent.config.history.iter().cloned().chain([step]).collect(),
            ..parent.config.clone()
        };
        let raw_config = Bytes::from(serde_json::to_vec(&config)?);
        let manifest = Manifest::synthesise(&raw_config, descriptors)?;
        let staged = [self.0.blobs.stage(&manifest)?, self.0.blobs.stage(&raw_config)?];
        staged.iter().for_each(|s| lease.pin(&s.digest));
        let mut image = Image::assemble(Digest::of(&manifest), &Manifest::parse(&manifest)?, raw_config, &sizes)?;
        image.parent = Some(opts.parent);

        self.0.blobs.publish(layer.into_iter().chain(staged))?;
        self.0.add_named(image, opts.name.as_ref())
    }
}

fn describe(media_type: &str, digest: &Digest, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), size, digest: digest.clone(), platform: None, annotations: BTreeMap::new() }
}

/// The digest of a tar without entries: Docker's sign for a step that changed no files.
fn empty_tar() -> Digest {
    Digest::of(&[0; 1024])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Fixture;
    use wharf_types::Reference;

    fn options(parent: &Image) -> CommitOptions {
        CommitOptions {
            parent: parent.id.clone(),
            name: Some("made:1".parse::<Reference>().unwrap().into()),
            config: RunConfig { cmd: Some(vec!["x".into()]), ..RunConfig::default() },
            author: "me".into(),
            comment: "why".into(),
            created_by: "sh".into(),
            created: Timestamp::from_nanos(1),
        }
    }

    #[test]
    fn a_layer_on_top_of_an_image() {
        let mut f = Fixture::new();
        let base = f.add("a", &["base"], &["base:1"]);
        let made = f.store.commit(options(&base), |out| Ok(out.write_all(b"layer")?), &f.layers).unwrap();
        assert_eq!((made.parent.as_ref(), made.layers.len(), made.comment()), (Some(&base.id), 2, "why"));
        assert_eq!((made.layers[1].diff_id.clone(), made.layers[1].size), (Digest::of(b"layer"), 5));
        assert_eq!((made.tags[0].to_string().as_str(), made.config.author.as_str()), ("made:1", "me"));
        assert!(made.config.history.last().is_some_and(|h| h.created_by == "sh" && !h.empty_layer));
        assert!(f.layers.has(&made.chain_id().unwrap()));
        // The next daemon finds the same image.
        f.reopen();
        assert_eq!(f.store.resolve("made:1").unwrap().id, made.id);
        assert!(f.store.open_blob(&made.layers[1].blob).is_ok());
    }

    #[test]
    fn no_changes_make_no_layer_and_failures_leave_nothing() {
        let f = Fixture::new();
        let base = f.add("a", &["base"], &["base:1"]);
        let made = f.store.commit(options(&base), |out| Ok(out.write_all(&[0; 1024])?), &f.layers).unwrap();
        assert_eq!(made.layers, base.layers);
        assert!(made.config.history.last().is_some_and(|h| h.empty_layer));
        let (before, blobs) = (f.store.count(), f.blobs());
        let held = NewName { reference: "base:1".parse().unwrap(), holder: Some(String::new()) };
        for name in [held, "sha256:1".parse::<Reference>().unwrap().into()] {
            let refused = CommitOptions { name: Some(name), ..options(&base) };
            assert!(f.store.commit(refused, |out| Ok(out.write_all(b"layer")?), &f.layers).is_err());
        }
        assert!(f.store.commit(options(&base), |_| Err(Error::system("disk")), &f.layers).is_err());
        let gone = CommitOptions { parent: Digest::of(b"none"), ..options(&base) };
        assert_eq!(f.store.commit(gone, |_| Ok(()), &f.layers).unwrap_err().kind(), wharf_types::ErrorKind::NotFound);
        assert_eq!((f.store.count(), f.blobs()), (before, blobs));
    }
}
