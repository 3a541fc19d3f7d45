//! A request as endpoints read it.

use crate::{
    contract::{RequestBody, Shape},
    endpoint::Row,
    filters::Filters,
    hangup::Hangup,
    hijack::Client,
    query::Query,
};
use axum::{
    body::Body,
    extract::{FromRequestParts as _, RawPathParams},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header, request::Parts};
use http_body::{Body as _, Frame};
use serde::de::DeserializeOwned;
use std::{
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};
use tokio::io::AsyncRead;
use wharf_api_types::{ApiVersion, MAX_API_VERSION};
use wharf_spi::authz::Caller;
use wharf_types::{Error, Result};

/// The longest JSON body that is read, in bytes. Docker's clients stay far below; an archive is a stream and has no limit.
const MAX_JSON: usize = 16 << 20;

/// The longest that the body of a refused request is read for.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// How a request came in.
#[derive(Debug)]
pub struct Received {
    /// The API version: that of the path, or the newest.
    pub version: ApiVersion,
    /// The method.
    pub method: Method,
    /// The URI before it was normalised.
    pub uri: Uri,
    /// Who sent it.
    pub caller: Arc<Caller>,
    /// The connection that it came on.
    pub hangup: Option<Arc<Hangup>>,
}

/// One request.
pub struct Request {
    parts: Parts,
    params: Vec<(String, String)>,
    query: Query,
    row: &'static Row,
    body: Unread,
    received: Arc<Received>,
}

impl Request {
    pub(crate) async fn new(rq: http::Request<Body>, row: &'static Row) -> Self {
        let (mut parts, body) = rq.into_parts();
        let params = match RawPathParams::from_request_parts(&mut parts, &()).await {
            Ok(params) => params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            Err(_) => Vec::new(),
        };
        let received = parts.extensions.remove::<Arc<Received>>().unwrap_or_else(|| {
            let (method, uri) = (parts.method.clone(), parts.uri.clone());
            Arc::new(Received { version: MAX_API_VERSION, method, uri, caller: Arc::default(), hangup: None })
        });
        let query = Query::of(&parts.uri, row.query, received.version);
        Self { parts, params, query, row, body: Unread(body), received }
    }

    /// How it came in.
    pub fn received(&self) -> Arc<Received> {
        self.received.clone()
    }

    /// The API version.
    pub fn api(&self) -> ApiVersion {
        self.received.version
    }

    /// A parameter of the row's path.
    ///
    /// # Errors
    /// 400 when it is not UTF-8.
    pub fn path(&self, name: &str) -> Result<String> {
        let found = self.params.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.clone()).ok_or_else(|| Error::invalid(format!("the path holds no valid {name}")))
    }

    /// The query.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The `filters` parameter.
    ///
    /// # Errors
    /// 400 when it cannot be read, or has a key that the row does not declare (when it declares some).
    pub fn filters(&self) -> Result<Filters> {
        let (text, keys) = self.query.filters();
        let filters = Filters::parse(text)?;
        if !keys.is_empty() {
            filters.accept(keys)?;
        }
        Ok(filters)
    }

    /// The length of the body in bytes; none when it is sent in chunks and not known yet.
    pub fn body_length(&self) -> Option<u64> {
        if self.body.is_end_stream() { Some(0) } else { self.body.size_hint().exact() }
    }

    /// Reads a JSON body. An empty one is the default value.
    ///
    /// # Errors
    /// 400 for another Content-Type, for what is no JSON of that shape, and for anything after it.
    pub async fn json<T: DeserializeOwned + Default + 'static>(self) -> Result<T> {
        if self.body_length() != Some(0) || self.parts.headers.contains_key(header::CONTENT_TYPE) {
            check_json_type(&self.parts.headers)?;
        }
        self.json_of_any_type().await
    }

    /// Reads a JSON body without looking at its Content-Type: below 1.22, `exec start` sends it as text.
    ///
    /// # Errors
    /// As [`Request::json`].
    pub async fn json_of_any_type<T: DeserializeOwned + Default + 'static>(self) -> Result<T> {
        debug_assert!(self.row.body.is_json(Shape::is::<T>), "{} does not declare this body", self.row.path);
        if self.body_length() == Some(0) {
            return Ok(T::default());
        }
        parse_json(&self.bytes().await?)
    }

    async fn bytes(self) -> Result<Bytes> {
        let read = axum::body::to_bytes(Body::new(self.body), MAX_JSON).await;
        read.map_err(|e| Error::invalid(format!("reading the request body (at most {MAX_JSON} bytes): {e}")))
    }

    /// The body as a stream of bytes.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        use futures_util::TryStreamExt as _;
        debug_assert!(matches!(self.row.body, RequestBody::Archive), "{} declares no archive", self.row.path);
        tokio_util::io::StreamReader::new(Body::new(self.body).into_data_stream().map_err(std::io::Error::other))
    }

    /// The client's side of the connection, for endpoints that take it over.
    pub fn client(&mut self) -> Client {
        Client::of(&mut self.parts, self.received.hangup.clone())
    }
}

/// A body that is read to its end even when nobody wants it any more: a client that is still sending when it is refused
/// would otherwise find its connection closed, and never read why.
struct Unread(Body);

impl http_body::Body for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        use futures_util::StreamExt as _;
        if self.0.is_end_stream() {
            return;
        }
        let mut rest = std::mem::take(&mut self.0).into_data_stream();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let to_the_end = async move { while let Some(Ok(_)) = rest.next().await {} };
            runtime.spawn(async move { tokio::time::timeout(DRAIN, to_the_end).await });
        }
    }
}

fn check_json_type(headers: &HeaderMap) -> Result<()> {
    let text = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(Error::invalid(format!("unsupported Content-Type header ({text}): must be 'application/json'")))
    }
}

fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.trim_ascii().is_empty() {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    let mut documents = serde_json::Deserializer::from_slice(body);
    let value = T::deserialize(&mut documents).map_err(|e| Error::invalid(format!("invalid JSON: {e}")))?;
    documents.end().map_err(|_| Error::invalid("unexpected content after JSON"))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(headers: &[(&str, &str)], body: &'static str) -> Result<Vec<u32>, String> {
        let mut rq = http::Request::builder().header("content-length", body.len());
        for (name, value) in headers {
            rq = rq.header(*name, *value);
        }
        let rq = Request::new(rq.body(Body::from(body)).unwrap(), const { &Row::post("/x", "x.y").json::<Vec<u32>>() }).await;
        rq.json().await.map_err(|e| e.message().to_owned())
    }

    #[tokio::test]
    async fn json_bodies() {
        let json = [("content-type", "application/json; charset=utf-8")];
        assert_eq!(read(&json, " [1] ").await, Ok(vec![1]));
        assert_eq!(read(&[], "").await, Ok(vec![]));
        assert_eq!(read(&json, "").await, Ok(vec![]));
        assert_eq!(read(&json, " \n").await.unwrap_err(), "invalid JSON: got EOF while reading request body");
        assert_eq!(read(&json, "[1][2]").await.unwrap_err(), "unexpected content after JSON");
        assert!(read(&json, "{}").await.unwrap_err().starts_with("invalid JSON: "));
        assert_eq!(read(&[], "[1]").await.unwrap_err(), "unsupported Content-Type header (): must be 'application/json'");
        let text = [("content-type", "text/plain")];
        assert_eq!(read(&text, "[1]").await.unwrap_err(), "unsupported Content-Type header (text/plain): must be 'application/json'");
    }
}
