//! `GET /plugins/privileges`.

use crate::{
    Cx,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::plugin::PluginPrivilege;
use wharf_types::Result;

/// What a plugin would be allowed to do.
pub struct Privileges;

#[derive(Serialize)]
pub struct Input {
    remote: String,
}

impl Endpoint for Privileges {
    const ROW: Row = Row::get("/plugins/privileges", "plugin.privileges").since(25).query(&[text("remote").required()]).refusals(&[501]);
    type Input = Input;
    type Output = Json<Vec<PluginPrivilege>>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { remote: rq.query().text("remote").unwrap_or_default().to_owned() })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.plugins.privileges(&input.remote).map(Json)
    }
}
