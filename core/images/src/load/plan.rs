//! Step two of a load: which images the archive holds.

use crate::{
    blobs::Blobs,
    config::ImageConfig,
    image::parse_config,
    load::spool::{MAX_LISTING, Spool, clean},
    manifest::{Descriptor, Index, MAX_DOCUMENT, Manifest},
    platform::Platform,
};
use serde::Deserialize;
use std::collections::HashMap;
use wharf_types::{Digest, Error, Reference, Result};

/// One image to load.
pub(crate) struct Plan {
    pub(crate) config: Vec<u8>,
    pub(crate) parsed_config: ImageConfig,
    /// The image's own manifest; without one, it is made from `layers`.
    pub(crate) manifest: Option<Vec<u8>>,
    /// Names of the layer files in the archive, base first.
    pub(crate) layers: Vec<String>,
    pub(crate) tags: Vec<Reference>,
}

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// How many lists may be nested.
const MAX_NESTING: usize = 4;

/// The images of an archive; only those for one of `platforms` when some are named.
pub(crate) fn plan(store: &Blobs, spool: &Spool, platforms: &[Platform]) -> Result<Vec<Plan>> {
    let host = [Platform::default()];
    let manifests = match spool.digest_of("index.json") {
        Some(index) => {
            let wanted = if platforms.is_empty() { &host } else { platforms };
            Layout { store, spool, wanted, strict: !platforms.is_empty() }.images(&index)?
        }
        None => Vec::new(),
    };
    let plans: Vec<Plan> = match spool.digest_of("manifest.json") {
        Some(listing) => saved(store, spool, &spool.read_blob(store, &listing, MAX_LISTING)?, manifests)?,
        None if !manifests.is_empty() => manifests.into_iter().map(|m| m.into_plan(store, spool)).collect::<Result<_>>()?,
        None if spool.digest_of("index.json").is_some() && !platforms.is_empty() => Vec::new(),
        None => return Err(Error::invalid("invalid archive: does not contain a manifest.json")),
    };
    if platforms.is_empty() {
        return Ok(plans);
    }
    let fitting: Vec<Plan> = plans.into_iter().filter(|p| platforms.iter().any(|wanted| wanted.takes(&p.platform()))).collect();
    if fitting.is_empty() {
        return Err(Error::not_found(format!("the archive holds no image for {}", names(platforms))));
    }
    Ok(fitting)
}

impl Plan {
    fn platform(&self) -> Platform {
        let config = &self.parsed_config;
        Platform::of_config(&config.os, &config.architecture, &config.variant)
    }
}

fn names(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A `docker save` archive. Where it is an OCI layout as well, the images keep their manifests and so their digests.
fn saved(store: &Blobs, spool: &Spool, listing: &[u8], manifests: Vec<Found>) -> Result<Vec<Plan>> {
    let entries: Vec<Saved> =
        serde_json::from_slice(listing).map_err(|e| Error::invalid(format!("invalid archive: manifest.json: {e}")))?;
    let mut manifests: HashMap<Digest, Vec<u8>> = manifests.into_iter().map(|f| (f.manifest.config.digest, f.text)).collect();
    entries
        .into_iter()
        .map(|entry| {
            let digest = spool.digest_of(&clean(entry.config.as_bytes(), "")?);
            let digest = digest.ok_or_else(|| Error::invalid(format!("invalid archive: config {} is missing", entry.config)))?;
            let config = spool.read_blob(store, &digest, MAX_DOCUMENT)?;
            let tags = entry.repo_tags.unwrap_or_default().iter().map(|t| parse_tag(t)).collect::<Result<_>>()?;
            let layers = entry.layers.unwrap_or_default().iter().map(|l| clean(l.as_bytes(), "")).collect::<Result<_>>()?;
            Ok(Plan { parsed_config: parse_config(&config)?, config, manifest: manifests.remove(&digest), layers, tags })
        })
        .collect()
}

fn parse_tag(text: &str) -> Result<Reference> {
    let reference: Reference = text.parse().map_err(|e: Error| e.context(format_args!("invalid tag {text:?}")))?;
    if reference.tag().is_none() || reference.digest().is_some() {
        return Err(Error::invalid(format!("invalid tag {text:?}")));
    }
    Ok(reference)
}

struct Layout<'a> {
    store: &'a Blobs,
    spool: &'a Spool,
    /// The first one that an index has is taken.
    wanted: &'a [Platform],
    /// Nothing else will do.
    strict: bool,
}

/// A manifest of an OCI layout.
struct Found {
    text: Vec<u8>,
    manifest: Manifest,
    tags: Vec<Reference>,
}

impl Layout<'_> {
    fn images(&self, index: &Digest) -> Result<Vec<Found>> {
        let entries = self.index(index, MAX_LISTING)?;
        let (ours, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|d| self.rank(d).is_some());
        // An archive for another platform alone is loaded all the same; "unknown" marks attestations.
        let chosen = if ours.is_empty() && !self.strict { others.into_iter().filter(|d| !is_attestation(d)).collect() } else { ours };
        let mut found: Vec<Found> = Vec::new();
        for entry in chosen {
            let Some(mut image) = self.image(&entry, 0)? else { continue };
            image.tags = tags_of(&entry);
            match found.iter_mut().find(|f| f.manifest.config.digest == image.manifest.config.digest) {
                Some(same) => same.tags.append(&mut image.tags),
                None => found.push(image),
            }
        }
        Ok(found)
    }

    fn index(&self, digest: &Digest, limit: u64) -> Result<Vec<Descriptor>> {
        let text = self.spool.read_blob(self.store, digest, limit)?;
        let index: Index = serde_json::from_slice(&text).map_err(|e| Error::invalid(format!("invalid archive: index {digest}: {e}")))?;
        Ok(index.manifests)
    }

    /// Which of the wanted platforms an entry is for; one that says nothing may be for the first.
    fn rank(&self, entry: &Descriptor) -> Option<usize> {
        match &entry.platform {
            None => Some(0),
            Some(p) if p.os.is_empty() || p.architecture.is_empty() => None,
            Some(p) => {
                let own = Platform::of_config(&p.os, &p.architecture, &p.variant);
                self.wanted.iter().position(|wanted| wanted.takes(&own))
            }
        }
    }

    /// The image behind an entry; `None` for a manifest that is no image.
    fn image(&self, entry: &Descriptor, nesting: usize) -> Result<Option<Found>> {
        if entry.is_index() {
            if nesting == MAX_NESTING {
                return Err(Error::invalid(format!("invalid archive: index {} is nested too deeply", entry.digest)));
            }
            let inner = self.index(&entry.digest, MAX_DOCUMENT)?;
            // Platforms that the archive lists but does not hold are no choice.
            let here = inner.into_iter().filter(|d| self.spool.by_digest(&d.digest).is_ok());
            let ranked = here.filter_map(|d| Some((d.platform.is_none(), self.rank(&d)?, d)));
            let Some((.., chosen)) = ranked.min_by_key(|(unnamed, rank, _)| (*unnamed, *rank)) else {
                let what = format!("no matching manifest for {} in the manifest list entries", names(self.wanted));
                return Err(Error::not_found(what));
            };
            return self.image(&chosen, nesting.saturating_add(1));
        }
        let text = self.spool.read_blob(self.store, &entry.digest, MAX_DOCUMENT)?;
        let manifest = Manifest::parse(&text)?;
        let is_image = manifest.config.media_type.is_empty()
            || manifest.config.media_type == crate::manifest::DOCKER_CONFIG
            || manifest.config.media_type == "application/vnd.oci.image.config.v1+json";
        Ok(is_image.then_some(Found { text, manifest, tags: Vec::new() }))
    }
}

impl Found {
    fn into_plan(self, store: &Blobs, spool: &Spool) -> Result<Plan> {
        let config = spool.read_blob(store, &self.manifest.config.digest, MAX_DOCUMENT)?;
        Ok(Plan { parsed_config: parse_config(&config)?, config, manifest: Some(self.text), layers: Vec::new(), tags: self.tags })
    }
}

/// containerd writes the full name, others a name or only a tag (which then names nothing).
fn tags_of(entry: &Descriptor) -> Vec<Reference> {
    let full = entry.annotations.get("io.containerd.image.name");
    let short = entry.annotations.get("org.opencontainers.image.ref.name").filter(|n| n.contains([':', '/']));
    full.or(short)
        .and_then(|n| n.parse::<Reference>().ok())
        .filter(|r| r.digest().is_none())
        .map(Reference::or_latest)
        .into_iter()
        .collect()
}

fn is_attestation(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_some_and(|p| p.os == "unknown")
}
