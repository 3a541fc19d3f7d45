//! Network namespaces that outlive the process in them: files on which the kernel keeps the namespace mounted, one per container.
//!
//! All functions block; they leave the namespace of the calling thread alone.

use crate::netlink::{Socket, message};
use nix::sched::{CloneFlags, unshare};
use rustix::{
    io::Errno,
    mount::{UnmountFlags, mount_bind, unmount},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{fs, io, os::fd::AsFd, path::Path, thread};
use wharf_types::{Error, Result, error::Context};

/// New interfaces of this namespace get no IPv6 addresses, not even link-local ones, until a network asks for them. `lo` has its `::1`.
const NO_IPV6: &str = "/proc/sys/net/ipv6/conf/default/disable_ipv6";

/// Makes a new namespace at `path`, with `lo` up. What an interrupted run left there is replaced.
///
/// # Errors
/// When the kernel refuses; nothing stays behind.
pub fn create(path: &Path) -> Result<()> {
    delete(path)?;
    let what = || format!("create network namespace {}", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).context(what())?;
    }
    fs::File::create_new(path).context(what())?;
    let made = on_a_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).context(what())?;
        match fs::write(NO_IPV6, "1") {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).context(what()),
            _ => {}
        }
        Socket::open().context(what())?.batch(vec![message::set_up("lo", None)]).context(what())?;
        mount_bind("/proc/thread-self/ns/net", path).context(what())
    });
    if made.is_err() {
        delete(path)?;
    }
    made
}

/// Removes the namespace's file; the kernel destroys the namespace once no process is in it. Does nothing when it is gone already.
///
/// # Errors
/// When the file cannot be unmounted or removed.
pub fn delete(path: &Path) -> Result<()> {
    let what = || format!("delete network namespace {}", path.display());
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // EINVAL: no mount point, only the file of an interrupted create.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(io::Error::from(e)).context(what()),
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).context(what()),
        _ => Ok(()),
    }
}

/// The names of the namespaces in `dir`, in no order; none when the directory does not exist.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(dir: &Path) -> Result<Vec<String>> {
    let what = || format!("list network namespaces in {}", dir.display());
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(what())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.context(what())?.file_name().into_string());
    }
    Ok(names)
}

/// Moves the calling thread into a namespace for good: only for threads of their own.
pub(crate) fn enter(netns: &impl AsFd) -> Result<()> {
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).map_err(io::Error::from).context("enter network namespace")
}

/// Runs `f` on a thread that ends with it, because a thread that changed its namespace must not serve anything else.
fn on_a_thread(f: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, f).context("start a thread")?;
        thread.join().unwrap_or_else(|_| Err(Error::system("a network namespace thread panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// For a test that fails.
    struct Unmount<'a>(&'a Path);

    impl Drop for Unmount<'_> {
        fn drop(&mut self) {
            let _ = delete(self.0);
        }
    }

    #[test]
    fn a_namespace_lives_as_long_as_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netns/abc");
        let _guard = Unmount(&path);
        assert_eq!(list(path.parent().unwrap()).unwrap(), Vec::<String>::new());
        create(&path).unwrap();
        assert_ne!(fs::metadata(&path).unwrap().ino(), fs::metadata("/proc/thread-self/ns/net").unwrap().ino());
        assert_eq!(list(path.parent().unwrap()).unwrap(), ["abc"]);
        on_a_thread(|| {
            enter(&fs::File::open(&path).unwrap())?;
            let dev = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            assert_eq!(dev.lines().count(), 3, "two head lines and lo: {dev}");
            Ok(())
        })
        .unwrap();
        // Once more over what is there.
        create(&path).unwrap();
        delete(&path).unwrap();
        delete(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_file_of_an_interrupted_create_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "").unwrap();
        delete(&path).unwrap();
        assert!(!path.exists());
    }
}
