//! An image as the store hands it out: a snapshot that does not change.

use crate::{config::ImageConfig, manifest::Manifest, platform::Platform};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wharf_types::{Digest, Error, Reference, Result, Timestamp};

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageLayer {
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The digest of the blob as it came.
    pub blob: Digest,
    /// The blob's media type.
    pub media_type: String,
    /// The blob's length in bytes.
    pub compressed_size: u64,
    /// The length of the unpacked files in bytes.
    pub size: u64,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The digest of the config.
    pub id: Digest,
    /// The digest of the manifest.
    pub manifest: Digest,
    /// The config, read.
    pub config: ImageConfig,
    /// The config, verbatim.
    pub raw_config: Bytes,
    /// The layers, base first.
    pub layers: Vec<ImageLayer>,
    /// The length of all unpacked files in bytes.
    pub size: u64,
    /// When it was made, if the config says so.
    pub created: Option<Timestamp>,
    /// The image this one was built or committed from, when it is known here.
    pub parent: Option<Digest>,
    /// The names that mean this image, in order.
    pub tags: Vec<Reference>,
    /// The registry digests that mean this image, in order.
    pub digests: Vec<Reference>,
    /// When a name was last given to it.
    pub last_tagged: Option<Timestamp>,
}

impl Image {
    /// Puts an image together from its blobs; `layer_sizes` are unpacked lengths.
    ///
    /// # Errors
    /// When manifest and config disagree, or the config is no image config.
    pub(crate) fn assemble(manifest: Digest, parsed: &Manifest, raw_config: Bytes, layer_sizes: &[u64]) -> Result<Self> {
        let id = Digest::of(&raw_config);
        if parsed.config.digest != id {
            return Err(Error::invalid(format!("config digest is {id}, the manifest says {}", parsed.config.digest)));
        }
        let config = parse_config(&raw_config)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != parsed.layers.len() || diff_ids.len() != layer_sizes.len() {
            let (expected, got) = (diff_ids.len(), parsed.layers.len());
            return Err(Error::invalid(format!("invalid manifest, layers length mismatch: expected {expected}, got {got}")));
        }
        let layers = diff_ids.iter().zip(&parsed.layers).zip(layer_sizes).map(|((diff_id, blob), size)| ImageLayer {
            diff_id: diff_id.clone(),
            blob: blob.digest.clone(),
            media_type: blob.media_type.clone(),
            compressed_size: blob.size,
            size: *size,
        });
        Ok(Self {
            id,
            manifest,
            layers: layers.collect(),
            size: layer_sizes.iter().sum(),
            created: config.created,
            config,
            raw_config,
            parent: None,
            tags: Vec::new(),
            digests: Vec::new(),
            last_tagged: None,
        })
    }

    /// The commit message: the config's own, else that of the last step.
    pub fn comment(&self) -> &str {
        match self.config.comment.as_str() {
            "" => self.config.history.last().map_or("", |h| h.comment.as_str()),
            own => own,
        }
    }

    /// The operating system, `linux` where the config names none.
    pub fn os(&self) -> &str {
        if self.config.os.is_empty() { "linux" } else { &self.config.os }
    }

    /// What it runs on.
    pub fn platform(&self) -> Platform {
        Platform::of_config(&self.config.os, &self.config.architecture, &self.config.variant)
    }

    /// The chain ids of the layers, base first.
    pub fn chain_ids(&self) -> Vec<Digest> {
        chain_ids(&self.config.rootfs.diff_ids)
    }

    /// The chain id of the top layer; `None` for an image without layers.
    pub fn chain_id(&self) -> Option<Digest> {
        self.chain_ids().pop()
    }

    /// Every blob that belongs to the image.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Digest> {
        [&self.id, &self.manifest].into_iter().chain(self.layers.iter().map(|l| &l.blob))
    }
}

/// Reads a config.
pub(crate) fn parse_config(raw: &[u8]) -> Result<ImageConfig> {
    let invalid = |what: &dyn std::fmt::Display| Error::invalid(format!("invalid image config: {what}"));
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(raw).map_err(|e| invalid(&e))?;
    if !fields.contains_key("rootfs") {
        return Err(invalid(&"no rootfs key"));
    }
    let config: ImageConfig = serde_json::from_slice(raw).map_err(|e| invalid(&e))?;
    if config.rootfs.kind != "layers" {
        return Err(invalid(&format_args!("rootfs type is {:?}", config.rootfs.kind)));
    }
    Ok(config)
}

/// Chain ids name a layer together with everything below it: the first is the first diff id, the next is the digest of
/// `<chain> <diff id>` (OCI image spec, "Layer ChainID").
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        chains.push(match chains.last() {
            None => diff_id.clone(),
            Some(parent) => Digest::from_sha256(&Sha256::digest(format!("{parent} {diff_id}"))),
        });
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let ids = chain_ids(&[a.clone(), b.clone()]);
        assert_eq!(ids[0], a);
        assert_eq!(ids[1], Digest::of(format!("{a} {b}").as_bytes()));
        assert!(chain_ids(&[]).is_empty());
    }
}
