//! Content by digest: `<root>/sha256/<hex>`, with `<root>/tmp` for what is still being written.
//!
//! A blob under its digest is whole: it was hashed while it was written and synced before it was renamed. Which blobs are needed
//! is not known here; see [`crate::store`].

use rustix::fs::{self, Mode, OFlags};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use wharf_types::{Digest, Error, Result, error::Context};

/// The content store.
#[derive(Debug)]
pub struct Blobs {
    done: PathBuf,
    tmp: PathBuf,
    dir: OwnedFd,
    next: AtomicU64,
}

impl Blobs {
    /// Opens the store at `root`, making it when missing, and deletes what an interrupted write left.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        let (done, tmp) = (root.join("sha256"), root.join("tmp"));
        let make = || -> io::Result<OwnedFd> {
            std::fs::create_dir_all(&done)?;
            std::fs::create_dir_all(&tmp)?;
            for entry in std::fs::read_dir(&tmp)? {
                std::fs::remove_file(entry?.path())?;
            }
            Ok(fs::open(&done, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
        };
        let dir = make().context(format_args!("open blob store {}", root.display()))?;
        Ok(Self { done, tmp, dir, next: AtomicU64::new(0) })
    }

    /// Where `digest` lies, or would lie.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.done.join(digest.hex())
    }

    /// Whether the blob is here.
    pub fn has(&self, digest: &Digest) -> bool {
        fs::accessat(&self.dir, digest.hex(), fs::Access::EXISTS, fs::AtFlags::empty()).is_ok()
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// When it is not here.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).context(format_args!("open blob {}", path.display()))
    }

    /// Reads a small blob and checks it.
    ///
    /// # Errors
    /// When it is missing, longer than `limit` bytes, or damaged.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open_blob(digest)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(Error::invalid(format!("blob {digest} is longer than {limit} bytes")));
        }
        if Digest::of(&content) != *digest {
            return Err(Error::system(format!("blob {} is damaged: its digest is {}", self.path(digest).display(), Digest::of(&content))));
        }
        Ok(content)
    }

    /// Starts a new blob.
    ///
    /// # Errors
    /// When the temporary file cannot be made.
    pub fn writer(&self) -> Result<BlobWriter> {
        let path = self.tmp.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = File::create_new(&path).context(format_args!("create {}", path.display()))?;
        Ok(BlobWriter { file, tmp: TmpFile(path), sum: Sha256::new(), size: 0 })
    }

    /// Makes a small blob in one go.
    ///
    /// # Errors
    /// As [`Blobs::writer`], and when writing fails.
    pub fn stage(&self, content: &[u8]) -> Result<Staged> {
        let mut writer = self.writer()?;
        writer.write_all(content).context("write blob")?;
        Ok(writer.finish())
    }

    /// Makes the blobs durable and gives them their final names. One sync of the file system serves all of them.
    ///
    /// # Errors
    /// When syncing or renaming fails; blobs that were renamed before that stay.
    pub fn publish(&self, staged: impl IntoIterator<Item = Staged>) -> Result<()> {
        fs::syncfs(&self.dir).context("sync blobs")?;
        for blob in staged {
            let to = self.path(&blob.digest);
            std::fs::rename(&blob.tmp.0, &to).context(format_args!("rename blob to {}", to.display()))?;
        }
        fs::fsync(&self.dir).context("sync blobs")
    }

    /// Deletes a blob; a missing one is no error.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn remove(&self, digest: &Digest) -> Result<()> {
        match std::fs::remove_file(self.path(digest)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).context(format_args!("remove blob {digest}")),
            _ => Ok(()),
        }
    }

    /// Deletes every blob that `keep` does not want.
    ///
    /// # Errors
    /// When the directory cannot be read or a file not deleted.
    pub fn retain(&self, keep: impl Fn(&Digest) -> bool) -> Result<()> {
        for entry in std::fs::read_dir(&self.done)? {
            let path = entry?.path();
            let digest = path.file_name().and_then(|n| format!("sha256:{}", n.to_string_lossy()).parse::<Digest>().ok());
            if !digest.is_some_and(|d| keep(&d)) {
                std::fs::remove_file(&path).context(format_args!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// A file that goes away unless it was renamed.
#[derive(Debug)]
struct TmpFile(PathBuf);

impl Drop for TmpFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A blob being written and hashed.
#[derive(Debug)]
pub struct BlobWriter {
    file: File,
    tmp: TmpFile,
    sum: Sha256,
    size: u64,
}

impl BlobWriter {
    /// Appends everything that `content` gives.
    ///
    /// # Errors
    /// Of either side.
    pub fn copy_from(&mut self, content: &mut dyn Read) -> io::Result<()> {
        pump(content, |piece| self.write_all(piece))
    }

    /// Ends the blob.
    pub fn finish(self) -> Staged {
        Staged { digest: Digest::from_sha256(&self.sum.finalize()), size: self.size, tmp: self.tmp }
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write_all(buf)?;
        self.sum.update(buf);
        self.size += buf.len() as u64;
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The digest of everything that `content` gives.
///
/// # Errors
/// Of the reader.
pub fn digest_of(content: &mut dyn Read) -> io::Result<Digest> {
    let mut sum = Sha256::new();
    pump(content, |piece| {
        sum.update(piece);
        Ok(())
    })?;
    Ok(Digest::from_sha256(&sum.finalize()))
}

/// Reads to the end in pieces that are large enough to be few.
fn pump(content: &mut dyn Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0u8; 128 << 10];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => to(buffer.get(..n).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A complete blob that is not published; it is deleted when dropped.
#[derive(Debug)]
pub struct Staged {
    /// What was written.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    tmp: TmpFile,
}

impl Staged {
    /// Opens it for reading.
    ///
    /// # Errors
    /// When the temporary file is gone.
    pub fn open(&self) -> Result<File> {
        File::open(&self.tmp.0).context(format_args!("open {}", self.tmp.0.display()))
    }

    /// Has the disk take it now, so that [`Blobs::publish`] need not wait for it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<()> {
        self.open()?.sync_data().context("write blob")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_blobs_vanish_and_published_ones_stay() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(tmp.path()).unwrap();
        let (a, b) = (blobs.stage(b"a").unwrap(), blobs.stage(b"b").unwrap());
        let (da, db) = (a.digest.clone(), b.digest.clone());
        drop(b);
        blobs.publish([a]).unwrap();
        assert!(blobs.has(&da) && !blobs.has(&db));
        assert_eq!(blobs.read(&da, 10).unwrap(), b"a");
        assert!(blobs.read(&da, 0).is_err());
        assert_eq!(std::fs::read_dir(tmp.path().join("tmp")).unwrap().count(), 0);
        std::fs::write(blobs.path(&da), b"x").unwrap();
        assert!(blobs.read(&da, 10).unwrap_err().message().contains("damaged"));
    }

    #[test]
    fn opening_deletes_half_written_blobs() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(tmp.path()).unwrap();
        let mut writer = blobs.writer().unwrap();
        writer.write_all(b"half").unwrap();
        std::mem::forget(writer);
        Blobs::open(tmp.path()).unwrap();
        assert_eq!(std::fs::read_dir(tmp.path().join("tmp")).unwrap().count(), 0);
    }
}
