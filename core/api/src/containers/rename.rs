//! `POST /containers/{id}/rename`.

use crate::{
    Cx, authz,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Gives a container another name.
pub struct Rename;

#[derive(Serialize)]
pub struct Input {
    id: String,
    name: String,
}

impl Endpoint for Rename {
    const ROW: Row = Row::post("/containers/{id}/rename", "container.rename").query(&[text("name").required()]).refusals(&[409]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")?, name: rq.query().text("name").unwrap_or_default().to_owned() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        [authz::container(cx, &input.id), authz::container_name(cx, &input.name)].concat()
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        cx.containers.rename(&input.id, &input.name).await.map(|()| NoContent)
    }
}
