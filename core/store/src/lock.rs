//! One daemon per data root.

use rustix::fs::{self, FlockOperation, Mode, OFlags};
use std::{os::fd::OwnedFd, path::Path};
use wharf_types::{Error, Result, error::Context};

/// Holds `<data-root>/.lock`. The kernel lets it go when the process ends, however it ends.
#[derive(Debug)]
pub struct DataRootLock {
    _file: OwnedFd,
}

impl DataRootLock {
    /// Takes the lock, without waiting. The descriptor is close-on-exec: programs that the daemon starts do not hold the lock.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Conflict`] when another process holds it, `System` when the file cannot be opened.
    pub fn acquire(root: &Path) -> Result<Self> {
        let path = root.join(".lock");
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = fs::open(&path, flags, Mode::from_raw_mode(0o600)).context(format_args!("open {}", path.display()))?;
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(Error::conflict(format!("data root {} is in use by another daemon ({} is locked)", root.display(), path.display())))
            }
            Err(e) => Err(e).context(format_args!("lock {}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_holder_is_told_which_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataRootLock::acquire(dir.path()).unwrap();
        let e = DataRootLock::acquire(dir.path()).unwrap_err();
        assert_eq!(e.kind(), wharf_types::ErrorKind::Conflict);
        assert!(e.message().contains(&dir.path().display().to_string()), "{e}");
        drop(first);
        DataRootLock::acquire(dir.path()).unwrap();
    }
}
