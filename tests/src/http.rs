//! A small HTTP/1.1 client over a unix socket that hides nothing: exact bytes of the head, raw streams after a hijack, half-close.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// Talks to one socket; one connection per request.
#[derive(Clone)]
pub struct Http {
    socket: PathBuf,
}

/// The head of a reply.
#[derive(Debug, Clone)]
pub struct Head {
    /// Status code.
    pub status: u16,
    /// Every byte up to and including the empty line.
    pub raw: String,
}

impl Head {
    /// A header's value; names in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.raw.split("\r\n").skip(1);
        lines.filter_map(|l| l.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
}

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    /// Status and headers.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?} {}", self.head, self.text()))
    }

    /// The `message` of an error reply.
    #[track_caller]
    pub fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_else(|| panic!("no message: {}", self.text())).to_owned()
    }

    /// Fails the test unless the status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status(), status, "{}{}", self.head.raw, self.text());
        self
    }
}

/// A reply whose body is still coming.
pub struct Stream {
    /// Status and headers.
    pub head: Head,
    reader: BufReader<UnixStream>,
    framing: Framing,
}

#[derive(Clone, Copy, PartialEq)]
enum Framing {
    /// Bytes left of a body with a length.
    Sized(u64),
    /// Bytes left of the current chunk; 0 before a chunk header.
    Chunked(u64),
    /// Until the connection closes.
    Raw,
    Ended,
}

impl Http {
    /// A client of `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Http {
        Http { socket: socket.into() }
    }

    /// Sends a request with exactly these headers (plus `Host` and, for a body, its length) and reads the reply's head.
    pub fn open(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Stream> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || method == "POST" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        self.open_bytes(&[request.as_bytes(), body].concat(), method == "HEAD")
    }

    /// Sends these bytes and reads a reply's head.
    pub fn open_bytes(&self, request: &[u8], bodyless: bool) -> std::io::Result<Stream> {
        let mut socket = UnixStream::connect(&self.socket)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.write_all(request)?;
        let mut reader = BufReader::new(socket);
        let mut raw = String::new();
        while !raw.ends_with("\r\n\r\n") {
            if reader.read_line(&mut raw)? == 0 {
                return Err(std::io::Error::new(ErrorKind::UnexpectedEof, format!("head ended early: {raw:?}")));
            }
        }
        let status = raw.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("not HTTP: {raw:?}"));
        let head = Head { status, raw };
        let framing = if bodyless || matches!(status, 204 | 304) {
            Framing::Ended
        } else if head.header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
            Framing::Chunked(0)
        } else if let Some(length) = head.header("content-length") {
            Framing::Sized(length.parse().unwrap())
        } else {
            Framing::Raw
        };
        Ok(Stream { head, reader, framing })
    }

    /// Sends a request and reads the whole reply.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.open(method, path, headers, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        let mut body = Vec::new();
        stream.read_to_end(&mut body).unwrap_or_else(|e| panic!("{method} {path}: {e} after {:?}", String::from_utf8_lossy(&body)));
        Reply { head: stream.head, body }
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], b"")
    }

    /// POST without a body.
    #[track_caller]
    pub fn post(&self, path: &str) -> Reply {
        self.request("POST", path, &[], b"")
    }

    /// POST of a JSON document.
    #[track_caller]
    pub fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path, &[], b"")
    }
}

impl Stream {
    /// The rest as one string.
    #[track_caller]
    pub fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).unwrap_or_else(|e| panic!("{e} after {:?}", String::from_utf8_lossy(&bytes)));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The next line, without its end; `None` at the end of the stream.
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.read(&mut byte).unwrap_or_else(|e| panic!("{e} after {:?}", String::from_utf8_lossy(&line))) == 1 {
            if byte[0] == b'\n' {
                return Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            }
            line.push(byte[0]);
        }
        (!line.is_empty()).then(|| String::from_utf8_lossy(&line).into_owned())
    }

    /// Exactly `n` bytes.
    #[track_caller]
    pub fn exactly(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next multiplexed frame: stream number and payload; `None` at the end.
    #[track_caller]
    pub fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 8];
        if self.read(&mut head[..1]).unwrap() == 0 {
            return None;
        }
        self.read_exact(&mut head[1..]).unwrap();
        assert_eq!(head[1..4], [0, 0, 0], "frame header {head:?}");
        let size = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        Some((head[0], self.exactly(size as usize)))
    }

    /// All frames up to the end, joined per stream: (stdout, stderr).
    #[track_caller]
    pub fn demultiplex(&mut self) -> (String, String) {
        let mut streams = [Vec::new(), Vec::new()];
        while let Some((stream @ 1..=2, bytes)) = self.frame() {
            streams[usize::from(stream) - 1].extend(bytes);
        }
        let [out, err] = streams.map(|s| String::from_utf8_lossy(&s).into_owned());
        (out, err)
    }

    /// Writes to the other side (after a hijack).
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Says that nothing more will be written; reading goes on.
    pub fn close_write(&mut self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// How long a read may wait.
    pub fn patience(&self, limit: Duration) {
        self.reader.get_ref().set_read_timeout(Some(limit)).unwrap();
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Framing::Chunked(0) = self.framing {
            let mut line = String::new();
            while line.trim_end().is_empty() {
                line.clear();
                if self.reader.read_line(&mut line)? == 0 {
                    return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "closed inside a chunked body"));
                }
            }
            let size = u64::from_str_radix(line.trim_end(), 16).map_err(|e| std::io::Error::other(format!("chunk size {line:?}: {e}")))?;
            self.framing = if size == 0 { Framing::Ended } else { Framing::Chunked(size) };
        }
        let limit = match self.framing {
            Framing::Ended | Framing::Sized(0) => return Ok(0),
            Framing::Sized(left) | Framing::Chunked(left) => buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            Framing::Raw => buffer.len(),
        };
        let n = self.reader.read(&mut buffer[..limit])?;
        match &mut self.framing {
            Framing::Sized(left) | Framing::Chunked(left) => {
                if n == 0 && limit > 0 {
                    return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "closed inside the body"));
                }
                *left -= n as u64;
            }
            Framing::Raw | Framing::Ended => {}
        }
        Ok(n)
    }
}
