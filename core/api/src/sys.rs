//! The one question to the kernel that has no safe wrapper.

#![allow(unsafe_code)]

use rustix::{
    fd::AsFd,
    ioctl::{Getter, ioctl},
};
use std::ffi::c_int;

/// `SIOCOUTQ` of linux/sockios.h.
const SIOCOUTQ: u32 = 0x5411;

/// What was sent on a socket and is not read yet (Unix sockets) or not acknowledged yet (TCP); 0 when all is.
///
/// # Errors
/// When the descriptor is no such socket.
pub fn unread(socket: impl AsFd) -> rustix::io::Result<c_int> {
    // SAFETY: this request writes one int through its pointer and nothing else, and `Getter` hands it exactly that.
    unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }
}
