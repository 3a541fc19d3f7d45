//! `POST /containers/{id}/exec`.

use crate::{
    Cx, authz, detach,
    endpoint::{Endpoint, Row},
    reply::Created,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::{exec::ExecCreate, inspect::IdResponse};
use wharf_engine::containers::exposure;
use wharf_spi::authz::{Exposure, Object};
use wharf_types::{Error, Result};

/// Registers an exec.
pub struct Create;

#[derive(Serialize)]
pub struct Input {
    id: String,
    #[serde(rename = "body")]
    config: ExecCreate,
}

impl Endpoint for Create {
    const ROW: Row = Row::post("/containers/{id}/exec", "exec.create").json::<ExecCreate>().refusals(&[409, 500]);
    type Input = Input;
    type Output = Created<IdResponse>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let (id, api) = (rq.path("id")?, rq.api());
        let mut config: ExecCreate = rq.json().await?;
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        if api.before(42) {
            config.console_size = None;
        }
        detach::parse(&config.detach_keys).map_err(|_| Error::system(format!("Invalid escape keys ({}) provided", config.detach_keys)))?;
        Ok(Input { id, config })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    fn exposure(input: &Input, _: &Cx) -> Option<Exposure> {
        input.config.privileged.then(exposure::of_privileged)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let id = cx.execs.create(&input.id, input.config).await?;
        Ok(Created(IdResponse { id: id.to_string() }))
    }
}
