//! Connections that leave HTTP: `attach` and `exec start`.
//!
//! A client that sends `Upgrade` gets `101 UPGRADED` and then owns a byte stream in both directions; each direction ends by
//! itself. A client that does not gets 200 and the output as the body. The bytes are the container's own: framed by its
//! monitor, not here.

use crate::{
    detach::Scanner,
    hangup::Hangup,
    reply::{Bare, IntoReply, Response, streaming},
    stream::{Channel, RAW, body, message},
};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream, Stream},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use hyper::{
    ext::ReasonPhrase,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
};
use tokio_util::io::ReaderStream;
use wharf_types::Result;

/// Bytes that are copied at once, in each direction.
const BUFFER: usize = 64 << 10;
/// How long an ended connection is still read from, so that input on its way does not turn the end into a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The client's side.
pub enum Client {
    /// Asked for an upgrade.
    Upgrade(OnUpgrade, Option<Arc<Hangup>>),
    /// Speaks plain HTTP: it can only listen.
    Plain,
}

impl Client {
    /// Looks for an `Upgrade` header that the connection can honour.
    pub fn of(parts: &mut Parts, hangup: Option<Arc<Hangup>>) -> Self {
        match parts.extensions.remove::<OnUpgrade>() {
            Some(upgrade) if parts.headers.contains_key(header::UPGRADE) => Self::Upgrade(upgrade, hangup),
            _ => Self::Plain,
        }
    }

    /// Whether it can send input.
    pub fn can_write(&self) -> bool {
        matches!(self, Self::Upgrade(..))
    }
}

/// The container's side.
pub struct Streams {
    /// What was logged before.
    pub replay: Option<BoxStream<'static, Result<Bytes>>>,
    /// The live connection.
    pub live: Option<UnixStream>,
}

/// What is done with the client's bytes.
pub enum Input {
    /// They are read and dropped; the container's stdin is not touched.
    Ignore,
    /// They are passed on, and their end too.
    Pass,
    /// They are passed on until the keys are typed; then this is called and the connection ends.
    Until(Scanner, Box<dyn FnOnce() + Send>),
}

/// A stream to serve.
pub struct Hijack {
    /// The client.
    pub client: Client,
    /// Content-Type of the 101 reply; a 200 reply is always [`RAW`].
    pub content_type: &'static str,
    /// Whether the reply goes without the version headers.
    pub bare: bool,
    /// No frames.
    pub tty: bool,
    /// The client's bytes.
    pub input: Input,
    /// Opens the container's side; its failure goes into the stream.
    pub open: BoxFuture<'static, Result<Streams>>,
}

impl IntoReply for Hijack {
    fn into_reply(self) -> Response {
        let Self { client, content_type, bare, tty, input, open } = self;
        let mut response = match client {
            Client::Upgrade(upgrade, hangup) => {
                tokio::spawn(async move {
                    match upgrade.await {
                        Ok(connection) => tokio::select! {
                            () = exchange(connection, hangup.as_deref(), open, input, tty) => {}
                            () = gone(hangup.clone()) => tracing::debug!("the client hung up"),
                        },
                        Err(e) => tracing::debug!(error = %e, "the client left before its upgrade"),
                    }
                });
                switching(content_type)
            }
            Client::Plain => streaming(RAW, body(listen(open, matches!(input, Input::Ignore), tty))),
        };
        if bare {
            response.extensions_mut().insert(Bare);
        }
        response
    }
}

/// `HTTP/1.1 101 UPGRADED`, as Docker spells it.
fn switching(content_type: &'static str) -> Response {
    let mut response = streaming(content_type, axum::body::Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    response
}

/// Completes when the connection is closed for good.
pub(crate) async fn gone(hangup: Option<Arc<Hangup>>) {
    match hangup {
        Some(hangup) => hangup.wait().await,
        None => std::future::pending().await,
    }
}

/// The output alone, for clients without upgrade.
fn listen(open: BoxFuture<'static, Result<Streams>>, leave_stdin: bool, tty: bool) -> impl Stream<Item = Bytes> + Send + 'static {
    let opened = async move {
        let Streams { replay, mut live } = match open.await {
            Ok(streams) => streams,
            Err(e) => return stream::once(async move { failed(&e, tty) }).boxed(),
        };
        if let (Some(live), false) = (&mut live, leave_stdin) {
            let _ = live.shutdown().await;
        }
        let replay = stream::iter(replay).flatten().map(move |chunk| chunk.unwrap_or_else(|e| failed(&e, tty)));
        let live = stream::iter(live).flat_map(|live| ReaderStream::with_capacity(live, BUFFER));
        replay.chain(live.filter_map(async |chunk| chunk.ok())).boxed()
    };
    stream::once(opened).flatten()
}

fn failed(error: &wharf_types::Error, tty: bool) -> Bytes {
    message(Channel::Stdout, tty, &format!("{error}\r\n"))
}

/// Serves an upgraded connection until the container's side ends, the keys are typed, or the client is gone.
async fn exchange(connection: Upgraded, hangup: Option<&Hangup>, open: BoxFuture<'static, Result<Streams>>, input: Input, tty: bool) {
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(connection));
    let opened = open.await;
    if let Some(hangup) = hangup {
        hangup.read_so_far().await;
    }
    let copied = match opened {
        Ok(streams) => relay(&mut from_client, &mut to_client, streams, input, tty).await,
        Err(e) => to_client.write_all(&failed(&e, tty)).await,
    };
    if let Err(e) = copied {
        tracing::debug!(error = %e, "stream ended");
    }
    if to_client.shutdown().await.is_ok() {
        let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut from_client, &mut tokio::io::sink())).await;
    }
}

async fn relay(
    from_client: &mut (impl AsyncRead + Unpin),
    to_client: &mut (impl AsyncWrite + Unpin),
    streams: Streams,
    input: Input,
    tty: bool,
) -> io::Result<()> {
    let Streams { replay, mut live } = streams;
    // Borrowed halves: dropping one does not shut anything down.
    let (from_live, to_live) = live.as_mut().map(UnixStream::split).unzip();
    let output = async {
        let mut replay = stream::iter(replay).flatten();
        while let Some(chunk) = replay.next().await {
            to_client.write_all(&chunk.unwrap_or_else(|e| failed(&e, tty))).await?;
        }
        if let Some(live) = from_live {
            copy(live, to_client).await?;
        }
        Ok(())
    };
    tokio::pin!(output);
    tokio::select! {
        ended = &mut output => ended,
        // A failure to pass input on says nothing about the output: the process may have closed its stdin.
        detached = feed(from_client, to_live, input) => if detached { Ok(()) } else { output.await },
    }
}

/// Passes the client's bytes on, and then the end of its half of the connection. True when the keys were typed.
async fn feed(from_client: &mut (impl AsyncRead + Unpin), to_live: Option<impl AsyncWrite + Unpin>, input: Input) -> bool {
    let (mut to_live, input) = match (to_live, input) {
        (None, _) | (_, Input::Ignore) => {
            let _ = copy(from_client, &mut tokio::io::sink()).await;
            return false;
        }
        (Some(to_live), input) => (to_live, input),
    };
    if let Input::Until(scanner, detached) = input {
        if scan(from_client, &mut to_live, scanner).await.unwrap_or(false) {
            detached();
            return true;
        }
    } else {
        let _ = copy(from_client, &mut to_live).await;
    }
    let _ = to_live.shutdown().await;
    false
}

async fn copy(from: impl AsyncRead + Unpin, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<u64> {
    tokio::io::copy_buf(&mut tokio::io::BufReader::with_capacity(BUFFER, from), to).await
}

/// Passes input on until the keys were typed (true) or it ends.
async fn scan(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), mut keys: Scanner) -> io::Result<bool> {
    let mut typed = vec![0; BUFFER];
    let mut passed = Vec::new();
    loop {
        let n = from.read(&mut typed).await?;
        let found = keys.scan(typed.get(..n).unwrap_or_default(), &mut passed);
        if n == 0 {
            passed.extend_from_slice(keys.held());
        }
        to.write_all(&passed).await?;
        passed.clear();
        if n == 0 || found {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use wharf_types::Error;

    /// A relay between a client's socket and a container's, and the far ends of both.
    fn relayed(input: Input) -> (UnixStream, UnixStream, tokio::task::JoinHandle<io::Result<()>>) {
        let (client, near_client) = UnixStream::pair().unwrap();
        let (container, near_container) = UnixStream::pair().unwrap();
        let task = tokio::spawn(async move {
            let (mut read, mut write) = near_client.into_split();
            let replay = Some(stream::iter([Ok(Bytes::from_static(b"old "))]).boxed());
            relay(&mut read, &mut write, Streams { replay, live: Some(near_container) }, input, true).await
        });
        (client, container, task)
    }

    #[tokio::test]
    async fn stdin_ends_before_output() {
        let (mut client, mut container, task) = relayed(Input::Pass);
        client.write_all(b"in").await.unwrap();
        client.shutdown().await.unwrap();
        let mut stdin = String::new();
        container.read_to_string(&mut stdin).await.unwrap();
        assert_eq!(stdin, "in");
        container.write_all(b"out").await.unwrap();
        drop(container);
        let mut output = String::new();
        client.read_to_string(&mut output).await.unwrap();
        assert_eq!(output, "old out");
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn ignored_input_never_reaches_the_container() {
        let (mut client, mut container, task) = relayed(Input::Ignore);
        client.write_all(b"in").await.unwrap();
        client.shutdown().await.unwrap();
        container.write_all(b"out").await.unwrap();
        let mut output = [0; 7];
        client.read_exact(&mut output).await.unwrap();
        assert_eq!(&output, b"old out");
        assert_eq!(container.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(container);
        task.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn keys_end_the_connection_and_leave_the_container() {
        let called = Arc::new(AtomicBool::new(false));
        let seen = called.clone();
        let input = Input::Until(Scanner::new(vec![16, 17]), Box::new(move || seen.store(true, Ordering::SeqCst)));
        let (mut client, mut container, task) = relayed(input);
        client.write_all(b"a\x10b\x10\x11c").await.unwrap();
        let mut stdin = [0; 3];
        container.read_exact(&mut stdin).await.unwrap();
        assert_eq!(&stdin, b"a\x10b");
        task.await.unwrap().unwrap();
        assert!(called.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn plain_clients_read_why_nothing_opened() {
        let open = Box::pin(async { Err(Error::system("no such file")) });
        let body = body(listen(open, true, false));
        assert_eq!(axum::body::to_bytes(body, 99).await.unwrap(), "\x01\0\0\0\0\0\0\x0eno such file\r\n");
    }
}
