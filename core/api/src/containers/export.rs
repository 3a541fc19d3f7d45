//! `GET /containers/{id}/export`.

use crate::{
    Cx, authz,
    contract::Answer,
    endpoint::{Endpoint, Row},
    reply::{Response, streaming},
    request::Request,
    stream::bytes,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::Result;

const OCTETS: &str = "application/octet-stream";

/// Sends a container's root file system as a tar.
pub struct Export;

#[derive(Serialize)]
pub struct Input {
    id: String,
}

impl Endpoint for Export {
    const ROW: Row = Row::get("/containers/{id}/export", "container.export").answers(&[Answer::bytes(&[OCTETS])]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        Ok(streaming(OCTETS, bytes(cx.containers.export(&input.id).await?)))
    }
}
