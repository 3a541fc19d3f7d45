//! `docker load` of archives whose documents are anything: taken as a whole or refused as a whole, and after that the store is one
//! that opens again.
//!
//! The input is the archive's documents, separated by lines of `---`: `manifest.json`, `index.json`, `config.json`, a layer, and one
//! more. `%0` to `%4` stand for their digests' digits, so that a fuzzer can link them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{fs, io::Read, path::Path};
use wharf_images::{ImageStore, LayerApplier};
use wharf_types::{Digest, Error, ErrorKind, Result};

const NAMES: [&str; 5] = ["manifest.json", "index.json", "config.json", "layer.tar", "more"];

struct Reads;

impl LayerApplier for Reads {
    fn has(&self, _: &Digest) -> bool {
        false
    }
    fn apply(&self, _: Option<&Digest>, _: &Digest, diff_id: &Digest, tar: &mut dyn Read) -> Result<u64> {
        let mut bytes = Vec::new();
        // What cannot be read is the archive's fault.
        tar.read_to_end(&mut bytes).map_err(|e| Error::invalid(e.to_string()))?;
        if Digest::of(&bytes) != *diff_id {
            return Err(Error::invalid("another diff id"));
        }
        Ok(bytes.len() as u64)
    }
}

fuzz_target!(|text: &str| {
    let archive = archive(text);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = ImageStore::open(dir.path()).expect("a new store");
    let loaded = store.load(&*archive, &Reads, &mut |_| {});
    match loaded {
        Err(e) => {
            assert!(matches!(e.kind(), ErrorKind::InvalidParameter | ErrorKind::NotFound), "{:?}: {e}", e.kind());
            assert_eq!((store.count(), files(dir.path())), (0, 0), "left by a load that failed");
        }
        Ok(_) => {
            let ids = |store: &ImageStore| store.list().iter().map(|i| (i.id.clone(), i.tags.clone())).collect::<Vec<_>>();
            let (before, count) = (ids(&store), files(dir.path()));
            drop(store);
            let store = ImageStore::open(dir.path()).expect("the store again");
            assert_eq!((ids(&store), files(dir.path())), (before, count));
        }
    }
});

/// How many files there are but for the empty list of names.
fn files(dir: &Path) -> usize {
    let of = |path: &Path| -> usize {
        let entries = fs::read_dir(path).expect("a directory").flatten();
        entries.map(|e| if e.file_type().is_ok_and(|t| t.is_dir()) { files(&e.path()) } else { 1 }).sum()
    };
    of(dir)
}

fn archive(text: &str) -> Vec<u8> {
    let mut documents: Vec<String> = text.split("\n---\n").take(NAMES.len()).map(str::to_owned).collect();
    // The last ones first: a document names those behind it.
    for i in (0..documents.len()).rev() {
        for j in i + 1..documents.len() {
            let digest = Digest::of(documents[j].as_bytes());
            documents[i] = documents[i].replace(&format!("%{j}"), digest.hex());
        }
    }
    let mut out = Vec::new();
    for (name, text) in NAMES.iter().zip(&documents).filter(|(_, text)| !text.is_empty()) {
        member(&mut out, name, text);
        member(&mut out, &format!("blobs/sha256/{}", Digest::of(text.as_bytes()).hex()), text);
    }
    out.extend([0; 1024]);
    out
}

fn member(out: &mut Vec<u8>, name: &str, text: &str) {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..135].copy_from_slice(format!("{:011o}", text.len()).as_bytes());
    block[156] = b'0';
    wharf_fuzz::sum(&mut block);
    out.extend(block);
    out.extend(text.as_bytes());
    out.resize(out.len().next_multiple_of(512), 0);
}
