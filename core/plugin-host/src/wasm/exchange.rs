//! One HTTP request of a plugin and its answer, over a connection of its own.

use super::{
    egress::{Network, Refusal, Way},
    grant::Grants,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    task::JoinHandle,
};

/// Bytes of the body of an answer.
pub(super) const BODY_MAX: usize = 16 << 20;
/// Headers of a request, and of an answer.
const HEADERS_MAX: usize = 200;
/// Bytes of the head of an answer.
const HEAD_MAX: usize = 256 << 10;

/// What is this side's business: how long a message is, and whose connection it travels on.
const RESERVED: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// A request as the plugin wants it.
pub(super) struct Outgoing {
    method: Method,
    url: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Outgoing {
    /// # Errors
    /// [`Refusal::Invalid`] for what is no request that is sent here.
    pub fn new(method: &str, url: &str, body: Vec<u8>) -> Result<Self, Refusal> {
        let invalid = |why: &str| Refusal::Invalid(why.to_owned());
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| invalid("the method is not one"))?;
        let url: Uri = url.parse().map_err(|_| invalid("the URL is not one"))?;
        let plain = url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if !matches!(url.scheme_str(), Some("http" | "https")) || !plain {
            return Err(invalid("the URL must begin with http:// or https:// and a host, without a user"));
        }
        if method == Method::CONNECT {
            return Err(invalid("CONNECT is not sent for plugins"));
        }
        Ok(Self { method, url, headers: HeaderMap::new(), body })
    }

    /// Adds a header. Its value is in no error.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] naming the header.
    pub fn header(&mut self, name: &str, value: &[u8], secret: bool) -> Result<(), Refusal> {
        let invalid = |why: &str| Refusal::Invalid(format!("header {name:?}: {why}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("that is no name"))?;
        if RESERVED.contains(&key) || matches!(key.as_str(), "keep-alive" | "proxy-connection") {
            return Err(invalid("the engine sets it"));
        }
        if self.headers.len() >= HEADERS_MAX {
            return Err(invalid("there are too many"));
        }
        let mut value = HeaderValue::from_bytes(value).map_err(|_| invalid("its value cannot be one"))?;
        value.set_sensitive(secret);
        self.headers.append(key, value);
        Ok(())
    }

    /// Sends it, and reads the whole answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn send(self, network: &Network, grants: &Grants, lookups: &Arc<Semaphore>) -> Result<Answer, Refusal> {
        let Some(authority) = self.url.authority() else { return Err(Refusal::Invalid("the URL has no host".to_owned())) };
        let secure = self.url.scheme_str() == Some("https");
        let host = authority.host().to_owned();
        let port = match (authority.port(), secure) {
            (Some(port), _) => port.as_u16(),
            (None, true) => 443,
            (None, false) => 80,
        };
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.url.path_and_query().map_or("/", |path| path.as_str()))
            .header(header::HOST, authority.as_str())
            .body(Full::new(Bytes::from(self.body)))
            .map_err(|e| Refusal::Invalid(e.to_string()))?;
        request.headers_mut().extend(self.headers);
        let addresses = network.addresses(grants, lookups, Way::Http, &host, port).await?;
        let stream = network.dial(&addresses).await?;
        match secure {
            true => exchange(network.secure(stream, &host, None).await?, request).await,
            false => exchange(stream, request).await,
        }
    }
}

/// Ends the task that drives a connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, request: Request<Full<Bytes>>) -> Result<Answer, Refusal> {
    let mut builder = http1::Builder::new();
    let (mut sender, driver) =
        builder.max_headers(HEADERS_MAX).max_buf_size(HEAD_MAX).handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    // What ends a connection is told to the request that is on it.
    let _driver = Driver(tokio::spawn(async move { _ = driver.await }));
    let (head, body) = sender.send_request(request).await.map_err(|e| broken(&e))?.into_parts();
    let too_large = || Refusal::Unreachable(format!("the answer is larger than {BODY_MAX} bytes"));
    let body =
        Limited::new(body, BODY_MAX).collect().await.map_err(|e| if e.is::<LengthLimitError>() { too_large() } else { broken(&*e) })?;
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
    Ok(Answer { status: head.status.as_u16(), headers, body: body.to_bytes().into() })
}

fn broken(error: &dyn std::error::Error) -> Refusal {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Refusal::Unreachable(format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_refused() {
        for (method, url) in [
            ("GET", "example.org"),
            ("GET", "/x"),
            ("GET", "ftp://example.org/"),
            ("GET", "http://user:word@example.org/"),
            ("GET", "http:///"),
            ("G T", "http://example.org/"),
            ("", "http://example.org/"),
            ("CONNECT", "http://example.org/"),
            ("GET", "http://example.org/\r\nX: y"),
            ("GET", "http://exa mple.org/"),
            ("GET", ""),
        ] {
            assert!(matches!(Outgoing::new(method, url, Vec::new()), Err(Refusal::Invalid(_))), "{method} {url}");
        }
        let mut request = Outgoing::new("PROPFIND", "https://[::1]:8443/a?b", Vec::new()).unwrap();
        request.header("X-A", b"b", false).unwrap();
        for (name, value) in
            [("Host", "x"), ("content-length", "3"), ("Transfer-Encoding", "chunked"), ("X A", "b"), ("X-B", "hunter2\r\nX: y")]
        {
            let Err(Refusal::Invalid(text)) = request.header(name, value.as_bytes(), true) else { panic!("{name}") };
            assert!(text.contains(name) && !text.contains("hunter2"), "{text}");
        }
    }
}
