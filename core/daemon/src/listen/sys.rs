//! Taking over descriptors that this process was started with, and asking the kernel who is at the other end of one.
#![allow(unsafe_code)]

use rustix::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
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

/// The supplementary groups that the peer of a unix socket had when it connected (`SO_PEERGROUPS`, unix(7)).
pub(super) fn peer_groups(socket: impl AsFd) -> io::Result<Vec<u32>> {
    let fd = socket.as_fd();
    let mut groups: Vec<u32> = vec![0; 32];
    loop {
        let size = size_of::<u32>();
        let mut length = libc::socklen_t::try_from(groups.len() * size).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the buffer is valid for `length` bytes, which the kernel does not exceed; it says in `length` how many there are.
        let answer =
            unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERGROUPS, groups.as_mut_ptr().cast(), &raw mut length) };
        let there = length as usize / size;
        if answer == 0 {
            groups.truncate(there);
            return Ok(groups);
        }
        match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ERANGE) && there > groups.len() => groups.resize(there, 0),
            e => return Err(e),
        }
    }
}

/// `SO_PEERPIDFD` (asm-generic/socket.h, Linux 6.5).
const SO_PEERPIDFD: libc::c_int = 77;

/// A handle of the process that connected a unix socket, which never means another process; none where the kernel has no such thing.
///
/// # Errors
/// When the process is gone.
pub(super) fn peer_process(socket: impl AsFd) -> io::Result<Option<OwnedFd>> {
    let mut fd: RawFd = -1;
    let mut length = size_of::<RawFd>() as libc::socklen_t;
    // SAFETY: the buffer is valid for `length` bytes, which the kernel does not exceed.
    let answer =
        unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, (&raw mut fd).cast(), &raw mut length) };
    if answer == 0 {
        // SAFETY: the kernel made this descriptor for us.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }));
    }
    match io::Error::last_os_error() {
        e if e.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        e => Err(e),
    }
}

/// Whether the process of this handle has not been reaped, so that its number still means it.
pub(super) fn is_there(process: &OwnedFd) -> bool {
    // SAFETY: signal 0 does nothing, and no information goes with it.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), 0, std::ptr::null::<libc::siginfo_t>(), 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}
