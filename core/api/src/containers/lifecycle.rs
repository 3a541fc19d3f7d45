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
use wharf_engine::containers::{AllowedBind, StartRequest, StopOptions, exposure};
use wharf_spi::authz::{Bind, Exposure, Object};
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
    #[serde(rename = "body")]
    host_config: Option<HostConfig>,
    /// Looked at once: what is judged is what is started.
    #[serde(skip)]
    exposure: Option<Exposure>,
}

impl Endpoint for Start {
    const ROW: Row = Row::post("/containers/{id}/start", "container.start")
        .query(&[text("checkpoint")])
        .json_until::<Option<Value>>(24)
        .refusals(&[304, 409, 500, 501]);
    type Input = StartInput;
    type Output = NoContent;

    async fn decode(cx: &Cx, rq: Request) -> Result<StartInput> {
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
        let exposure = if cx.is_guarded() { exposure_at_start(cx, &id, host_config.as_ref()) } else { None };
        Ok(StartInput { id, host_config, exposure })
    }
    fn targets(input: &StartInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    fn exposure(input: &StartInput, _: &Cx) -> Option<Exposure> {
        input.exposure.clone()
    }
    async fn execute(cx: &Cx, input: StartInput) -> Result<NoContent> {
        let StartInput { id, host_config, exposure } = input;
        let allowed = |bind: Bind| AllowedBind { source: bind.source.into(), target: bind.target.into() };
        let allowed_binds = exposure.map(|exposure| exposure.binds.into_iter().map(allowed).collect());
        cx.containers.start_with(&id, StartRequest { host_config: host_config.map(Box::new), allowed_binds }).await.map(|()| NoContent)
    }
}

/// What a container could do to the host when it runs: as it is now, or with another host configuration, to which its binds are added.
fn exposure_at_start(cx: &Cx, id: &str, host: Option<&HostConfig>) -> Option<Exposure> {
    let present = cx.containers.get(id).ok()?;
    let own = &present.spec.host_config;
    let Some(host) = host else { return Some(cx.containers.exposure(own, exposure::binds(own))) };
    Some(cx.containers.exposure(host, [exposure::binds(host), exposure::binds(own)].concat()))
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
    fn exposure(input: &StopInput, cx: &Cx) -> Option<Exposure> {
        exposure_at_start(cx, &input.id, None)
    }
    async fn execute(cx: &Cx, input: StopInput) -> Result<NoContent> {
        cx.containers.restart(&input.id, input.how()?).await.map(|()| NoContent)
    }
}
