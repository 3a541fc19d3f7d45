//! `POST /containers/{id}/start`, `…/stop` and `…/restart`. A client that hangs up does not stop a stop.

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use wharf_engine::containers::StopOptions;
use wharf_spi::authz::Target;
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
}

impl Endpoint for Start {
    const ROW: Row = Row::post("/containers/{id}/start", "container.start");
    type Input = StartInput;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<StartInput> {
        let id = rq.path("id")?;
        if let Some(name) = rq.query().text("checkpoint") {
            return Err(Error::not_implemented(format!("starting from a checkpoint is not supported yet: {name}")));
        }
        if rq.api().since(24) {
            // Seven bytes are the shortest JSON object that says something.
            if rq.body_length().is_none_or(|n| n > 7) {
                return Err(Error::invalid(
                    "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
                ));
            }
        } else if rq.json_of_any_type::<Option<serde_json::Value>>().await?.is_some_and(|v| v != serde_json::json!({})) {
            return Err(Error::not_implemented("a HostConfig in the body of start is not supported; give it at create"));
        }
        Ok(StartInput { id })
    }
    fn targets(input: &StartInput, cx: &Cx) -> Vec<Target> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: StartInput) -> Result<NoContent> {
        cx.containers.start(&input.id).await.map(|()| NoContent)
    }
}

#[derive(Serialize)]
pub struct StopInput {
    id: String,
    timeout: Option<i64>,
    signal: Option<String>,
}

impl StopInput {
    fn decode(rq: &Request) -> Result<Self> {
        let signal = rq.query().text("signal").filter(|_| rq.api().since(42)).map(str::to_owned);
        Ok(Self { id: rq.path("id")?, timeout: rq.query().integer("t")?, signal })
    }
    fn how(&self) -> Result<StopOptions> {
        Ok(StopOptions { timeout: self.timeout, signal: self.signal.as_deref().map(str::parse::<Signal>).transpose()? })
    }
}

impl Endpoint for Stop {
    const ROW: Row = Row::post("/containers/{id}/stop", "container.stop");
    type Input = StopInput;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<StopInput> {
        StopInput::decode(&rq)
    }
    fn targets(input: &StopInput, cx: &Cx) -> Vec<Target> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: StopInput) -> Result<NoContent> {
        cx.containers.stop(&input.id, input.how()?).await.map(|()| NoContent)
    }
}

impl Endpoint for Restart {
    const ROW: Row = Row::post("/containers/{id}/restart", "container.restart");
    type Input = StopInput;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<StopInput> {
        StopInput::decode(&rq)
    }
    fn targets(input: &StopInput, cx: &Cx) -> Vec<Target> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: StopInput) -> Result<NoContent> {
        cx.containers.restart(&input.id, input.how()?).await.map(|()| NoContent)
    }
}
