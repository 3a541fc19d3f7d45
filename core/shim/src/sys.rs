//! The system calls that no safe wrapper offers.
#![allow(unsafe_code)]

use std::{
    ffi::CString,
    io,
    mem::{self, MaybeUninit},
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Which side of [`fork`] this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The parent, with the child's pid.
    Parent(i32),
    /// The child.
    Child,
}

/// Copies this process. The program has one thread, so the child may run any code.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: there are no other threads whose locks the child could inherit.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// Ends the process without running destructors or exit handlers, as a forked child must.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: does not return and touches no memory.
    unsafe { libc::_exit(code) }
}

/// Takes ownership of a descriptor that the parent process left open.
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only reads a flag.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) })?;
    // SAFETY: it is open, and callers take each number once, before anything else was opened.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes every descriptor from `first` on, without telling their owners: only for a forked child, which never drops them.
pub fn close_from(first: u32) {
    // SAFETY: closes descriptors only; the child uses none of them afterwards.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl Signals {
    /// The given ones.
    pub fn of(signals: &[i32]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set, sigaddset changes it.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), *signal);
            }
            Self(set.assume_init())
        }
    }

    /// All of them.
    pub fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset initialises the set.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// Blocks exactly these, so that they wait for [`Signals::descriptor`].
    pub fn block(&self) -> io::Result<()> {
        // SAFETY: the set is initialised.
        check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) }).map(drop)
    }

    /// A descriptor that is readable while one of these is pending.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: the set is initialised; the result is a fresh descriptor.
        let fd = check(unsafe { libc::signalfd(-1, &self.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Waits for one of these and takes it.
    pub fn wait(&self) -> i32 {
        let mut signal = 0;
        // SAFETY: both pointers are valid; the set is initialised.
        unsafe { libc::sigwait(&self.0, &mut signal) };
        signal
    }
}

/// Gives every signal its default action and unblocks all: a program that is executed must not inherit ours.
pub fn reset_signals() {
    // The kernel's own form, because the C library keeps two signals from being changed: handler, flags, restorer, mask.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // SAFETY: installs the default action; signals that cannot be changed only give an error.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), ptr::null_mut::<u64>(), mem::size_of::<u64>()) };
    }
    // Cannot fail: the set is valid.
    let _ = Signals::of(&[]).block();
}

/// Replaces the program. Returns only on failure.
pub fn execve(path: &CString, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
    // SAFETY: all strings and both null-terminated lists live until the call returns.
    unsafe { libc::execve(path.as_ptr(), pointers(args).as_ptr(), pointers(env).as_ptr()) };
    io::Error::last_os_error()
}

/// Replaces the program by the one in `fd`. Returns only on failure.
pub fn fexecve(fd: BorrowedFd<'_>, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| list.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>();
    // SAFETY: as for `execve`.
    unsafe { libc::fexecve(fd.as_raw_fd(), pointers(args).as_ptr(), pointers(env).as_ptr()) };
    io::Error::last_os_error()
}

/// Puts this thread, and what it becomes, under a seccomp filter: instructions of 8 bytes each.
pub fn seccomp_filter(flags: u32, program: &[u8]) -> io::Result<()> {
    let count =
        u16::try_from(program.len() / mem::size_of::<libc::sock_filter>()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let filter = libc::sock_fprog { len: count, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies that many instructions from the live buffer, whatever its alignment, and checks them.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &filter) } {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has another filter"))),
    }
}

/// Brings up the loopback interface of the current network namespace.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: the result is a fresh descriptor.
    let socket = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = *from as libc::c_char;
    }
    // SAFETY: the request names an interface, and has room for the flags.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request) })?;
    // SAFETY: SIOCGIFFLAGS filled this variant of the union.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    // SAFETY: as above.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }).map(drop)
}

/// `bpf(2)` with `attributes` laid out as the command wants them. Returns the result, a descriptor for commands that make one.
pub fn bpf(command: libc::c_int, attributes: &mut [u64]) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads and writes at most the given size; pointers inside were made from live buffers by the caller.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), mem::size_of_val(attributes)) };
    check(result as libc::c_int)
}

/// Owns the descriptor that [`bpf`] returned.
pub fn bpf_descriptor(fd: libc::c_int) -> OwnedFd {
    // SAFETY: callers pass the fresh result of a command that makes a descriptor.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A signal by number, real-time ones included.
pub fn signal(number: i32) -> Option<rustix::process::Signal> {
    // SAFETY: the number is one of Linux's; it is only sent, never given a handler.
    (1..=64).contains(&number).then(|| unsafe { rustix::process::Signal::from_raw_unchecked(number) })
}
