//! `POST /containers/{id}/kill`.

use crate::{
    Cx, authz,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::ApiVersion;
use wharf_spi::authz::Object;
use wharf_types::{ErrorKind, Result, Signal};

/// Sends a signal.
pub struct Kill;

#[derive(Serialize)]
pub struct Input {
    id: String,
    signal: Option<String>,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Kill {
    const ROW: Row = Row::post("/containers/{id}/kill", "container.kill").query(&[text("signal")]).refusals(&[409]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")?, signal: rq.query().text("signal").map(str::to_owned), api: rq.api() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        let signal = input.signal.as_deref().map(str::parse::<Signal>).transpose()?;
        match cx.containers.kill(&input.id, signal).await {
            // A container that does not run was no error once.
            Err(e) if e.kind() == ErrorKind::Conflict && input.api.before(20) => Ok(NoContent),
            done => done.map(|()| NoContent),
        }
    }
}
