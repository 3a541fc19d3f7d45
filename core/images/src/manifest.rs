//! Image manifests and indexes, OCI's and Docker's schema 2, which differ in media types only.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wharf_types::{Digest, Error, Result};

/// Docker's image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's list of manifests per platform.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI's index of manifests.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI's image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The longest manifest, index or config that is read, in bytes. Registries refuse manifests above 4 MiB.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// A pointer to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
    /// For which platform, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<DescribedPlatform>,
    /// Notes, such as the image's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The platform of a manifest in an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedPlatform {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// `v8` and the like.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// An image manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// What this document is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The image config.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
}

/// A list of manifests, or of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its entries.
    pub manifests: Vec<Descriptor>,
}

impl Manifest {
    /// A schema-2 manifest for an image that came without one.
    ///
    /// # Errors
    /// Never in practice: serialising plain data.
    pub fn synthesise(config: &[u8], layers: Vec<Descriptor>) -> Result<Vec<u8>> {
        let config = Descriptor {
            media_type: DOCKER_CONFIG.to_owned(),
            size: config.len() as u64,
            digest: Digest::of(config),
            platform: None,
            annotations: BTreeMap::new(),
        };
        let manifest = Self { schema_version: 2, media_type: DOCKER_MANIFEST.to_owned(), config, layers };
        Ok(serde_json::to_vec(&manifest)?)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when it is none.
    pub fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text).map_err(|e| Error::invalid(format!("invalid manifest: {e}")))
    }
}

impl Descriptor {
    /// Whether this points to another list.
    pub fn is_index(&self) -> bool {
        self.media_type == OCI_INDEX || self.media_type == DOCKER_LIST
    }
}
