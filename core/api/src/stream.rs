//! Streaming bodies: framed output of containers, and lines of JSON.

use axum::body::Body;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use std::convert::Infallible;
use wharf_api_types::{
    ApiVersion,
    image::{ErrorDetail, Progress},
};
use wharf_types::{Error, Result};

/// Content-Type of bytes without frames.
pub const RAW: &str = "application/vnd.docker.raw-stream";
/// Content-Type of 8-byte frames.
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";

/// What a stream of a container can be.
pub const STREAM: &[&str] = &[RAW, MULTIPLEXED];

/// The Content-Type of a container's output: the framed one got its name with 1.42.
pub fn content_type(version: ApiVersion, tty: bool) -> &'static str {
    if tty || version.before(42) { RAW } else { MULTIPLEXED }
}

/// Stream of a frame.
#[derive(Clone, Copy)]
pub enum Channel {
    /// Standard output.
    Stdout = 1,
    /// A message of the engine itself.
    System = 3,
}

/// A message of the engine inside a stream: framed unless the stream is a terminal's.
pub fn message(channel: Channel, tty: bool, text: &str) -> Bytes {
    let mut frame = BytesMut::with_capacity(text.len() + 8);
    if !tty {
        frame.put_slice(&[channel as u8, 0, 0, 0]);
        frame.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    }
    frame.put_slice(text.as_bytes());
    frame.freeze()
}

/// A body whose failures were already turned into messages.
pub fn body(stream: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    Body::from_stream(stream.map(Ok::<_, Infallible>))
}

/// A body of bytes; a failure breaks the connection, so that the client does not take what it has for the whole.
pub fn bytes(stream: wharf_engine::ByteStream) -> Body {
    Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(stream))
}

/// One line of JSON, ended by `end`.
pub fn line(value: &impl Serialize, end: &str) -> Bytes {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.extend_from_slice(end.as_bytes());
    line.into()
}

/// A progress stream as Docker sends it: a message per line, CRLF; a failure is the last message.
pub fn progress(messages: impl Stream<Item = Result<Progress>> + Send + 'static) -> Body {
    body(messages.map(|m| line(&m.unwrap_or_else(|e| failure(&e)), "\r\n")))
}

fn failure(error: &Error) -> Progress {
    let message = error.message().to_owned();
    Progress { error: message.clone(), error_detail: Some(ErrorDetail { code: 0, message }), ..Progress::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[test]
    fn frames() {
        assert_eq!(&message(Channel::System, false, "ab")[..], b"\x03\0\0\0\0\0\0\x02ab");
        assert_eq!(&message(Channel::Stdout, true, "ab")[..], b"ab");
    }

    #[test]
    fn content_types() {
        let at = |minor, tty| content_type(ApiVersion::new(1, minor), tty);
        assert_eq!((at(41, false), at(42, false), at(42, true)), (RAW, MULTIPLEXED, RAW));
    }

    #[tokio::test]
    async fn failures_end_a_progress_stream() {
        let step = Progress { status: "Importing".to_owned(), ..Progress::default() };
        let body = progress(stream::iter([Ok(step), Err(Error::system("disk full"))]));
        let text = axum::body::to_bytes(body, 999).await.unwrap();
        let expected = "{\"status\":\"Importing\"}\r\n{\"errorDetail\":{\"message\":\"disk full\"},\"error\":\"disk full\"}\r\n";
        assert_eq!(text, expected);
    }
}
