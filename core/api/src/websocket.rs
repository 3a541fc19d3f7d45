//! Containers over a websocket (RFC 6455): output as messages without frames of its own, every message is input.

use crate::{
    hangup::Hangup,
    hijack::{Client, Input, Streams, gone},
    reply::{Bare, IntoReply, Response},
    request::Request,
    stream::{Channel, message},
};
use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _, future::BoxFuture, stream};
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error as WsError, Message, handshake::derive_accept_key, protocol::Role},
};
use wharf_engine::frames::Unframer;
use wharf_types::{Error, Result};

/// Bytes of output that make up one message at most.
const BUFFER: usize = 32 << 10;

/// A client's wish to change to the websocket protocol.
pub struct Handshake {
    upgrade: OnUpgrade,
    hangup: Option<Arc<Hangup>>,
    accept: String,
    protocol: Option<HeaderValue>,
}

impl Handshake {
    /// Reads the wish.
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn of(rq: &mut Request) -> Result<Self> {
        let headers = rq.headers();
        let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or_default();
        let asks = text(header::UPGRADE).eq_ignore_ascii_case("websocket") && text(header::SEC_WEBSOCKET_VERSION) == "13";
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks).map(|key| derive_accept_key(key.as_bytes()));
        // Of several protocols none is ours to choose.
        let protocol = headers.get(header::SEC_WEBSOCKET_PROTOCOL).filter(|v| !v.as_bytes().contains(&b',')).cloned();
        match (rq.client(), key) {
            (Client::Upgrade(upgrade, hangup), Some(accept)) => Ok(Self { upgrade, hangup, accept, protocol }),
            _ => Err(Error::invalid("not a websocket handshake: Upgrade, Sec-WebSocket-Version 13 and Sec-WebSocket-Key are needed")),
        }
    }
}

/// A stream to serve.
pub struct Websocket {
    /// The client.
    pub handshake: Handshake,
    /// Binary messages rather than text.
    pub binary: bool,
    /// The container's side has no frames.
    pub tty: bool,
    /// The client's messages.
    pub input: Input,
    /// Opens the container's side; its failure goes into the stream.
    pub open: BoxFuture<'static, Result<Streams>>,
}

impl IntoReply for Websocket {
    fn into_reply(self) -> Response {
        let Self { handshake: Handshake { upgrade, hangup, accept, protocol }, binary, tty, input, open } = self;
        tokio::spawn(async move {
            match upgrade.await {
                Ok(connection) => tokio::select! {
                    () = exchange(connection, open, input, Encoder::new(binary, tty)) => {}
                    () = gone(hangup) => tracing::debug!("the client hung up"),
                },
                Err(e) => tracing::debug!(error = %e, "the client left before its upgrade"),
            }
        });
        let mut response = Response::default();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.extend(HeaderValue::from_str(&accept).ok().map(|v| (header::SEC_WEBSOCKET_ACCEPT, v)));
        headers.extend(protocol.map(|v| (header::SEC_WEBSOCKET_PROTOCOL, v)));
        response.extensions_mut().insert(Bare);
        response
    }
}

/// Makes messages of output.
struct Encoder {
    binary: bool,
    frames: Option<Unframer>,
    /// The beginning of a character that is not complete yet; a text message must be UTF-8.
    begun: Vec<u8>,
}

impl Encoder {
    fn new(binary: bool, tty: bool) -> Self {
        Self { binary, frames: (!tty).then(Unframer::default), begun: Vec::new() }
    }

    fn encode(&mut self, bytes: &[u8]) -> Option<Message> {
        let mut payload = std::mem::take(&mut self.begun);
        match &mut self.frames {
            Some(frames) => frames.push(bytes, |part| payload.extend_from_slice(part)),
            None => payload.extend_from_slice(bytes),
        }
        if !self.binary
            && let Err(e) = str::from_utf8(&payload)
            && e.error_len().is_none()
        {
            self.begun = payload.split_off(e.valid_up_to());
        }
        (!payload.is_empty()).then(|| self.message(payload))
    }

    /// What is left when the output ends.
    fn finish(&mut self) -> Option<Message> {
        let left = std::mem::take(&mut self.begun);
        (!left.is_empty()).then(|| self.message(left))
    }

    fn message(&self, payload: Vec<u8>) -> Message {
        if self.binary { Message::binary(payload) } else { Message::text(String::from_utf8_lossy(&payload).into_owned()) }
    }
}

async fn exchange(connection: Upgraded, open: BoxFuture<'static, Result<Streams>>, input: Input, mut encoder: Encoder) {
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
    let (mut to_client, mut from_client) = socket.split();
    let done = match open.await {
        Ok(streams) => relay(&mut from_client, &mut to_client, streams, input, &mut encoder).await,
        Err(e) => to_client.send(encoder.message(message(Channel::Stdout, true, &format!("{e}\r\n")).to_vec())).await,
    };
    if let Err(e) = done {
        tracing::debug!(error = %e, "stream ended");
    }
    let _ = to_client.close().await;
}

async fn relay(
    from_client: &mut (impl Stream<Item = Result<Message, WsError>> + Unpin),
    to_client: &mut (impl Sink<Message, Error = WsError> + Unpin),
    streams: Streams,
    input: Input,
    encoder: &mut Encoder,
) -> Result<(), WsError> {
    let Streams { replay, mut live } = streams;
    let (from_live, to_live) = live.as_mut().map(UnixStream::split).unzip();
    let output = async {
        let mut replay = stream::iter(replay).flatten();
        while let Some(chunk) = replay.next().await {
            if let Some(message) = encoder.encode(&chunk.unwrap_or_else(|e| Bytes::from(e.to_string()))) {
                to_client.send(message).await?;
            }
        }
        if let Some(mut live) = from_live {
            let mut buffer = vec![0; BUFFER];
            while let Ok(n @ 1..) = live.read(&mut buffer).await {
                if let Some(message) = encoder.encode(buffer.get(..n).unwrap_or_default()) {
                    to_client.send(message).await?;
                }
            }
        }
        match encoder.finish() {
            Some(message) => to_client.send(message).await,
            None => Ok(()),
        }
    };
    tokio::pin!(output);
    tokio::select! {
        ended = &mut output => ended,
        left = feed(from_client, to_live, input) => match left {
            // A closed websocket is closed in both directions.
            Left::Closed | Left::Detached => Ok(()),
            Left::StdinEnded => output.await,
        },
    }
}

/// Why no more input comes.
enum Left {
    Closed,
    Detached,
    StdinEnded,
}

/// Passes the client's messages on until it closes, or the keys are typed.
async fn feed(
    from_client: &mut (impl Stream<Item = Result<Message, WsError>> + Unpin),
    mut to_live: Option<impl AsyncWrite + Unpin>,
    mut input: Input,
) -> Left {
    let mut passed = Vec::new();
    while let Some(Ok(message)) = from_client.next().await {
        let (Message::Binary(_) | Message::Text(_)) = &message else { continue };
        let Some(to_live) = to_live.as_mut() else { continue };
        passed.clear();
        let typed = message.into_data();
        let found = match &mut input {
            Input::Ignore => continue,
            Input::Pass => {
                passed.extend_from_slice(&typed);
                false
            }
            Input::Until(scanner, _) => scanner.scan(&typed, &mut passed),
        };
        // The process may have closed its stdin: its output goes on.
        if to_live.write_all(&passed).await.is_err() {
            return Left::StdinEnded;
        }
        if found {
            if let Input::Until(_, detached) = input {
                detached();
            }
            return Left::Detached;
        }
    }
    if let (Some(to_live), false) = (to_live.as_mut(), matches!(input, Input::Ignore)) {
        let _ = to_live.shutdown().await;
    }
    Left::Closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_off_and_characters_stay_whole() {
        let framed = [b"\x01\0\0\0\0\0\0\x03a\xc3\xa4".as_slice(), b"\x02\0\0\0\0\0\0\x01b"].concat();
        let mut binary = Encoder::new(true, false);
        assert_eq!(binary.encode(&framed), Some(Message::binary("aäb".as_bytes().to_vec())));
        let mut text = Encoder::new(false, true);
        assert_eq!(text.encode(b"a\xc3"), Some(Message::text("a")));
        assert_eq!(text.encode(b"\xa4b\xc3"), Some(Message::text("äb")));
        assert_eq!((text.finish(), text.finish()), (Some(Message::text("\u{fffd}")), None));
        assert_eq!(Encoder::new(true, false).encode(b"\x01\0\0\0"), None);
    }
}
