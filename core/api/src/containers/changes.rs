//! `GET /containers/{id}/changes`.

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::inspect::FileChange;
use wharf_engine::containers::Change;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Lists what a container changed in its image's files; `null` when it changed nothing.
pub struct Changes;

#[derive(Serialize)]
pub struct Input {
    id: String,
}

impl Endpoint for Changes {
    const ROW: Row = Row::get("/containers/{id}/changes", "container.changes");
    type Input = Input;
    type Output = Json<Option<Vec<FileChange>>>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let changes = cx.containers.changes(&input.id).await?;
        let line = |c: Change| FileChange { path: format!("/{}", String::from_utf8_lossy(&c.path)), kind: c.kind as u8 };
        let lines: Vec<_> = changes.into_iter().map(line).collect();
        Ok(Json((!lines.is_empty()).then_some(lines)))
    }
}
