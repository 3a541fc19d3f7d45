//! The least client that can talk to the API: one HTTP/1.0 request per connection, so an answer ends where the connection does.

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wharf_types::{Error, Result, error::Context};

/// No answer to a hello container takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// The body of a successful answer.
    pub fn call(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Vec<u8>> {
        let what = format!("{method} {path}");
        let mut stream = UnixStream::connect(&self.socket).context(&what)?;
        stream.set_read_timeout(Some(PATIENCE)).context(&what)?;
        let content = if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
        let head = format!("{method} /v1.41{path} HTTP/1.0\r\nHost: wharf\r\n{content}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).context(&what)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context(&what)?;
        let (status, body) = parse(&answer).ok_or_else(|| Error::system(format!("{what}: not an HTTP answer")))?;
        if (200..300).contains(&status) { Ok(body.to_vec()) } else { Err(Error::system(format!("{what}: {status}: {}", message(body)))) }
    }
}

fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    Some((head.split(' ').nth(1)?.parse().ok()?, answer.get(end + 4..)?))
}

fn message(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    json.as_ref().and_then(|j| j.get("message")?.as_str()).map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(parse(b"HTTP/1.0 204 No Content\r\nA: b\r\n\r\n"), Some((204, &b""[..])));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nbody"), Some((200, &b"body"[..])));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(message(br#"{"message":"No such image: x"}"#), "No such image: x");
        assert_eq!(message(b"plain"), "plain");
    }
}
