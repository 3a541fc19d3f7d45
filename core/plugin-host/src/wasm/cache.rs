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
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use wasmtime::{Engine, component::Component};
use wharf_types::{Result, error::Context};

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

    /// The component with this digest, when its code is here and as it was made.
    pub fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        load(engine, &path).unwrap_or_else(|reason| {
            tracing::warn!(file = %path.display(), reason, "compiled plugin is broken and made again");
            None
        })
    }

    /// The component whose code was just made.
    ///
    /// # Errors
    /// In words, when it has more parts than an instance may have.
    pub fn made(&self, engine: &Engine, digest: &str) -> Result<Component, String> {
        load(engine, &self.path(digest))?.ok_or_else(|| "its code is gone".to_owned())
    }

    /// A file for code that is to be made.
    pub fn begin(&self, digest: &str) -> Result<(Unfinished, File)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let unfinished = Unfinished { path: self.dir.join(format!(".{digest}.{n}.tmp")), target: self.path(digest) };
        let file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished.path);
        let file = file.context(format_args!("create {}", unfinished.path.display()))?;
        Ok((unfinished, file))
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}{}", self.suffix))
    }
}

/// Removes the code of all components but these (`sha256:…`). Blocks.
///
/// # Errors
/// When the directory cannot be read, or a file not be removed.
pub(crate) fn retain(dir: &Path, digests: &[String]) -> Result<()> {
    let keep: Vec<&str> = digests.iter().filter_map(|digest| digest.strip_prefix("sha256:")).collect();
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.context(format_args!("read {}", dir.display()))?,
    };
    for entry in entries {
        let entry = entry.context(format_args!("read {}", dir.display()))?;
        if !entry.file_name().to_str().is_some_and(|name| keep.iter().any(|digest| name.starts_with(digest))) {
            std::fs::remove_file(entry.path()).context(format_args!("remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// A file that is being written. Dropped, it is removed; one that a dead process left is removed by [`Cache::open`] and [`retain`].
pub(super) struct Unfinished {
    path: PathBuf,
    target: PathBuf,
}

impl Unfinished {
    /// It is whole: from now on it is found. Blocks until it is on disk.
    pub fn finish(self) -> Result<()> {
        let durable = || {
            File::open(&self.path)?.sync_all()?;
            std::fs::rename(&self.path, &self.target)?;
            wharf_store::sync_dir(self.target.parent().unwrap_or(Path::new("/")))
        };
        durable().context(format_args!("write {}", self.target.display()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
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
    if !sum_is_right(&mut file, meta.len()).map_err(|e| e.to_string())? {
        return Err("its checksum is wrong".to_owned());
    }
    sys::map_code(engine, path).map(Some).map_err(|e| format!("{e:#}"))
}

/// Reads in small pieces: code has many MiB.
fn sum_is_right(file: &mut File, length: u64) -> std::io::Result<bool> {
    let Some(mut left) = length.checked_sub(SUM as u64) else { return Ok(false) };
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(piece) = buffer.get_mut(..piece) else { return Ok(false) };
        file.read_exact(piece)?;
        hasher.update(&*piece);
        left -= piece.len() as u64;
    }
    let mut sum = [0; SUM];
    file.read_exact(&mut sum)?;
    Ok(*hasher.finalize() == sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::Compiler;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn broken_foreign_and_old_files_are_not_found() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("cache");
        let engine = Engine::default();
        let cache = Cache::open(&dir, &engine).unwrap();
        let names = || std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
        let wasm = wat::parse_str("(component)").unwrap();
        let digest = "0123";
        assert!(cache.find(&engine, digest).is_none());
        let (unfinished, code) = cache.begin(digest).unwrap();
        Compiler::Here.compile(&engine, wasm, code).await.unwrap();
        assert!(cache.find(&engine, digest).is_none(), "not before it is whole");
        unfinished.finish().unwrap();
        assert!(cache.find(&engine, digest).is_some());
        assert_eq!(names().len(), 1);
        let path = cache.path(digest);
        let good = std::fs::read(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let mut flipped = good.clone();
        flipped[100] ^= 1;
        for bad in [flipped, good[..good.len() / 2].to_vec(), Vec::new()] {
            std::fs::write(&path, &bad).unwrap();
            assert!(load(&engine, &path).is_err());
            assert!(cache.find(&engine, digest).is_none());
        }
        std::fs::write(&path, &good).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(load(&engine, &path).unwrap_err().contains("others"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();

        // What a dead process, and another version of the engine, left.
        std::mem::forget(cache.begin(digest).unwrap().0);
        std::fs::write(dir.join("0123-old.code"), b"").unwrap();
        assert_eq!(names().len(), 3);
        let cache = Cache::open(&dir, &engine).unwrap();
        assert!(names().len() == 1 && path.exists());
        drop(cache.begin(digest).unwrap());
        assert_eq!(names().len(), 1);
        retain(&dir, &["sha256:0123".to_owned()]).unwrap();
        assert!(path.exists());
        retain(&dir, &["sha256:4567".to_owned()]).unwrap();
        assert!(names().is_empty());
    }
}
