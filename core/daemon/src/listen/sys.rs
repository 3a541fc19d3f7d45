//! Taking over descriptors that this process was started with.
#![allow(unsafe_code)]

use rustix::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sockets that the service manager passed, by number. Only the first call has any; it must come before the process opens
/// descriptors of its own, so that a wrong count in the environment is noticed instead of naming one of these.
pub(super) fn inherited() -> io::Result<Vec<(RawFd, OwnedFd)>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    // SAFETY: the numbers are open (each was set close-on-exec just now), the service manager passed them to this process for
    // its own use, and the flag above makes this the only owner.
    let own = |fd| (fd, unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(sd_notify::listen_fds()?.map(own).collect())
}
