//! `DELETE /containers/{id}`.

use crate::{
    Cx, authz,
    contract::flag,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_engine::containers::RemoveOptions;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Removes a container.
pub struct Remove;

#[derive(Serialize)]
pub struct Input {
    id: String,
    force: bool,
    volumes: bool,
    link: bool,
}

impl Endpoint for Remove {
    const ROW: Row = Row::delete("/containers/{id}", "container.remove").query(&[flag("force"), flag("v"), flag("link")]).refusals(&[409]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let flag = |name| rq.query().flag(name);
        Ok(Input { id: rq.path("id")?, force: flag("force"), volumes: flag("v"), link: flag("link") })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        let Input { id, force, volumes, link } = input;
        cx.containers.remove(&id, RemoveOptions { force, volumes, link }).await.map(|()| NoContent)
    }
}
