//! Where clients connect: unix sockets and TCP ports, bound here or by the service manager, and who is at the other end.

mod activation;
mod peer;
mod sys;
pub mod tls;

pub use activation::Sockets;

use crate::config::Host;
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;
use wharf_spi::authz::Caller;
use wharf_types::{Error, Result, error::Context};

/// A connection of any kind; reads, writes and vectored writes pass straight through.
pub type Stream = Either<UnixStream, Either<TcpStream, tls::TlsSocket>>;

/// A connection before its handshake, if it needs one.
#[derive(Debug)]
pub enum Accepted {
    /// From a process of this host.
    Unix(UnixStream),
    /// From the network.
    Tcp(TcpStream, Option<tls::Server>),
}

impl Accepted {
    /// The connection, ready for HTTP. May wait for the client, so it belongs in the connection's own task.
    ///
    /// # Errors
    /// When the client does not get through the TLS handshake, or the kernel does not know it.
    pub async fn establish(self) -> io::Result<(Stream, Caller)> {
        match self {
            Self::Unix(stream) => {
                let caller = Caller { unix: Some(peer::of(&stream)?), ..Caller::default() };
                Ok((Either::Left(stream), caller))
            }
            Self::Tcp(stream, None) => Ok((Either::Right(Either::Left(stream)), Caller::default())),
            Self::Tcp(stream, Some(tls)) => tls.accept(stream).await,
        }
    }
}

/// One bound address.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket, and its file unless the service manager owns that; the file goes when this is dropped.
    Unix(UnixListener, Option<SocketFile>),
    /// A TCP port, with TLS or in the clear.
    Tcp(TcpListener, Option<tls::Server>),
}

/// Connections that may wait for `accept`: what the kernel allows by default.
const BACKLOG: i32 = 4096;
/// How long a client on the network may be silent before it is asked, and between questions.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The group that need not exist.
const DEFAULT_GROUP: &str = "docker";

/// Binds every address, or none. A stale socket file is replaced, so the caller must hold the pid file by now.
///
/// # Errors
/// Names the address that can not be bound.
pub async fn bind(hosts: &[Host], group: &str, tls: Option<&tls::Server>, mut sockets: Sockets) -> Result<Vec<Listener>> {
    let mut listeners = Vec::with_capacity(hosts.len());
    for host in hosts {
        let bound = match host {
            Host::Unix(path) => bind_unix(path, group).map(|l| vec![l]),
            Host::Tcp(name, port) => bind_tcp(name, *port, tls).await.map(|l| vec![l]),
            Host::Fd(which) => sockets.listen(*which, tls),
        };
        listeners.extend(bound.context(format_args!("failed to listen on {host}"))?);
    }
    if !sockets.is_empty() {
        tracing::warn!(sockets = sockets.len(), "the service manager passed sockets that \"hosts\" does not name: they are not served");
    }
    for warning in listeners.iter().filter_map(Listener::warning) {
        tracing::warn!("{warning} Whoever reaches it is root on this host");
    }
    Ok(listeners)
}

async fn bind_tcp(name: &str, port: u16, tls: Option<&tls::Server>) -> Result<Listener> {
    Ok(Listener::Tcp(TcpListener::bind((name, port)).await?, tls.cloned()))
}

fn bind_unix(path: &Path, group: &str) -> Result<Listener> {
    let gid = group_id(group)?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).context(format_args!("create {}", parent.display()))?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(Error::conflict("the path exists and is not a socket")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e.into()),
    }
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None);
    let socket = socket.map_err(io::Error::from)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).map_err(io::Error::from)?).map_err(io::Error::from)?;
    let file = SocketFile::of(path)?;
    // Nobody can connect before `listen`, so there is no moment with the wrong owner or mode.
    std::os::unix::fs::lchown(path, Some(0), Some(gid))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o660))?;
    rustix::net::listen(&socket, BACKLOG).map_err(io::Error::from)?;
    Ok(Listener::Unix(UnixListener::from_std(socket.into())?, Some(file)))
}

/// The id of a group given by name or number; root's when the default one does not exist.
fn group_id(group: &str) -> Result<u32> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    match nix::unistd::Group::from_name(group).map_err(io::Error::from)? {
        Some(found) => Ok(found.gid.as_raw()),
        None if group == DEFAULT_GROUP || group.is_empty() => {
            tracing::warn!("there is no group {group:?}: only root can use the API socket");
            Ok(0)
        }
        None => Err(Error::not_found(format!("group {group} not found"))),
    }
}

impl Listener {
    /// The next connection. An error is about this one attempt (such as too many open files); the listener stays usable.
    ///
    /// # Errors
    /// As accept(2).
    pub async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Unix(stream))
            }
            Self::Tcp(listener, tls) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                notice_silence(&stream)?;
                Ok(Accepted::Tcp(stream, tls.clone()))
            }
        }
    }

    /// What is unsafe about it, in dockerd's words.
    pub fn warning(&self) -> Option<String> {
        let Self::Tcp(listener, tls) = self else { return None };
        let address = listener.local_addr().ok()?;
        match tls {
            None => Some(format!("WARNING: API is accessible on http://{address} without encryption.")),
            Some(tls) if tls.verifies() => None,
            Some(_) => Some(format!("WARNING: API is accessible on https://{address} without TLS client verification.")),
        }
    }
}

/// Has the kernel ask a silent client whether it is still there: one that vanished without a word would be served for ever. The
/// interval is dockerd's.
fn notice_silence(stream: &TcpStream) -> io::Result<()> {
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, KEEP_ALIVE)?;
    set_tcp_keepintvl(stream, KEEP_ALIVE)?;
    Ok(())
}

/// The file of a bound unix socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    id: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let there = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), id: (there.dev(), there.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Only the own file: another daemon may have bound the path meanwhile.
        if std::fs::symlink_metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == self.id) {
            _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use wharf_spi::authz::PeerCred;

    fn unix(dir: &tempfile::TempDir, name: &str) -> (PathBuf, Vec<Host>) {
        let path = dir.path().join(name);
        (path.clone(), vec![Host::Unix(path)])
    }

    async fn bind(hosts: &[Host], group: &str) -> Result<Vec<Listener>> {
        super::bind(hosts, group, None, Sockets::default()).await
    }

    #[tokio::test]
    async fn a_unix_socket_belongs_to_its_group_and_goes_with_the_listener() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hosts) = unix(&dir, "deep/er/wharf.sock");
        let listeners = bind(&hosts, "12345").await.unwrap();
        let there = std::fs::metadata(&path).unwrap();
        assert_eq!((there.mode() & 0o7777, there.uid(), there.gid()), (0o660, 0, 12345));
        let mut client = UnixStream::connect(&path).await.unwrap();
        let (mut server, caller) = listeners[0].accept().await.unwrap().establish().await.unwrap();
        let groups = rustix::process::getgroups().unwrap().iter().map(|g| g.as_raw()).collect();
        let containers = Some(Vec::new());
        assert_eq!(caller.unix, Some(PeerCred { uid: 0, gid: 0, groups, pid: std::process::id() as i32, containers }));
        client.write_all(b"hi").await.unwrap();
        let mut got = [0; 2];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hi");
        drop(listeners);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, hosts) = unix(&dir, "wharf.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let first = bind(&hosts, "0").await.unwrap();
        let second = bind(&hosts, "0").await.unwrap();
        drop(first);
        assert!(path.exists(), "the first listener removed the second one's socket");
        drop(second);
        std::fs::write(&path, "precious").unwrap();
        let e = bind(&hosts, "0").await.unwrap_err();
        assert_eq!(e.message(), format!("failed to listen on unix://{}: the path exists and is not a socket", path.display()));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn several_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let (_, mut hosts) = unix(&dir, "wharf.sock");
        hosts.push(Host::Tcp("127.0.0.1".into(), 0));
        let listeners = bind(&hosts, "0").await.unwrap();
        let Listener::Tcp(listener, None) = &listeners[1] else { panic!() };
        let address = listener.local_addr().unwrap();
        assert_eq!(listeners[1].warning().unwrap(), format!("WARNING: API is accessible on http://{address} without encryption."));
        let _client = TcpStream::connect(address).await.unwrap();
        let (stream, caller) = listeners[1].accept().await.unwrap().establish().await.unwrap();
        assert_eq!(caller, Caller::default());
        let Either::Right(Either::Left(stream)) = stream else { panic!() };
        assert!(rustix::net::sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(rustix::net::sockopt::tcp_keepidle(&stream).unwrap(), KEEP_ALIVE);
    }

    #[tokio::test]
    async fn only_the_default_group_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (_, hosts) = unix(&dir, "wharf.sock");
        let e = bind(&hosts, "no-such-group").await.unwrap_err();
        assert!(e.message().ends_with("group no-such-group not found"));
    }
}
