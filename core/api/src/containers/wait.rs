//! `POST /containers/{id}/wait`.
//!
//! From 1.30 on the headers go out before the wait begins: the CLI sends this request before `start` and holds `start` back
//! until it has them, so that the wait is registered by then.

use crate::{
    Cx, authz,
    contract::{Answer, word},
    endpoint::{Endpoint, Row},
    reply::{IntoReply as _, JSON, Json, Response, streaming},
    request::Request,
    stream::{body, line},
};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Serialize;
use wharf_api_types::{
    ApiVersion,
    inspect::{WaitError, WaitResponse},
};
use wharf_engine::containers::{WaitCondition, WaitOutcome};
use wharf_spi::authz::Object;
use wharf_types::{Error, Result};

/// Waits for a container.
pub struct Wait;

#[derive(Serialize)]
pub struct Input {
    id: String,
    condition: String,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Wait {
    const ROW: Row = Row::post("/containers/{id}/wait", "container.wait")
        .query(&[word("condition", &["not-running", "next-exit", "removed"]).since(30)])
        .answers(&[Answer::json::<WaitResponse>(200)]);
    const OUTLIVES_CLIENT: bool = false;
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let condition = rq.query().text("condition").unwrap_or("not-running").to_owned();
        parse(&condition)?;
        Ok(Input { id: rq.path("id")?, condition, api: rq.api() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let waiter = cx.containers.wait(&input.id, parse(&input.condition)?)?;
        if input.api.before(30) {
            return Ok(Json(answer(waiter.finished().await)).into_reply());
        }
        let outcome = waiter.finished().into_stream();
        Ok(streaming(JSON, body(outcome.flat_map(move |o| stream::iter(encode(o, input.api))))))
    }
}

fn parse(condition: &str) -> Result<WaitCondition> {
    match condition {
        "not-running" => Ok(WaitCondition::NotRunning),
        "next-exit" => Ok(WaitCondition::NextExit),
        "removed" => Ok(WaitCondition::Removed),
        other => Err(Error::invalid(format!("invalid condition: {other:?}"))),
    }
}

fn answer(outcome: WaitOutcome) -> WaitResponse {
    WaitResponse { status_code: i64::from(outcome.exit_code), error: outcome.error.map(|message| WaitError { message }) }
}

/// The body; a failed removal left it empty before 1.34.
fn encode(outcome: WaitOutcome, version: ApiVersion) -> Option<Bytes> {
    if outcome.error.is_some() && version.before(34) { None } else { Some(line(&answer(outcome), "\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        let text = |outcome: WaitOutcome, minor| encode(outcome, ApiVersion::new(1, minor)).map(|b| String::from_utf8(b.to_vec()).unwrap());
        let failed = WaitOutcome { exit_code: 1, error: Some("busy".to_owned()) };
        assert_eq!(text(WaitOutcome { exit_code: 3, error: None }, 30).as_deref(), Some("{\"StatusCode\":3}\n"));
        assert_eq!(text(failed.clone(), 33), None);
        assert_eq!(text(failed, 34).as_deref(), Some("{\"StatusCode\":1,\"Error\":{\"Message\":\"busy\"}}\n"));
        assert_eq!(parse("gone").unwrap_err().message(), "invalid condition: \"gone\"");
    }
}
