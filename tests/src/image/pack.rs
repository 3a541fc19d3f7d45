//! Packaging config and layers as the archives that engines load.

use std::io::Write;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Layer;

/// Compressions that an engine recognises by the first bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "names of formats")]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    /// Compresses `bytes`.
    pub fn apply(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Compression::None => bytes.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
            Compression::Xz => {
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(0)).unwrap();
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

/// An image: tags, the `config` object, and layer tars from the bottom up.
#[derive(Clone)]
pub struct Image {
    /// References such as `busybox:latest`.
    pub tags: Vec<String>,
    /// The container defaults: `Cmd`, `Env`, …
    pub config: Value,
    /// Uncompressed layers.
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    /// The image config document.
    fn document(&self) -> Vec<u8> {
        let ids: Vec<String> = self.layers.iter().map(|l| digest(l)).collect();
        let history: Vec<Value> = ids.iter().map(|_| json!({"created": "2026-01-01T00:00:00Z", "created_by": "test image"})).collect();
        json!({
            "architecture": arch(),
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": ids},
            "history": history,
        })
        .to_string()
        .into_bytes()
    }

    /// The image ID as `docker save` archives define it.
    pub fn id(&self) -> String {
        digest(&self.document())
    }

    /// Several images in the layout of `docker save`.
    pub fn docker_archive(images: &[Image]) -> Vec<u8> {
        let mut archive = Layer::new();
        let mut manifest = Vec::new();
        let mut written = Vec::new();
        for image in images {
            let config = format!("{}.json", hex_of(&image.document()));
            let mut layers = Vec::new();
            for layer in &image.layers {
                let name = format!("{}/layer.tar", hex_of(layer));
                if !written.contains(&name) {
                    archive = archive.file(&name, 0o644, layer);
                    written.push(name.clone());
                }
                layers.push(name);
            }
            archive = archive.file(&config, 0o644, &image.document());
            manifest.push(json!({"Config": config, "RepoTags": image.tags, "Layers": layers}));
        }
        archive.file("manifest.json", 0o644, Value::from(manifest).to_string().as_bytes()).finish()
    }

    /// The image as an OCI layout with layers compressed by `compression` (gzip or zstd have media types).
    pub fn oci_layout(&self, compression: Compression) -> Vec<u8> {
        let suffix = match compression {
            Compression::None => "",
            Compression::Gzip => "+gzip",
            Compression::Zstd => "+zstd",
            other => panic!("OCI has no media type for {other:?}"),
        };
        let mut archive = Layer::new().file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
        let mut blob = |bytes: &[u8], media: String| {
            let name = format!("blobs/sha256/{}", hex_of(bytes));
            archive = std::mem::take(&mut archive).file(&name, 0o644, bytes);
            json!({"mediaType": media, "digest": digest(bytes), "size": bytes.len()})
        };
        let layers: Vec<Value> =
            self.layers.iter().map(|l| blob(&compression.apply(l), format!("application/vnd.oci.image.layer.v1.tar{suffix}"))).collect();
        let config = blob(&self.document(), "application/vnd.oci.image.config.v1+json".into());
        let media = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media, "config": config, "layers": layers});
        let mut entry = blob(manifest.to_string().as_bytes(), media.into());
        let tag = self.tags[0].clone();
        entry["annotations"] =
            json!({"io.containerd.image.name": format!("docker.io/library/{tag}"), "org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]});
        archive.file("index.json", 0o644, index.to_string().as_bytes()).finish()
    }
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex_of(bytes))
}
