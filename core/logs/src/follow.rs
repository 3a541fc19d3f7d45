//! What happens to the files of a log while it is read: they grow, and they move on to the next number.
//!
//! The kernel reports each renaming, so a reader knows under which number the file after its own lies, however often the monitor
//! rotates meanwhile and even when its own file is gone already.

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};
use std::{
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Watches the directory of a log.
pub(crate) struct Watch {
    inotify: OwnedFd,
    wake: Arc<OwnedFd>,
    name: OsString,
    /// Whether older files have moved on and the current one has not yet.
    pub rotating: bool,
}

impl Watch {
    /// Watches the log whose current file is `path`.
    ///
    /// # Errors
    /// `NotFound` when its directory does not exist, and what the kernel answers.
    pub fn new(path: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|e| match e {
            Errno::MFILE => {
                io::Error::other("too many logs are read at once (the limits are open files and fs.inotify.max_user_instances)")
            }
            e => e.into(),
        })?;
        let flags = WatchFlags::MODIFY | WatchFlags::MOVED_FROM | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, path.parent().unwrap_or(Path::new(".")), flags)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok(Self { inotify, wake, name, rotating: false })
    }

    /// Ends [`Watch::wait`] from another thread, once and for all.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// How often the current file was moved aside since the last call.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn rotations(&mut self) -> io::Result<u32> {
        let mut rotations = 0;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(rotations),
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                // So far behind that old files are lost anyway: on with the current one.
                (rotations, self.rotating) = (1, false);
            }
            if !event.events().contains(ReadFlags::MOVED_FROM) {
                continue;
            }
            let Some(name) = event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_vec())) else { continue };
            if name == self.name {
                rotations += 1;
                self.rotating = false;
            } else if number(&self.name, &name).is_some() {
                self.rotating = true;
            }
        }
    }

    /// Waits for anything to happen to the directory, for the waker, or for the time to pass.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn wait(&self, at_most: Option<Duration>) -> io::Result<()> {
        let timeout = at_most.and_then(|t| Timespec::try_from(t).ok());
        let mut fds = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

/// See [`Watch::waker`].
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub fn wake(&self) {
        // It can only fail when the counter is full, and then it is awake.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// The number of a rotated file of the log `current`: 1 for `log.1` and `log.1.gz`.
pub(crate) fn number(current: &OsString, name: &OsString) -> Option<u32> {
    let rest = name.as_bytes().strip_prefix(current.as_bytes())?.strip_prefix(b".")?;
    let digits = rest.strip_suffix(b".gz").unwrap_or(rest);
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rotated_files() {
        let of = |name: &str| number(&"log".into(), &name.into());
        assert_eq!((of("log.1"), of("log.12.gz")), (Some(1), Some(12)));
        for other in ["log", "log.", "log.0", "log.gz", "log.1.gz.tmp", "log.x", "other.1", "xlog.1"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn rotations_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("log"), "").unwrap();
        let mut watch = Watch::new(&at("log")).unwrap();
        std::fs::write(at("log.1"), "").unwrap();
        std::fs::rename(at("log.1"), at("log.2")).unwrap();
        assert_eq!((watch.rotations().unwrap(), watch.rotating), (0, true));
        std::fs::rename(at("log"), at("log.1")).unwrap();
        assert_eq!((watch.rotations().unwrap(), watch.rotating), (1, false));
        std::fs::write(at("log"), "").unwrap();
        watch.wait(None).unwrap();
        assert_eq!(watch.rotations().unwrap(), 0);
        watch.waker().wake();
        watch.wait(None).unwrap();
    }
}
