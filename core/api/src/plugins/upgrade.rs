//! `POST /plugins/{name}/upgrade`.

use crate::{
    Cx,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::plugin::PluginPrivilege;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Gives a plugin the content of another one.
pub struct Upgrade;

#[derive(Serialize)]
pub struct Input {
    name: String,
    remote: String,
    privileges: Vec<PluginPrivilege>,
}

impl Endpoint for Upgrade {
    const ROW: Row = Row::post("/plugins/{name}/upgrade", "plugin.upgrade")
        .since(26)
        .query(&[text("remote").required()])
        .json::<Vec<PluginPrivilege>>()
        .refusals(&[409, 500, 501]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let (name, remote) = (rq.path("name")?, rq.query().text("remote").unwrap_or_default().to_owned());
        Ok(Input { name, remote, privileges: rq.json().await? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        super::target(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        cx.plugins.upgrade(&input.name, &input.remote, &input.privileges).await.map(|()| NoContent)
    }
}
