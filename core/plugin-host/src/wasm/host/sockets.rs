//! `wharf:host/sockets`: connections to servers; see [`crate::wasm::egress`].

use super::{
    super::{
        bindings::host::sockets as wit,
        context::Shared,
        egress::{Refusal, Way},
        grant::Grant,
        secrets::Secret,
    },
    Cx, keep,
};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{UdpSocket, UnixStream},
};
use wasmtime::component::Resource;

/// Bytes that one `receive` answers.
const RECEIVE_MAX: u32 = 1 << 20;

/// Of any protocol.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection in the plugin's hands.
pub enum Connection {
    Stream(Box<dyn Stream>),
    Datagrams(UdpSocket),
}

impl wit::Host for Cx {
    async fn connect(
        &mut self,
        target: wit::Target,
        certificate: Option<Resource<Secret>>,
    ) -> wasmtime::Result<Result<Resource<Connection>, wit::Failure>> {
        let certificate = certificate.map(|secret| self.handles.get(&secret).map(|secret| secret.bytes().to_vec())).transpose()?;
        let shared = Arc::clone(&self.shared);
        let connected = connect(&shared, target, certificate.as_deref()).await.map_err(wit::Failure::from);
        Ok(connected.and_then(|connection| keep(self, connection).map_err(wit::Failure::Unreachable)))
    }
}

async fn connect(shared: &Shared, target: wit::Target, certificate: Option<&[u8]>) -> Result<Connection, Refusal> {
    let Shared { grants, lookups, around, .. } = shared;
    let network = &around.network;
    if certificate.is_some() && !matches!(target, wit::Target::Tls(_)) {
        return Err(Refusal::Invalid("a certificate is for TLS".to_owned()));
    }
    Ok(match target {
        wit::Target::Tcp((host, port)) => {
            let addresses = network.addresses(grants, lookups, Way::Tcp, &host, port).await?;
            Connection::Stream(Box::new(network.dial(&addresses).await?))
        }
        wit::Target::Tls((host, port)) => {
            let addresses = network.addresses(grants, lookups, Way::Tls, &host, port).await?;
            let stream = network.dial(&addresses).await?;
            Connection::Stream(Box::new(network.secure(stream, &host, certificate).await?))
        }
        wit::Target::Udp((host, port)) => {
            let addresses = network.addresses(grants, lookups, Way::Udp, &host, port).await?;
            let Some(address) = addresses.first() else { return Err(Refusal::Unreachable("no address".to_owned())) };
            let any = if address.is_ipv4() { SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(address).await?;
            Connection::Datagrams(socket)
        }
        wit::Target::Unix(path) => {
            let grant = Grant::Unix(PathBuf::from(&path));
            if !grants.covers(&grant) {
                return Err(Refusal::Denied(format!("no permission {grant}")));
            }
            Connection::Stream(Box::new(UnixStream::connect(path).await?))
        }
    })
}

impl wit::HostConnection for Cx {
    async fn send(&mut self, connection: Resource<Connection>, data: Vec<u8>) -> wasmtime::Result<Result<(), wit::Failure>> {
        let sent = match self.handles.get_mut(&connection)? {
            Connection::Stream(stream) => match stream.write_all(&data).await {
                Ok(()) => stream.flush().await,
                failed => failed,
            },
            Connection::Datagrams(socket) => socket.send(&data).await.map(drop),
        };
        Ok(sent.map_err(failure))
    }

    async fn receive(&mut self, connection: Resource<Connection>, limit: u32) -> wasmtime::Result<Result<Vec<u8>, wit::Failure>> {
        let mut buffer = vec![0; limit.clamp(1, RECEIVE_MAX) as usize];
        let received = match self.handles.get_mut(&connection)? {
            Connection::Stream(stream) => stream.read(&mut buffer).await,
            Connection::Datagrams(socket) => socket.recv(&mut buffer).await,
        };
        Ok(received.map_err(failure).map(|length| {
            buffer.truncate(length);
            buffer
        }))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.handles.delete(connection)?;
        Ok(())
    }
}

fn failure(e: std::io::Error) -> wit::Failure {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    match e.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => wit::Failure::Closed,
        _ => Refusal::from(e).into(),
    }
}

impl From<Refusal> for wit::Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => Self::Denied(why),
            Refusal::Timeout => Self::Timeout,
            Refusal::Invalid(why) | Refusal::Unreachable(why) => Self::Unreachable(why),
        }
    }
}
