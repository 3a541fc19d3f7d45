//! `GET /containers/{id}/logs`.

use crate::{
    Cx, authz,
    contract::{Answer, flag, text},
    endpoint::{Endpoint, Row},
    reply::{Response, streaming},
    request::Request,
    stream::{Channel, STREAM, body, content_type, message},
};
use futures_util::StreamExt as _;
use serde::Serialize;
use wharf_api_types::ApiVersion;
use wharf_engine::containers::LogRequest;
use wharf_spi::authz::Object;
use wharf_types::{Error, Result, Timestamp};

/// Reads a container's log.
pub struct Logs;

#[derive(Serialize)]
pub struct Input {
    id: String,
    stdout: bool,
    stderr: bool,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    tail: Option<u64>,
    follow: bool,
    timestamps: bool,
    details: bool,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Logs {
    const ROW: Row = Row::get("/containers/{id}/logs", "container.logs")
        .query(&[
            flag("stdout"),
            flag("stderr"),
            flag("follow"),
            flag("timestamps"),
            flag("details"),
            text("since"),
            text("until").since(35),
            text("tail"),
            text("format").since(54),
        ])
        .answers(&[Answer::bytes(STREAM)])
        .refusals(&[501]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let (query, api) = (rq.query(), rq.api());
        let flag = |name| query.flag(name);
        if !flag("stdout") && !flag("stderr") {
            return Err(Error::invalid("must specify at least one of 'stdout' or 'stderr'"));
        }
        if let Some(format) = query.text("format") {
            return Err(Error::not_implemented(format!("logs in another format than text are not supported: {format}")));
        }
        let now = Timestamp::now();
        // Clients send 0 for "no bound".
        let moment = |name| query.text(name).filter(|t| *t != "0").map(|t| Timestamp::parse_moment(t, now)).transpose();
        Ok(Input {
            id: rq.path("id")?,
            stdout: flag("stdout"),
            stderr: flag("stderr"),
            since: moment("since")?,
            until: moment("until")?,
            // `all`, and everything else that is no number, means all.
            tail: query.text("tail").and_then(|t| t.parse().ok()),
            follow: flag("follow"),
            timestamps: flag("timestamps"),
            details: flag("details"),
            api,
        })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let Input { id, stdout, stderr, since, until, tail, follow, timestamps, details, api } = input;
        let rq = LogRequest { stdout, stderr, since, until, tail, follow, timestamps, details };
        let output = cx.containers.logs(&id, rq).await?;
        let tty = output.tty;
        let failed = move |e: Error| message(Channel::System, tty, &format!("Error grabbing logs: {e}\n"));
        Ok(streaming(content_type(api, tty), body(output.stream.map(move |chunk| chunk.unwrap_or_else(failed)))))
    }
}
