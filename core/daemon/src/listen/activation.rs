//! Socket activation: listening sockets that the service manager opened, as sd_listen_fds(3) describes.

use super::{Listener, sys, tls};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, sockopt};
use std::{collections::BTreeMap, io};
use tokio::net::{TcpListener, UnixListener};
use wharf_types::{Error, Result, error::Context};

/// The sockets that were passed and are not served yet, by descriptor number.
#[derive(Debug, Default)]
pub struct Sockets(BTreeMap<u32, OwnedFd>);

impl Sockets {
    /// Those passed to this process. To be called once, before it opens descriptors.
    ///
    /// # Errors
    /// When the environment speaks of descriptors that are not there.
    pub fn inherited() -> Result<Self> {
        let found = sys::inherited().context("sockets of the service manager (LISTEN_FDS)")?;
        Ok(Self(found.into_iter().filter_map(|(fd, socket)| Some((u32::try_from(fd).ok()?, socket))).collect()))
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Listens on all that are left, or on the one with this number.
    pub(super) fn listen(&mut self, which: Option<u32>, tls: Option<&tls::Server>) -> Result<Vec<Listener>> {
        if self.is_empty() {
            return Err(Error::invalid("no sockets found via socket activation: make sure the service was started by systemd"));
        }
        let taken = match which {
            None => std::mem::take(&mut self.0),
            Some(fd) => self.0.remove_entry(&fd).into_iter().collect(),
        };
        if taken.is_empty() {
            return Err(Error::invalid("the service manager did not pass a socket with this number"));
        }
        taken.into_iter().map(|(fd, socket)| adopt(socket, tls).context(format_args!("descriptor {fd}"))).collect()
    }
}

fn adopt(socket: OwnedFd, tls: Option<&tls::Server>) -> io::Result<Listener> {
    if !sockopt::socket_acceptconn(&socket)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
    }
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(match sockopt::socket_domain(&socket)? {
        // Its file belongs to the service manager.
        AddressFamily::UNIX => Listener::Unix(UnixListener::from_std(socket.into())?, None),
        AddressFamily::INET | AddressFamily::INET6 => Listener::Tcp(TcpListener::from_std(socket.into())?, tls.cloned()),
        family => return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("sockets of {family:?} can not be served"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[tokio::test]
    async fn each_socket_is_served_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let unix: OwnedFd = std::os::unix::net::UnixListener::bind(&path).unwrap().into();
        let tcp: OwnedFd = std::net::TcpListener::bind("127.0.0.1:0").unwrap().into();
        let mut sockets = Sockets([(3, unix), (4, tcp)].into());
        assert!(matches!(sockets.listen(Some(4), None).unwrap()[..], [Listener::Tcp(_, None)]));
        let e = sockets.listen(Some(4), None).unwrap_err();
        assert_eq!(e.message(), "the service manager did not pass a socket with this number");
        assert!(matches!(sockets.listen(None, None).unwrap()[..], [Listener::Unix(_, None)]));
        assert!(path.exists(), "the service manager's socket file was removed");
        assert!(sockets.listen(None, None).unwrap_err().message().starts_with("no sockets found via socket activation"));
    }

    #[tokio::test]
    async fn what_does_not_listen_is_refused() {
        let bound: OwnedFd = UdpSocket::bind("127.0.0.1:0").unwrap().into();
        let e = Sockets([(3, bound)].into()).listen(None, None).unwrap_err();
        assert_eq!(e.message(), "descriptor 3: the socket does not listen");
    }
}
