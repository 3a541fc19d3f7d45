//! `POST /containers/{id}/start`, `…/stop` and `…/restart`. A client that hangs up does not stop a stop.

use super::defaults;
use crate::{
    Cx, authz,
    contract::{Param, integer, text},
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use serde_json::Value;
use wharf_api_types::container::HostConfig;
use wharf_engine::containers::{StopOptions, exposure};
use wharf_spi::authz::{Exposure, Object};
use wharf_types::{Error, Result, Signal};

/// Starts a container.
pub struct Start;
/// Stops a container.
pub struct Stop;
/// Stops a container if it runs, and starts it.
pub struct Restart;

#[derive(Serialize)]
pub struct StartInput {
    id: String,
    host_config: Option<HostConfig>,
}

impl Endpoint for Start {
    const ROW: Row = Row::post("/containers/{id}/start", "container.start")
        .query(&[text("checkpoint")])
        .json_until::<Option<Value>>(24)
        .refusals(&[304, 409, 500, 501]);
    type Input = StartInput;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<StartInput> {
        let id = rq.path("id")?;
        if let Some(name) = rq.query().text("checkpoint") {
            return Err(Error::not_implemented(format!("starting from a checkpoint is not supported yet: {name}")));
        }
        // Seven bytes are the shortest JSON object that says something.
        let host_config = match rq.body_length() {
            Some(0..=7) => None,
            _ if rq.api().since(24) => {
                return Err(Error::invalid(
                    "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
                ));
            }
            _ => {
                let version = rq.api();
                defaults::at_start(rq.json().await?, version)?
            }
        };
        Ok(StartInput { id, host_config })
    }
    fn targets(input: &StartInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    fn exposure(input: &StartInput, cx: &Cx) -> Option<Exposure> {
        match &input.host_config {
            Some(host) => Some(exposure::of(host)),
            None => cx.containers.get(&input.id).ok().map(|c| exposure::of(&c.spec.host_config)),
        }
    }
    async fn execute(cx: &Cx, input: StartInput) -> Result<NoContent> {
        cx.containers.start_with(&input.id, input.host_config).await.map(|()| NoContent)
    }
}

#[derive(Serialize)]
pub struct StopInput {
    id: String,
    timeout: Option<i64>,
    signal: Option<String>,
}

const HOW: &[Param] = &[integer("t"), text("signal").since(42)];

impl StopInput {
    fn decode(rq: &Request) -> Result<Self> {
        let signal = rq.query().text("signal").map(str::to_owned);
        Ok(Self { id: rq.path("id")?, timeout: rq.query().integer("t")?, signal })
    }
    fn how(&self) -> Result<StopOptions> {
        Ok(StopOptions { timeout: self.timeout, signal: self.signal.as_deref().map(str::parse::<Signal>).transpose()? })
    }
}

impl Endpoint for Stop {
    const ROW: Row = Row::post("/containers/{id}/stop", "container.stop").query(HOW).refusals(&[304]);
    type Input = StopInput;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<StopInput> {
        StopInput::decode(&rq)
    }
    fn targets(input: &StopInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: StopInput) -> Result<NoContent> {
        cx.containers.stop(&input.id, input.how()?).await.map(|()| NoContent)
    }
}

impl Endpoint for Restart {
    const ROW: Row = Row::post("/containers/{id}/restart", "container.restart").query(HOW).refusals(&[500]);
    type Input = StopInput;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<StopInput> {
        StopInput::decode(&rq)
    }
    fn targets(input: &StopInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: StopInput) -> Result<NoContent> {
        cx.containers.restart(&input.id, input.how()?).await.map(|()| NoContent)
    }
}
