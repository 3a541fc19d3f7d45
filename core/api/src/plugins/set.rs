//! `POST /plugins/{name}/set`.

use crate::{
    Cx,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Changes settings of a plugin.
pub struct Set;

#[derive(Serialize)]
pub struct Input {
    name: String,
    changes: Vec<String>,
}

impl Endpoint for Set {
    const ROW: Row = Row::post("/plugins/{name}/set", "plugin.set").since(25).json::<Vec<String>>().refusals(&[500]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { name: rq.path("name")?, changes: rq.json().await? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        super::target(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        cx.plugins.set(&input.name, &input.changes).await.map(|()| NoContent)
    }
}
