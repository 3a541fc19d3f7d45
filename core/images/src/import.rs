//! Importing: an image of one layer from the tar of a root file system.

use crate::{
    blobs::{BlobWriter, Staged, digest_of},
    changes,
    compress::{Compression, unpack},
    config::{History, ImageConfig, RootFs, RunConfig},
    image::Image,
    load::spool::Source,
    load::{LayerApplier, lease::Lease, unpack::Layer, unpack::unpack_layers},
    manifest::{Descriptor, Manifest},
    platform::Platform,
    store::{ImageStore, NewName},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io::{self, Read, Write as _},
    sync::Arc,
};
use wharf_types::{Digest, Error, Result, Timestamp, error::Context};

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// The name of the new image.
    pub name: Option<NewName>,
    /// Its comment.
    pub message: String,
    /// Dockerfile instructions for its config, see [`changes::apply`].
    pub changes: Vec<String>,
    /// What the files are for.
    pub platform: Platform,
    /// When the image is made: now.
    pub created: Timestamp,
}

impl ImageStore {
    /// Makes an image from a tar, packed or not. After an error the caller lets [`ImageStore::release_layers`] remove what was
    /// unpacked for nothing.
    ///
    /// # Errors
    /// `InvalidParameter` for changes that are no changes (before anything is read) and for a tar that is damaged or none.
    pub fn import(&self, input: impl Read + Send, opts: ImportOptions, layers: &dyn LayerApplier) -> Result<Arc<Image>> {
        let mut run = RunConfig::default();
        changes::apply(&mut run, &opts.changes)?;
        let lease = Lease::new(Arc::clone(&self.0));
        let (blob, diff_id, kind) = self.receive(input)?;
        lease.pin(&blob.digest);

        let media_type = kind.layer_media_type().unwrap_or_default().to_owned();
        let (digest, size) = (blob.digest.clone(), blob.size);
        let source = Source::Staged(Arc::new(blob));
        let work = [Layer { diff_id: &diff_id, blob: &digest, total: size, source: source.clone() }];
        let sizes = unpack_layers(&self.0, &lease, &work, layers, &mut |_| {})?;

        let history = History { created: Some(opts.created), comment: opts.message.clone(), ..History::default() };
        let config = ImageConfig {
            architecture: opts.platform.architecture,
            variant: opts.platform.variant,
            os: opts.platform.os,
            created: Some(opts.created),
            comment: opts.message,
            config: run,
            rootfs: RootFs { diff_ids: vec![diff_id.clone()], ..RootFs::default() },
            history: vec![history],
            ..ImageConfig::default()
        };
        let raw_config = Bytes::from(serde_json::to_vec(&config)?);
        let descriptor = Descriptor { media_type, size, digest: digest.clone(), platform: None, annotations: BTreeMap::new() };
        let manifest = Manifest::synthesise(&raw_config, vec![descriptor])?;
        let staged = [self.0.blobs.stage(&manifest)?, self.0.blobs.stage(&raw_config)?];
        staged.iter().for_each(|s| lease.pin(&s.digest));
        let image = Image::assemble(Digest::of(&manifest), &Manifest::parse(&manifest)?, raw_config, &sizes)?;

        drop(work);
        let layer = match source {
            Source::Staged(blob) => Arc::into_inner(blob),
            Source::Known => None,
        };
        self.0.blobs.publish(layer.into_iter().chain(staged))?;
        self.0.add_named(image, opts.name.as_ref())
    }

    /// Stores the stream as a blob and finds its diff id on the way.
    fn receive(&self, input: impl Read + Send) -> Result<(Staged, Digest, Compression)> {
        let damaged = |e: io::Error| Error::invalid(format!("invalid archive: {e}")).with_source(e);
        let mut writer = self.0.blobs.writer()?;
        let mut tee = Tee { input, to: &mut writer };
        let (kind, mut plain) = unpack(&mut tee).map_err(damaged)?;
        let diff_id = digest_of(&mut plain).map_err(damaged)?;
        drop(plain);
        // What follows the packed stream is part of the blob too.
        io::copy(&mut tee, &mut io::sink()).map_err(damaged)?;
        let blob = writer.finish();
        if kind.layer_media_type().is_some() {
            return Ok((blob, diff_id, kind));
        }
        // Registries do not know this packing, so the layer is kept unpacked.
        let mut writer = self.0.blobs.writer()?;
        writer.copy_from(&mut unpack(blob.open()?).context("read layer")?.1).map_err(damaged)?;
        Ok((writer.finish(), diff_id, Compression::None))
    }
}

struct Tee<'a, R> {
    input: R,
    to: &'a mut BlobWriter,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        self.to.write_all(buf.get(..n).unwrap_or_default())?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
