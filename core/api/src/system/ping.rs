//! `GET /_ping` and `HEAD /_ping`: the first request of every client, usually without a version.

use crate::{
    contract::Answer,
    cx::Context,
    endpoint::{Endpoint, Row},
    reply::{Response, TEXT, streaming},
    request::Request,
};
use axum::body::Body;
use http::{HeaderName, HeaderValue, header};
use wharf_types::Result;

/// Says `OK`.
pub struct Ping;
/// Says it in headers alone.
pub struct Head;

impl<C: Context> Endpoint<C> for Ping {
    const ROW: Row = Row::get("/_ping", "system.ping").answers(&[Answer::bytes(&[TEXT])]);
    type Input = ();
    type Output = Response;

    async fn decode(_: &C, _: Request) -> Result<()> {
        Ok(())
    }
    async fn execute(_: &C, (): ()) -> Result<Response> {
        Ok(pong("OK"))
    }
}

impl<C: Context> Endpoint<C> for Head {
    const ROW: Row = Row::head("/_ping", "system.ping").since(40).answers(&[Answer::empty(200)]);
    type Input = ();
    type Output = Response;

    async fn decode(_: &C, _: Request) -> Result<()> {
        Ok(())
    }
    async fn execute(_: &C, (): ()) -> Result<Response> {
        Ok(pong(""))
    }
}

fn pong(body: &'static str) -> Response {
    let mut response = streaming(TEXT, Body::from(body));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        // BuildKit is not served, so clients shall use the classic builder.
        (HeaderName::from_static("builder-version"), "1"),
        (HeaderName::from_static("swarm"), "inactive"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
