//! `GET /plugins/{name}/json`.

use crate::{
    Cx,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::plugin::Plugin;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Shows a plugin, and how it is.
pub struct Inspect;

#[derive(Serialize)]
pub struct Input {
    name: String,
}

impl Endpoint for Inspect {
    const ROW: Row = Row::get("/plugins/{name}/json", "plugin.inspect").since(25);
    type Input = Input;
    type Output = Json<Plugin>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { name: rq.path("name")? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        super::target(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.plugins.get(&input.name).map(Json)
    }
}
