//! `POST /exec/{id}/resize`.

use crate::{
    Cx, authz,
    containers::resize::{Input, SIZE},
    endpoint::{Endpoint, Row},
    reply::Empty,
    request::Request,
};
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Sets the size of an exec's terminal.
pub struct Resize;

impl Endpoint for Resize {
    const ROW: Row = Row::post("/exec/{id}/resize", "exec.resize").query(SIZE).refusals(&[409]);
    type Input = Input;
    type Output = Empty<200>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Input::decode(&rq)
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::exec(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.execs.resize(&input.id, input.height, input.width).await.map(|()| Empty)
    }
}
