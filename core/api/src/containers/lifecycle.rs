//! `POST /containers/{id}/start`, `…/stop` and `…/restart`. A client that hangs up does not stop a stop.

use super::{defaults, exposed::Seen, narrow::narrow};
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
use wharf_engine::containers::{StartRequest, StopOptions};
use wharf_spi::authz::{Exposure, Object, Patch};
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
    #[serde(skip)]
    seen: Seen,
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
        let mut host_config = match rq.body_length() {
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
        if let Some(host) = &mut host_config {
            // What cannot be read is refused by the start.
            let _ = cx.containers.keep_mounts(&id, host);
        }
        let seen = Seen::of(cx, &at_start(cx, &id, host_config.as_ref()));
        Ok(StartInput { id, host_config, seen })
    }
    fn targets(input: &StartInput, cx: &Cx) -> Vec<Object> {
        let others = input.host_config.iter().flat_map(|host| authz::shared_with(cx, host));
        authz::container(cx, &input.id).into_iter().chain(others).collect()
    }
    fn exposure(input: &StartInput, cx: &Cx) -> Option<Exposure> {
        input.seen.exposure(cx, &at_start(cx, &input.id, input.host_config.as_ref()))
    }
    fn patch(input: &mut StartInput, patches: &[Patch]) -> Result<()> {
        let none = || Error::system("container.start takes no changes without a host configuration");
        let host = input.host_config.as_mut().ok_or_else(none)?;
        patches.iter().try_for_each(|patch| narrow(host, patch))
    }
    async fn execute(cx: &Cx, input: StartInput) -> Result<NoContent> {
        let StartInput { id, host_config, seen } = input;
        cx.containers
            .start(&id, StartRequest { host_config: host_config.map(Box::new), allowed_binds: seen.allowed() })
            .await
            .map(|()| NoContent)
    }
}

/// The host configuration that is in force when a container runs: its own, or the one `given` in its place.
fn at_start(cx: &Cx, id: &str, given: Option<&HostConfig>) -> HostConfig {
    let own = || Some(cx.containers.get(id).ok()?.spec.host_config.clone());
    given.cloned().or_else(own).unwrap_or_default()
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

#[derive(Serialize)]
pub struct RestartInput {
    #[serde(flatten)]
    stop: StopInput,
    #[serde(skip)]
    seen: Seen,
}

impl Endpoint for Restart {
    const ROW: Row = Row::post("/containers/{id}/restart", "container.restart").query(HOW).refusals(&[500]);
    type Input = RestartInput;
    type Output = NoContent;

    async fn decode(cx: &Cx, rq: Request) -> Result<RestartInput> {
        let stop = StopInput::decode(&rq)?;
        let seen = Seen::of(cx, &at_start(cx, &stop.id, None));
        Ok(RestartInput { stop, seen })
    }
    fn targets(input: &RestartInput, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.stop.id)
    }
    fn exposure(input: &RestartInput, cx: &Cx) -> Option<Exposure> {
        input.seen.exposure(cx, &at_start(cx, &input.stop.id, None))
    }
    async fn execute(cx: &Cx, input: RestartInput) -> Result<NoContent> {
        let RestartInput { stop, seen } = input;
        let start = StartRequest { allowed_binds: seen.allowed(), ..StartRequest::default() };
        cx.containers.restart(&stop.id, stop.how()?, start).await.map(|()| NoContent)
    }
}
