//! `POST /containers/{id}/pause` and `…/unpause`.

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Freezes a container.
pub struct Pause;
/// Lets a paused container go on.
pub struct Unpause;

#[derive(Serialize)]
pub struct Input {
    id: String,
}

impl Endpoint for Pause {
    const ROW: Row = Row::post("/containers/{id}/pause", "container.pause").refusals(&[409]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        cx.containers.pause(&input.id).await.map(|()| NoContent)
    }
}

impl Endpoint for Unpause {
    const ROW: Row = Row::post("/containers/{id}/unpause", "container.unpause").refusals(&[500]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        cx.containers.unpause(&input.id).await.map(|()| NoContent)
    }
}
