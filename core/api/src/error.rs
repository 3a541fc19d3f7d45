//! The one place where an error becomes an HTTP reply.

use crate::reply::{JSON, Response, TEXT};
use axum::body::Body;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use wharf_api_types::ApiVersion;
use wharf_types::{Error, ErrorKind};

/// Status code of a kind.
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::InvalidParameter => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// The reply for `error`: `{"message":…}` with the Content-Type exactly `application/json` (clients compare it), plain text
/// below 1.24, nothing at all for 304.
pub fn reply(version: ApiVersion, error: &Error) -> Response {
    let status = status(error.kind());
    if status == StatusCode::NOT_MODIFIED {
        return with_body(status, None, Vec::new());
    }
    if version.before(24) {
        return with_body(status, Some(TEXT), format!("{}\n", error.message()).into_bytes());
    }
    let mut body = serde_json::to_vec(&Message { message: error.message() }).unwrap_or_default();
    body.push(b'\n');
    with_body(status, Some(JSON), body)
}

/// The answer for a path or method that is in no row.
pub fn page_not_found(version: ApiVersion) -> Response {
    reply(version, &Error::not_found("page not found"))
}

fn with_body(status: StatusCode, content_type: Option<&'static str>, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
