//! `POST /plugins/{name}/enable`.

use crate::{
    Cx,
    contract::integer,
    endpoint::{Endpoint, Row},
    reply::Empty,
    request::Request,
};
use serde::Serialize;
use std::time::Duration;
use wharf_spi::authz::Object;
use wharf_types::{Error, Result};

/// Starts a plugin.
pub struct Enable;

#[derive(Serialize)]
pub struct Input {
    name: String,
    /// Seconds; 0 for the usual time.
    timeout: u64,
}

impl Endpoint for Enable {
    const ROW: Row =
        Row::post("/plugins/{name}/enable", "plugin.enable").since(25).query(&[integer("timeout").required()]).refusals(&[409, 500, 501]);
    type Input = Input;
    type Output = Empty<200>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let timeout = rq.query().integer("timeout")?.unwrap_or_default();
        let timeout = u64::try_from(timeout).map_err(|_| Error::invalid(format!("negative timeout {timeout} is invalid")))?;
        Ok(Input { name: rq.path("name")?, timeout })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        super::target(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.plugins.enable(&input.name, Duration::from_secs(input.timeout)).await.map(|()| Empty)
    }
}
