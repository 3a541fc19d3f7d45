//! The pid file: it tells people which process is the daemon, and its lock tells a second daemon to stay away.
//!
//! The lock, not the number, says whether that daemon lives: it goes with the process however that ends, and it can not be
//! mistaken for another process that got the same number.

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wharf_types::{Error, Result, error::Context};

/// Held as long as this process is the daemon of its pid file; removes the file when dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    file: File,
}

impl Pidfile {
    /// Takes the file for this process.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Conflict`] when a live daemon holds it.
    pub fn acquire(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).context(format_args!("create {}", parent.display()))?;
        }
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(path)
                .context(format_args!("open pid file {}", path.display()))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(taken(path, &mut file)),
                Err(e) => return Err(Error::from(std::io::Error::from(e)).context(format_args!("lock pid file {}", path.display()))),
            }
            // The file may have been removed by its last owner between the opening and the lock.
            if same_file(path, &file) {
                file.set_len(0)
                    .and_then(|()| writeln!(file, "{}", std::process::id()))
                    .context(format_args!("write {}", path.display()))?;
                return Ok(Self { path: path.to_owned(), file });
            }
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if same_file(&self.path, &self.file) {
            // The next daemon takes a leftover file as well.
            _ = std::fs::remove_file(&self.path);
        }
    }
}

fn same_file(path: &Path, file: &File) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
        _ => false,
    }
}

fn taken(path: &Path, file: &mut File) -> Error {
    let mut pid = String::new();
    _ = file.read_to_string(&mut pid);
    let path = path.display();
    Error::conflict(format!(
        "failed to start daemon, ensure wharfd is not running or delete {path}: process with PID {} is still running",
        pid.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_owner_is_respected_and_a_dead_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/wharf.pid");
        std::fs::create_dir(dir.path().join("run")).unwrap();
        std::fs::write(&path, "999999999").unwrap();
        let held = Pidfile::acquire(&path).unwrap();
        let pid = std::process::id();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        let e = Pidfile::acquire(&path).unwrap_err();
        assert_eq!(
            e.message(),
            format!(
                "failed to start daemon, ensure wharfd is not running or delete {}: process with PID {pid} is still running",
                path.display()
            )
        );
        drop(held);
        assert!(!path.exists());
        Pidfile::acquire(&path).unwrap();
    }

    #[test]
    fn another_ones_file_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wharf.pid");
        let first = Pidfile::acquire(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Pidfile::acquire(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }
}
