//! Noticing clients that are gone.
//!
//! A client may end its half of a connection and still wait for an answer, so the end of input does not mean that it left. A
//! silent stream (`wait`, `events`, `attach`) would never learn that it did, and would keep its sockets for ever.

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, OwnedFd},
};
use std::{io, time::Duration};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

/// How often a connection is looked at.
const PROBE: Duration = Duration::from_secs(5);

/// How often, and after which time, it is asked whether a client has read the head of an answer: 100 ms in all.
const READ_TRIES: u32 = 100;
/// See [`READ_TRIES`].
const READ_PAUSE: Duration = Duration::from_millis(1);

/// A connection whose socket can be watched beside being used.
pub trait Socket {
    /// Another descriptor of the same socket.
    ///
    /// # Errors
    /// When descriptors ran out.
    fn duplicate(&self) -> io::Result<OwnedFd>;
}

impl Socket for UnixStream {
    fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}
impl Socket for TcpStream {
    fn duplicate(&self) -> io::Result<OwnedFd> {
        self.as_fd().try_clone_to_owned()
    }
}
impl<L: Socket, R: Socket> Socket for Either<L, R> {
    fn duplicate(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Left(socket) => socket.duplicate(),
            Self::Right(socket) => socket.duplicate(),
        }
    }
}

/// Watches one connection.
#[derive(Debug)]
pub struct Hangup(OwnedFd);

impl Hangup {
    /// Watches this connection.
    ///
    /// # Errors
    /// When descriptors ran out.
    pub fn of(socket: &impl Socket) -> io::Result<Self> {
        socket.duplicate().map(Self)
    }

    /// Completes some seconds after both directions are closed. For TCP that takes an answer to data or to a keep-alive probe.
    pub async fn wait(&self) {
        loop {
            tokio::time::sleep(PROBE).await;
            if self.is_gone() {
                return;
            }
        }
    }

    /// Completes once the client has read what was sent so far, or does not care to. Client libraries that take the connection
    /// over read the head of the answer with a buffer, and what comes on its heels ends in that buffer and is lost.
    pub async fn read_so_far(&self) {
        for _ in 0..READ_TRIES {
            if !crate::sys::unread(&self.0).is_ok_and(|left| left > 0) {
                return;
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
    }

    fn is_gone(&self) -> bool {
        // No event is asked for: what is reported then is a hang-up or an error.
        let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
        matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn output_waits_for_the_head_to_be_read() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let hangup = Hangup::of(&near).unwrap();
        near.write_all(b"head").await.unwrap();
        let read = async {
            tokio::time::sleep(READ_PAUSE * 3).await;
            tokio::io::AsyncReadExt::read(&mut far, &mut [0; 9]).await.unwrap()
        };
        let before = tokio::time::Instant::now();
        tokio::join!(hangup.read_so_far(), read);
        assert!(before.elapsed() >= READ_PAUSE * 3 && crate::sys::unread(&near).unwrap() == 0);
        near.write_all(b"never read").await.unwrap();
        hangup.read_so_far().await;
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_close_is_no_hangup() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let hangup = Hangup::of(&near).unwrap();
        far.write_all(b"x").await.unwrap();
        far.shutdown().await.unwrap();
        assert!(!hangup.is_gone());
        drop(far);
        assert!(hangup.is_gone());
        hangup.wait().await;
    }
}
