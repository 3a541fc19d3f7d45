//! Directories for trying things, gone afterwards.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory on the file system where `path` is or would be.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn near(path: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = nearest(path).join(format!(".wharf-check-{}-{count}", std::process::id()));
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700).create(&dir)?;
        Ok(Self(dir))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            eprintln!("wharfd: can not remove {}: {e}", self.0.display());
        }
    }
}

/// The path itself, or the closest of its parents that exists.
pub fn nearest(path: &Path) -> &Path {
    path.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_what_is_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::near(&dir.path().join("a/b")).unwrap();
        assert_eq!(scratch.path().parent(), Some(dir.path()));
        std::fs::write(scratch.path().join("x"), "").unwrap();
        let other = Scratch::near(dir.path()).unwrap();
        assert_ne!(scratch.path(), other.path());
        drop((scratch, other));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
