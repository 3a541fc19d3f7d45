//! Step one of a load: the archive's files, staged as blobs. Nothing is ever written under a name that the archive chose.

use crate::{
    blobs::{Blobs, Staged},
    compress::{Compression, unpack},
    load::lease::Lease,
    manifest::Descriptor,
};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use wharf_types::{Digest, Error, Result, error::Context};

/// The files of an archive, by their name in it.
pub(crate) struct Spool {
    files: HashMap<String, Item>,
    blobs: Mutex<HashMap<Digest, Source>>,
}

#[derive(Clone)]
enum Item {
    Blob(Digest),
    /// Another name of the archive: `docker save` links equal layers.
    Link(String),
}

/// Where a blob can be read before it is published.
#[derive(Clone)]
pub(crate) enum Source {
    Staged(Arc<Staged>),
    /// It was in the store already (and is pinned).
    Known,
}

/// How many links may lead from one to the next.
const MAX_LINKS: usize = 8;
/// Longest `manifest.json` and `index.json` in bytes: they list every image with every layer. Longer ones are not even stored.
pub(crate) const MAX_LISTING: u64 = 32 << 20;
/// Where OCI layouts keep blobs.
pub(crate) const BLOB_DIR: &str = "blobs/sha256/";

impl Spool {
    /// Reads the archive to its end.
    pub(crate) fn read(store: &Blobs, lease: &Lease, input: impl Read + Send) -> Result<Self> {
        let damaged = |e: io::Error| Error::invalid(format!("invalid archive: {e}")).with_source(e);
        let (_, stream) = unpack(input).map_err(damaged)?;
        let mut archive = tar::Archive::new(stream);
        let mut spool = Self { files: HashMap::new(), blobs: Mutex::default() };
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let kind = entry.header().entry_type();
            let name = clean(&entry.path_bytes(), "")?;
            let item = if kind.is_file() || kind.is_contiguous() {
                spool.stage(store, lease, &name, &mut entry)?
            } else if kind.is_symlink() || kind.is_hard_link() {
                let base = if kind.is_symlink() { name.rsplit_once('/').map_or("", |(dir, _)| dir) } else { "" };
                Item::Link(clean(&entry.link_name_bytes().unwrap_or_default(), base)?)
            } else {
                continue;
            };
            spool.files.insert(name, item);
        }
        Ok(spool)
    }

    fn stage(&self, store: &Blobs, lease: &Lease, name: &str, content: &mut impl Read) -> Result<Item> {
        let named: Option<Digest> = name.strip_prefix(BLOB_DIR).and_then(|hex| format!("sha256:{hex}").parse().ok());
        if let Some(digest) = &named {
            lease.pin(digest);
            if store.has(digest) {
                self.blobs().insert(digest.clone(), Source::Known);
                return Ok(Item::Blob(digest.clone()));
            }
        }
        let listing = matches!(name, "manifest.json" | "index.json");
        let limit = if listing { MAX_LISTING } else { u64::MAX };
        let mut writer = store.writer()?;
        let copied = writer.copy_from(&mut content.take(limit.saturating_add(1)));
        copied.map_err(|e| Error::invalid(format!("invalid archive: {name}: {e}")).with_source(e))?;
        let staged = writer.finish();
        if staged.size > limit {
            return Err(Error::invalid(format!("invalid archive: {name} is longer than {limit} bytes")));
        }
        if let Some(named) = named.filter(|n| *n != staged.digest) {
            return Err(Error::invalid(format!("invalid archive: the digest of {name} is {}, expected {named}", staged.digest)));
        }
        Ok(Item::Blob(self.keep(lease, staged)))
    }

    fn keep(&self, lease: &Lease, staged: Staged) -> Digest {
        let digest = staged.digest.clone();
        lease.pin(&digest);
        self.blobs().entry(digest.clone()).or_insert_with(|| Source::Staged(Arc::new(staged)));
        digest
    }

    /// Adds a document that the archive did not have.
    pub(crate) fn add(&self, store: &Blobs, lease: &Lease, content: &[u8]) -> Result<Digest> {
        let digest = Digest::of(content);
        if self.blobs().contains_key(&digest) {
            return Ok(digest);
        }
        Ok(self.keep(lease, store.stage(content)?))
    }

    /// The digest of a file of the archive; links are followed.
    pub(crate) fn digest_of(&self, name: &str) -> Option<Digest> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.files.get(name)? {
                Item::Blob(digest) => return Some(digest.clone()),
                Item::Link(to) => name = to,
            }
        }
        None
    }

    /// A blob of the archive.
    pub(crate) fn by_digest(&self, digest: &Digest) -> Result<Source> {
        self.blobs().get(digest).cloned().ok_or_else(|| Error::invalid(format!("invalid archive: blob {digest} is missing")))
    }

    /// Reads a small blob of the archive.
    pub(crate) fn read_blob(&self, store: &Blobs, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.by_digest(digest)?.open(store, digest)?.take(limit.saturating_add(1)).read_to_end(&mut content).context("read blob")?;
        if content.len() as u64 > limit {
            return Err(Error::invalid(format!("invalid archive: document {digest} is longer than {limit} bytes")));
        }
        Ok(content)
    }

    /// Describes a layer file for a manifest. One that is packed in a way that registries do not know is unpacked here.
    pub(crate) fn describe_layer(&self, store: &Blobs, lease: &Lease, name: &str) -> Result<Descriptor> {
        let digest = self.digest_of(name).ok_or_else(|| Error::invalid(format!("invalid archive: layer {name} is missing")))?;
        let file = self.by_digest(&digest)?.open(store, &digest)?;
        let size = file.metadata().context("read layer")?.len();
        let (kind, mut plain) = unpack(file).context("read layer")?;
        let (digest, size, media_type) = match kind.layer_media_type() {
            Some(media_type) => (digest, size, media_type),
            None => {
                let mut writer = store.writer()?;
                writer.copy_from(&mut plain).map_err(|e| Error::invalid(format!("invalid archive: {name}: {e}")))?;
                let staged = writer.finish();
                let size = staged.size;
                (self.keep(lease, staged), size, Compression::None.layer_media_type().unwrap_or_default())
            }
        };
        Ok(Descriptor { media_type: media_type.to_owned(), size, digest, platform: None, annotations: BTreeMap::new() })
    }

    /// All blobs that are not in the store yet.
    pub(crate) fn into_staged(self) -> impl Iterator<Item = Staged> {
        let blobs = self.blobs.into_inner().unwrap_or_else(PoisonError::into_inner);
        blobs.into_values().filter_map(|source| match source {
            Source::Staged(staged) => Arc::into_inner(staged),
            Source::Known => None,
        })
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<Digest, Source>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Opens the blob for reading.
    pub(crate) fn open(&self, store: &Blobs, digest: &Digest) -> Result<File> {
        match self {
            Self::Staged(staged) => staged.open(),
            Self::Known => store.open_blob(digest),
        }
    }
}

/// A name without `.` and empty components; `..` may only take back what stands before it. `base` is the directory that relative
/// names start in.
pub(crate) fn clean(name: &[u8], base: &str) -> Result<String> {
    let refused = || Error::invalid(format!("invalid archive: the name {:?} leads out of it", String::from_utf8_lossy(name)));
    let text = std::str::from_utf8(name).map_err(|_| refused())?;
    if text.starts_with('/') {
        return Err(refused());
    }
    let mut parts: Vec<&str> = base.split('/').filter(|p| !p.is_empty()).collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(refused)?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, base, clean_name) in
            [("a/b", "", "a/b"), ("./a//b/", "", "a/b"), ("../x/layer.tar", "id", "x/layer.tar"), ("a/../b", "", "b")]
        {
            assert_eq!(clean(name.as_bytes(), base).unwrap(), clean_name);
        }
        for bad in ["/etc/passwd", "..", "a/../../b", "../../x"] {
            assert!(clean(bad.as_bytes(), "id").is_err() || clean(bad.as_bytes(), "").is_err(), "{bad}");
        }
        assert!(clean(b"../../x", "id").is_err());
        assert!(clean(b"\xff", "").is_err());
    }
}
