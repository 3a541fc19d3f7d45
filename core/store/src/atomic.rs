//! Replacing a file as a whole.

use rustix::fs::{self, Mode, OFlags};
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use wharf_types::{Error, Result, error::Context};

/// How much a finished write promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives a power cut: the file and its directory are synced.
    Synced,
    /// Survives the end of the process, not of the host.
    Cached,
}

/// Temporary files are `.<name>.<n>.tmp` beside their target, so that the rename stays in one directory.
const TMP: &str = ".tmp";

/// Whether `name` is one of this module's temporary files, which a crash may have left behind.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TMP)
}

/// Replaces the file at `path` by one that holds exactly `bytes` (mode 0600). A reader, also one after a crash, sees the old or the
/// new content. The directory must exist.
///
/// # Errors
/// [`wharf_types::ErrorKind::System`] naming the file; the old content is then still there.
pub fn write_atomic(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let tmp = tmp_name(path)?;
    write_and_rename(&tmp, path, bytes, durability).context(format_args!("write {}", path.display())).inspect_err(|_| {
        let _ = std::fs::remove_file(&tmp);
    })
}

fn write_and_rename(tmp: &Path, path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(fs::open(tmp, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(bytes)?;
    if durability == Durability::Synced {
        file.sync_all()?;
    }
    fs::rename(tmp, path)?;
    if durability == Durability::Synced {
        sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Makes renames, creations and removals in `dir` durable.
///
/// # Errors
/// What opening or syncing the directory answers.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A name that no other write of this process uses. One that a dead process left is simply overwritten.
fn tmp_name(path: &Path) -> Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| Error::system(format!("{} is no file path", path.display())))?;
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    Ok(path.with_file_name(format!(".{}.{n}{TMP}", name.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn replaces_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        for (text, durability) in [("one", Durability::Synced), ("two", Durability::Cached)] {
            write_atomic(&path, text.as_bytes(), durability).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_cleans_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::create_dir_all(path.join("not empty")).unwrap();
        let e = write_atomic(&path, b"x", Durability::Synced).unwrap_err();
        assert!(e.message().contains(&path.display().to_string()), "{e}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn concurrent_writers_never_mix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::thread::scope(|s| {
            for c in [b'a', b'b', b'c', b'd'] {
                let path = &path;
                s.spawn(move || {
                    for _ in 0..50 {
                        write_atomic(path, &[c; 5000], Durability::Cached).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read(&path).unwrap();
        assert!(text.len() == 5000 && text.iter().all(|b| *b == text[0]));
    }
}
