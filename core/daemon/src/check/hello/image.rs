//! The hello image: one layer with one static program, as an archive that `docker load` understands.

use serde_json::json;
use sha2::{Digest, Sha256};
use std::io;

/// The image's name.
pub(super) const TAG: &str = "wharf/hello:latest";

/// The archive around `program`, the monitor's binary, which greets when its first argument is `hello`.
pub(super) fn archive(program: &[u8]) -> io::Result<Vec<u8>> {
    let layer = tarball(&[("hello", 0o755, program)])?;
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {"Entrypoint": ["/hello"], "Cmd": ["hello"], "Env": ["PATH=/"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex::encode(Sha256::digest(&layer)))]},
        "history": [{"created_by": "wharfd check"}],
    })
    .to_string();
    let config_name = format!("{}.json", hex::encode(Sha256::digest(&config)));
    let manifest = json!([{"Config": config_name, "RepoTags": [TAG], "Layers": ["layer.tar"]}]).to_string();
    tarball(&[(&config_name, 0o644, config.as_bytes()), ("layer.tar", 0o644, &layer), ("manifest.json", 0o644, manifest.as_bytes())])
}

fn tarball(files: &[(&str, u32, &[u8])]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        tar.append_data(&mut header, name, *content)?;
    }
    tar.into_inner()
}

/// This machine in the words of image configurations.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashMap, io::Read};

    fn untar(bytes: &[u8]) -> HashMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let (name, mut content) = (entry.path().unwrap().display().to_string(), Vec::new());
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        });
        entries.collect()
    }

    #[test]
    fn the_archive_holds_together() {
        let files = untar(&archive(b"program").unwrap());
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&files[manifest[0]["Config"].as_str().unwrap()]).unwrap();
        let layer = &files["layer.tar"];
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex::encode(Sha256::digest(layer))));
        assert_eq!(untar(layer)["hello"], b"program");
    }
}
