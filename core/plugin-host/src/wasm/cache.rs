//! Compiled code on disk, one file for each component and version of the engine.
//!
//! A file holds what the compiler made and, behind it, the SHA-256 of that. Whatever is wrong with a file, the answer is to compile
//! again: the cache may be removed at any time.

use super::{private, sys};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::{Path, PathBuf},
};
use wasmtime::{Engine, component::Component};
use wharf_store::{Durability, write_atomic};
use wharf_types::{Error, Result, error::Context};

const SUM: usize = 32;

pub(super) struct Cache {
    dir: PathBuf,
    /// What names of files that this engine can load end with.
    suffix: String,
}

impl Cache {
    /// Opens the directory and removes what other versions of the engine left there.
    pub fn open(dir: &Path, engine: &Engine) -> Result<Self> {
        private::directory(dir)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let cache = Self { dir: dir.to_owned(), suffix: format!("-{:016x}.code", hasher.finish()) };
        for entry in std::fs::read_dir(dir).context(format_args!("read {}", dir.display()))? {
            let entry = entry.context(format_args!("read {}", dir.display()))?;
            if !entry.file_name().as_encoded_bytes().ends_with(cache.suffix.as_bytes()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(cache)
    }

    /// The component and the digest of its bytes (`sha256:…`), compiled when it is not here.
    pub fn component(&self, engine: &Engine, wasm: &[u8]) -> Result<(Component, String)> {
        let digest = hex::encode(Sha256::digest(wasm));
        let path = self.path(&digest);
        let named = format!("sha256:{digest}");
        match load(engine, &path) {
            Ok(Some(component)) => return Ok((component, named)),
            Ok(None) => {}
            Err(reason) => tracing::warn!(file = %path.display(), reason, "compiled plugin is broken and made again"),
        }
        let mut code =
            engine.precompile_component(wasm).map_err(|e| Error::invalid(format!("not a component that can run here: {e:#}")))?;
        let sum = Sha256::digest(&code);
        code.extend_from_slice(&sum);
        write_atomic(&path, &code, Durability::Synced)?;
        match load(engine, &path) {
            Ok(Some(component)) => Ok((component, named)),
            Ok(None) => Err(Error::system(format!("{} vanished", path.display()))),
            Err(reason) => Err(Error::system(format!("{}: {reason}", path.display()))),
        }
    }

    /// Removes a component's code.
    pub fn remove(&self, digest: &str) -> Result<()> {
        let path = self.path(digest.strip_prefix("sha256:").unwrap_or(digest));
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).context(format_args!("remove {}", path.display())),
            _ => Ok(()),
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}{}", self.suffix))
    }
}

/// Nothing when there is no such file; in words what is wrong with it.
fn load(engine: &Engine, path: &Path) -> std::result::Result<Option<Component>, String> {
    let mut file =
        match rustix::fs::open(path, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC, 0.into()) {
            Ok(fd) => File::from(fd),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(e) => return Err(e.to_string()),
        };
    let meta = file.metadata().map_err(|e| e.to_string())?;
    if !meta.is_file() || !private::own(&meta) {
        return Err("others can write it".to_owned());
    }
    let mut whole = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0));
    file.read_to_end(&mut whole).map_err(|e| e.to_string())?;
    match whole.split_last_chunk::<SUM>() {
        Some((code, sum)) if *Sha256::digest(code) == *sum => {}
        _ => return Err("its checksum is wrong".to_owned()),
    }
    sys::map_code(engine, path).map(Some).map_err(|e| format!("{e:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn broken_foreign_and_old_files_are_made_again() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("cache");
        let engine = Engine::default();
        let cache = Cache::open(&dir, &engine).unwrap();
        let wasm = wat::parse_str("(component)").unwrap();
        let (_, digest) = cache.component(&engine, &wasm).unwrap();
        let path = cache.path(digest.strip_prefix("sha256:").unwrap());
        let good = std::fs::read(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut flipped = good.clone();
        flipped[100] ^= 1;
        for bad in [flipped, good[..good.len() / 2].to_vec(), Vec::new()] {
            std::fs::write(&path, &bad).unwrap();
            assert!(load(&engine, &path).is_err());
            cache.component(&engine, &wasm).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), good);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(load(&engine, &path).unwrap_err().contains("others"));
        cache.component(&engine, &wasm).unwrap();
        assert!(load(&engine, &path).unwrap().is_some());

        std::fs::write(dir.join("old-0123.code"), b"").unwrap();
        let cache = Cache::open(&dir, &engine).unwrap();
        assert!(!dir.join("old-0123.code").exists() && path.exists());
        cache.remove(&digest).unwrap();
        assert!(!path.exists());
    }
}
