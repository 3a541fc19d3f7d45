//! `GET /containers/{id}/top`.

use crate::{
    Cx, authz,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::inspect::TopResponse;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Lists a container's processes.
pub struct Top;

#[derive(Serialize)]
pub struct Input {
    id: String,
    ps_args: String,
}

impl Endpoint for Top {
    const ROW: Row = Row::get("/containers/{id}/top", "container.top").query(&[text("ps_args")]).refusals(&[409, 500]);
    type Input = Input;
    type Output = Json<TopResponse>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")?, ps_args: rq.query().text("ps_args").unwrap_or("-ef").to_owned() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let top = cx.containers.top(&input.id, &input.ps_args).await?;
        Ok(Json(TopResponse { titles: top.titles, processes: top.processes }))
    }
}
