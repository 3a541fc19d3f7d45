//! Calls over HTTP/1.1, on a unix socket or over TCP, with connections that are kept.

use super::{Address, Endpoint, MAX_ANSWER, Transport, tls, wire};
use ::http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustix::fs::{FileType, Mode, OFlags};
use rustls::pki_types::ServerName;
use std::{
    fmt::Display,
    io,
    os::fd::AsRawFd as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsConnector;
use wharf_types::{Error, Result};

/// The protocol's media type, in requests.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
/// What plugins on unix sockets are called in requests; Docker's name.
const NO_HOST: &str = "plugin.moby.localhost";
/// Connections that are kept while nobody uses them. More calls at once than this open connections of their own.
const MAX_IDLE: usize = 16;
/// How long one is kept. Each costs a plugin a thread, as most are written.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);

/// HTTP to one plugin.
pub struct Http {
    endpoint: Endpoint,
    host: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// An open connection; its end ends the task that drives it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A call that brought no answer.
struct Unanswered {
    error: hyper::Error,
    /// Nothing of it was sent.
    unsent: bool,
}

impl Http {
    /// Prepares the way to an address; it is not contacted yet. Blocks when there are certificates to read.
    ///
    /// # Errors
    /// 400 when the certificates cannot be used or the address is not for HTTP.
    pub fn new(address: &Address) -> Result<Self> {
        let invalid = |what: &dyn Display| Error::invalid(format!("invalid plugin address: {what}"));
        let host = match &address.endpoint {
            Endpoint::Unix(_) | Endpoint::Own(_) => NO_HOST,
            Endpoint::Tcp(host) => host,
            Endpoint::Native(path) => return Err(invalid(&path.display())),
        };
        let tls = match &address.tls {
            None => None,
            Some(files) => {
                if files.insecure_skip_verify {
                    tracing::warn!(
                        plugin = host,
                        "whoever answers at this address is taken for the plugin: its certificate is not verified"
                    );
                }
                let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
                Some((tls::connector(files)?, ServerName::try_from(name.to_owned()).map_err(|e| invalid(&e))?))
            }
        };
        let host = HeaderValue::from_str(host).map_err(|e| invalid(&e))?;
        Ok(Self { endpoint: address.endpoint.clone(), host, tls, idle: Mutex::default() })
    }

    async fn connect(&self) -> io::Result<Connection> {
        match &self.endpoint {
            Endpoint::Unix(path) => open(dial(path).await?).await,
            Endpoint::Own(path) => open(dial_own(path).await?).await,
            Endpoint::Native(_) => Err(io::ErrorKind::Unsupported.into()),
            Endpoint::Tcp(to) => {
                let stream = TcpStream::connect(to.as_str()).await?;
                stream.set_nodelay(true)?;
                match &self.tls {
                    Some((tls, name)) => open(tls.connect(name.clone(), stream).await?).await,
                    None => open(stream).await,
                }
            }
        }
    }

    /// In Go's words.
    fn unreachable(&self, method: &str, error: &io::Error) -> Error {
        let to = match &self.endpoint {
            Endpoint::Unix(path) | Endpoint::Own(path) | Endpoint::Native(path) => format!("unix {}", path.display()),
            Endpoint::Tcp(to) => format!("tcp {to}"),
        };
        let why = match error.kind() {
            io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            _ => error.to_string(),
        };
        Error::unavailable(format!("{method}: dial {to}: connect: {why}"))
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|(connection, since)| since.elapsed() < MAX_IDLE_TIME && !connection.sender.is_closed());
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push((connection, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, method: &str, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let request =
            Request::post(format!("/{method}")).header(HOST, &self.host).header(ACCEPT, MEDIA_TYPE).header(CONTENT_TYPE, MEDIA_TYPE);
        request.body(Full::new(body)).map_err(|e| Error::invalid(format!("{method}: {e}")))
    }

    /// The head of the answer, and the connection that the rest comes on.
    async fn send(&self, method: &str, body: Bytes) -> Result<(Connection, Response<Incoming>)> {
        // A plugin may have ended a kept connection, or itself and come back, at the very moment of the call. It is made again when
        // nothing of it was sent, or when a second time does no harm.
        if let Some(mut connection) = self.kept() {
            match connection.ask(self.request(method, body.clone())?).await {
                Ok(answer) => return Ok((connection, answer)),
                Err(Unanswered { unsent, .. }) if unsent || is_question(method) => {}
                Err(unanswered) => return Err(broken(method, &unanswered.error)),
            }
        }
        let mut connection = self.connect().await.map_err(|e| self.unreachable(method, &e))?;
        let answer = connection.ask(self.request(method, body)?).await.map_err(|u| broken(method, &u.error))?;
        Ok((connection, answer))
    }
}

impl Connection {
    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        self.sender.ready().await.map_err(|error| Unanswered { error, unsent: true })?;
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut e| Unanswered { unsent: e.take_message().is_some(), error: e.into_error() })
    }
}

/// A unix socket whose queue is full (Python's holds five) refuses instead of letting the caller wait; so it is waited for here.
async fn dial(path: &Path) -> io::Result<UnixStream> {
    let mut pause = Duration::from_millis(1);
    loop {
        match UnixStream::connect(path).await {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
            outcome => return outcome,
        }
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// By way of a descriptor, which a long path fits in, too.
async fn dial_own(path: &Path) -> io::Result<UnixStream> {
    let socket = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("it is no socket"));
    }
    dial(Path::new(&format!("/proc/self/fd/{}", socket.as_raw_fd()))).await
}

async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> io::Result<Connection> {
    let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // What ends a connection is told to the call that is on it.
    let driver = tokio::spawn(async move { _ = driver.await });
    Ok(Connection { sender, driver })
}

/// Methods that change nothing.
fn is_question(method: &str) -> bool {
    method == "Plugin.Activate" || method.starts_with("AuthZPlugin.")
}

fn broken(method: &str, error: &dyn std::error::Error) -> Error {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Error::system(format!("{method}: {error}{cause}"))
}

impl Http {
    /// One call, whatever the status of its answer is.
    ///
    /// # Errors
    /// As [`Transport::call`], the plugin's own failures excepted.
    pub(super) async fn exchange(&self, method: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes)> {
        let (connection, answer) = self.send(method, body.into()).await?;
        let status = answer.status();
        let read = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let answer =
            read.map_err(|e| if e.is::<http_body_util::LengthLimitError>() { wire::too_large(method) } else { broken(method, &*e) })?;
        self.keep(connection);
        Ok((status, answer.to_bytes()))
    }
}

#[async_trait]
impl Transport for Http {
    async fn call(&self, method: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let (status, answer) = self.exchange(method, body).await?;
        if status == StatusCode::OK { Ok(answer.into()) } else { Err(wire::failure(method, &answer)) }
    }
}
