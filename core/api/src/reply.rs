//! What endpoints answer with.

use crate::{
    contract::{Answer, Described},
    error,
};
use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use wharf_types::Error;

/// A reply on its way to the client.
pub type Response = http::Response<Body>;

/// The Content-Type of every JSON body; clients compare it with `==`.
pub const JSON: &str = "application/json";

/// The Content-Type of plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The Content-Type of archives.
pub const TAR: &str = "application/x-tar";

/// Marks a reply that goes without the version headers: denials, and the hijacked streams of attach.
#[derive(Clone, Copy)]
pub struct Bare;

/// Encodes an endpoint's output.
pub trait IntoReply {
    /// What it can be, when the type tells.
    const ANSWERS: &'static [Answer] = &[];

    /// The reply.
    fn into_reply(self) -> Response;
}

/// 200 with a JSON body.
pub struct Json<T>(pub T);
/// 201 with a JSON body.
pub struct Created<T>(pub T);
/// A status with an empty body.
pub struct Empty<const STATUS: u16>;
/// 204.
pub struct NoContent;

impl<T: Serialize + Described> IntoReply for Json<T> {
    const ANSWERS: &'static [Answer] = &[Answer::json::<T>(200)];
    fn into_reply(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}
impl<T: Serialize + Described> IntoReply for Created<T> {
    const ANSWERS: &'static [Answer] = &[Answer::json::<T>(201)];
    fn into_reply(self) -> Response {
        json(StatusCode::CREATED, &self.0)
    }
}
impl IntoReply for NoContent {
    const ANSWERS: &'static [Answer] = Empty::<204>::ANSWERS;
    fn into_reply(self) -> Response {
        Empty::<204>.into_reply()
    }
}
impl<const STATUS: u16> IntoReply for Empty<STATUS> {
    const ANSWERS: &'static [Answer] = &[Answer::empty(STATUS)];
    fn into_reply(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::from_u16(STATUS).unwrap_or_default();
        response
    }
}
impl IntoReply for Response {
    fn into_reply(self) -> Response {
        self
    }
}

/// JSON as Docker sends it: no HTML escaping, a newline at the end.
fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(512);
    if let Err(e) = serde_json::to_writer(&mut body, value) {
        return error::reply(wharf_api_types::MAX_API_VERSION, &Error::system(format!("encoding the answer: {e}")));
    }
    body.push(b'\n');
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

/// 200 with a body of this type.
pub fn streaming(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn json_is_not_html_escaped_and_ends_with_a_newline() {
        let response = Created("<a&b>").into_reply();
        assert_eq!((response.status(), &response.headers()["content-type"]), (StatusCode::CREATED, &HeaderValue::from_static(JSON)));
        assert_eq!(axum::body::to_bytes(response.into_body(), 99).await.unwrap(), "\"<a&b>\"\n");
    }
}
