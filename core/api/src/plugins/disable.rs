//! `POST /plugins/{name}/disable` and `DELETE /plugins/{name}`.

use crate::{
    Cx,
    contract::flag,
    endpoint::{Endpoint, Row},
    reply::Empty,
    request::Request,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Ends a plugin.
pub struct Disable;
/// Removes a plugin and what it keeps.
pub struct Remove;

#[derive(Serialize)]
pub struct Input {
    name: String,
    force: bool,
}

impl Input {
    fn read(rq: &Request) -> Result<Self> {
        Ok(Self { name: rq.path("name")?, force: rq.query().flag("force") })
    }
}

impl Endpoint for Disable {
    const ROW: Row = Row::post("/plugins/{name}/disable", "plugin.disable").since(25).query(&[flag("force")]).refusals(&[409]);
    type Input = Input;
    type Output = Empty<200>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Input::read(&rq)
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        super::target(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.plugins.disable(&input.name, input.force).await.map(|()| Empty)
    }
}

impl Endpoint for Remove {
    const ROW: Row = Row::delete("/plugins/{name}", "plugin.remove").since(25).query(&[flag("force")]).refusals(&[409]);
    type Input = Input;
    type Output = Empty<200>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Input::read(&rq)
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        super::target(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.plugins.remove(&input.name, input.force).await.map(|_| Empty)
    }
}
