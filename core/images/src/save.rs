//! Saving: images as an archive that `docker load` of any age and OCI tools read.
//!
//! It is an OCI layout with a `manifest.json` (Docker's list of images) and `repositories` (which only very old engines read).
//! Layers are unpacked tars under their diff ids, as Docker writes them, so the manifests are made for the archive.

use crate::{
    compress::unpack,
    image::{Image, ImageLayer},
    load::{lease::Lease, spool::BLOB_DIR},
    manifest::{Descriptor, Manifest, OCI_INDEX, OCI_MANIFEST},
    store::ImageStore,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    io::{self, BufReader, Read, Write},
    sync::Arc,
};
use wharf_types::{Digest, Error, Reference, Result, error::Context};

/// An image to save and the names that it shall have.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The image.
    pub image: Arc<Image>,
    /// Its tags in the archive.
    pub tags: Vec<Reference>,
}

impl Saved {
    /// Every image once, with all its tags.
    #[must_use]
    pub fn merge(all: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for saved in all {
            match merged.iter_mut().find(|known| known.image.id == saved.image.id) {
                Some(known) => {
                    let new: Vec<_> = saved.tags.into_iter().filter(|tag| !known.tags.contains(tag)).collect();
                    known.tags.extend(new);
                }
                None => merged.push(saved),
            }
        }
        merged
    }
}

/// An entry of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
    layer_sources: BTreeMap<Digest, Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutIndex<'a> {
    schema_version: u32,
    media_type: &'a str,
    manifests: Vec<Descriptor>,
}

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Bytes read from a blob at once.
const BUFFER: usize = 128 << 10;

impl ImageStore {
    /// What `name` means: a tag is saved with the image, a name without tag means all tags of it, an id means no name.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub fn to_save(&self, name: &str) -> Result<Vec<Saved>> {
        let parsed = name.parse::<Reference>().ok().filter(|r| r.digest().is_none());
        let tagged = match &parsed {
            Some(one) if one.tag().is_some() => self.tagged(|r| r == one),
            Some(all) => self.tagged(|r| r.familiar_name() == all.familiar_name()),
            None => Vec::new(),
        };
        if tagged.is_empty() {
            return Ok(vec![Saved { image: self.resolve(name)?, tags: Vec::new() }]);
        }
        Ok(Saved::merge(tagged))
    }

    fn tagged(&self, wanted: impl Fn(&Reference) -> bool) -> Vec<Saved> {
        let index = self.0.index();
        let tags = index.references.iter().filter(|(r, _)| r.digest().is_none() && wanted(r));
        tags.filter_map(|(r, id)| Some(Saved { image: index.images.get(id)?.clone(), tags: vec![r.clone()] })).collect()
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// When a blob cannot be read or `out` not be written; the archive is then incomplete.
    pub fn save(&self, images: &[Saved], out: impl Write) -> Result<()> {
        let lease = Lease::new(Arc::clone(&self.0));
        for saved in images {
            saved.image.blobs().for_each(|blob| lease.pin(blob));
            self.get(&saved.image.id).ok_or_else(|| Error::not_found(format!("No such image: {}", saved.image.id)))?;
        }
        let mut archive = Archive { tar: tar::Builder::new(out), layers: HashMap::new(), written: Vec::new() };
        archive.directory("blobs/")?;
        archive.directory(BLOB_DIR)?;
        let (mut listing, mut manifests) = (Vec::new(), Vec::new());
        let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for Saved { image, tags } in images {
            let mut layers = Vec::new();
            for layer in &image.layers {
                layers.push(archive.layer(self, layer)?);
            }
            archive.blob(&image.id, &image.raw_config)?;
            let config = descriptor(OCI_CONFIG, &image.id, image.raw_config.len() as u64);
            let manifest = Manifest { schema_version: 2, media_type: OCI_MANIFEST.to_owned(), config, layers };
            let text = serde_json::to_vec(&manifest)?;
            let digest = Digest::of(&text);
            archive.blob(&digest, &text)?;
            manifests.extend(entries(&descriptor(OCI_MANIFEST, &digest, text.len() as u64), tags));
            listing.push(Listed {
                config: path_of(&image.id),
                repo_tags: tags.iter().map(ToString::to_string).collect(),
                layers: image.layers.iter().map(|l| path_of(&l.diff_id)).collect(),
                layer_sources: manifest.layers.into_iter().map(|d| (d.digest.clone(), d)).collect(),
            });
            for tag in tags {
                let Some((top, name)) = image.layers.last().zip(tag.tag()) else { continue };
                repositories.entry(tag.familiar_name()).or_default().insert(name.to_owned(), top.diff_id.hex().to_owned());
            }
        }
        archive.json("index.json", &OutIndex { schema_version: 2, media_type: OCI_INDEX, manifests })?;
        archive.json("manifest.json", &listing)?;
        archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        if !repositories.is_empty() {
            archive.json("repositories", &repositories)?;
        }
        archive.tar.into_inner().and_then(|mut out| out.flush()).context("save")
    }
}

/// The entries of an image in the index: one for each name.
fn entries(manifest: &Descriptor, tags: &[Reference]) -> Vec<Descriptor> {
    let named = |tag: &Reference| {
        let (mut entry, name) = (manifest.clone(), tag.tag().unwrap_or_default());
        entry.annotations.insert("io.containerd.image.name".to_owned(), format!("{}/{}:{name}", tag.domain(), tag.path()));
        entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), name.to_owned());
        entry
    };
    if tags.is_empty() { vec![manifest.clone()] } else { tags.iter().map(named).collect() }
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), size, digest: digest.clone(), platform: None, annotations: BTreeMap::new() }
}

fn path_of(digest: &Digest) -> String {
    format!("{BLOB_DIR}{}", digest.hex())
}

struct Archive<W: Write> {
    tar: tar::Builder<W>,
    /// What was written of layers, by diff id.
    layers: HashMap<Digest, Descriptor>,
    /// Other blobs.
    written: Vec<Digest>,
}

impl<W: Write> Archive<W> {
    fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(0);
        header
    }

    fn directory(&mut self, path: &str) -> Result<()> {
        let mut header = Self::header(tar::EntryType::Directory, 0o755, 0);
        self.tar.append_data(&mut header, path, io::empty()).context("save")
    }

    fn entry(&mut self, path: &str, size: u64, content: impl Read) -> Result<()> {
        let mut header = Self::header(tar::EntryType::Regular, 0o644, size);
        self.tar.append_data(&mut header, path, content).context(format_args!("save {path}"))
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, content.len() as u64, content)
    }

    fn json(&mut self, path: &str, content: &impl Serialize) -> Result<()> {
        self.file(path, &serde_json::to_vec(content)?)
    }

    fn blob(&mut self, digest: &Digest, content: &[u8]) -> Result<()> {
        if self.written.contains(digest) {
            return Ok(());
        }
        self.written.push(digest.clone());
        self.file(&path_of(digest), content)
    }

    /// Writes a layer's tar. The length stands before the content, so a packed one is unpacked twice, once to be measured.
    fn layer(&mut self, store: &ImageStore, layer: &ImageLayer) -> Result<Descriptor> {
        if let Some(known) = self.layers.get(&layer.diff_id) {
            return Ok(known.clone());
        }
        let what = || format!("save layer {}", layer.diff_id);
        let open = || Ok::<_, Error>(unpack(store.open_blob(&layer.blob)?).context(what())?.1);
        let size = if layer.blob == layer.diff_id {
            layer.compressed_size
        } else {
            io::copy(&mut BufReader::with_capacity(BUFFER, open()?), &mut io::sink()).context(what())?
        };
        let path = path_of(&layer.diff_id);
        let mut content = open()?.take(size);
        self.entry(&path, size, &mut content)?;
        if content.limit() > 0 {
            return Err(Error::system(format!("{}: blob {} is shorter than it was", what(), layer.blob)));
        }
        let known = descriptor(OCI_LAYER, &layer.diff_id, size);
        self.layers.insert(layer.diff_id.clone(), known.clone());
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Fixture;

    fn to_save(f: &Fixture, names: &[&str]) -> Vec<Saved> {
        Saved::merge(names.iter().flat_map(|name| f.store.to_save(name).unwrap()))
    }

    fn saved(f: &Fixture, names: &[&str]) -> Vec<u8> {
        let mut tar = Vec::new();
        f.store.save(&to_save(f, names), &mut tar).unwrap();
        tar
    }

    fn file(tar: &[u8], name: &str) -> serde_json::Value {
        let mut archive = tar::Archive::new(tar);
        let mut found = archive.entries().unwrap().map(Result::unwrap).find(|e| e.path().unwrap().to_str() == Some(name)).unwrap();
        let mut text = Vec::new();
        found.read_to_end(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn what_is_saved_can_be_loaded() {
        let f = Fixture::new();
        let a = f.add("a", &["base", "top"], &["a:1", "a:2", "b:1"]);
        let b = f.add("b", &["base"], &[]);
        let tar = saved(&f, &["a", b.id.short()]);
        assert!(tar == saved(&f, &["a", b.id.short()]), "the same images give the same bytes");
        let other = Fixture::new();
        let loaded = other.store.load(&tar[..], &other.layers, &mut |_| {}).unwrap();
        let told: Vec<_> = loaded.iter().map(|l| (l.image.id.clone(), l.tag.as_ref().map(ToString::to_string))).collect();
        assert_eq!(told, [(a.id.clone(), Some("a:1".into())), (a.id.clone(), Some("a:2".into())), (b.id.clone(), None)]);
        assert_eq!(loaded[0].image.raw_config, a.raw_config);

        let listing = file(&tar, "manifest.json");
        assert_eq!(listing[0]["Config"], path_of(&a.id));
        assert_eq!(listing[0]["Layers"], serde_json::json!([path_of(&a.layers[0].diff_id), path_of(&a.layers[1].diff_id)]));
        assert_eq!(listing[0]["RepoTags"], serde_json::json!(["a:1", "a:2"]));
        assert_eq!(listing[1]["RepoTags"], serde_json::json!([]));
        let index = file(&tar, "index.json");
        assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "docker.io/library/a:1");
        assert_eq!(file(&tar, "repositories")["a"]["2"], a.layers[1].diff_id.hex());
    }

    #[test]
    fn names_decide_which_tags_are_saved() {
        let f = Fixture::new();
        let a = f.add("a", &["x"], &["a:1", "a:2", "b:latest"]);
        let tags = |names: &[&str]| {
            to_save(&f, names).iter().map(|s| s.tags.iter().map(ToString::to_string).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(tags(&["a"]), [["a:1", "a:2"]]);
        assert_eq!(tags(&["a:2", "b", "a:2"]), [["a:2", "b:latest"]]);
        assert_eq!(tags(&[a.id.hex()]), [[""; 0]]);
        assert_eq!(tags(&[a.id.as_str(), "a:1"]), [["a:1"]]);
        assert_eq!(f.store.to_save("nope").unwrap_err().message(), "No such image: nope:latest");
    }
}
