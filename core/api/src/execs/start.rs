//! `POST /exec/{id}/start`. The connection is taken over before the process runs, so a failure to run is text in the stream.

use crate::{
    Cx, authz,
    contract::Answer,
    detach::{self, Scanner},
    endpoint::{Endpoint, Row},
    hijack::{Client, Hijack, Input as Stdin, Streams},
    reply::{Empty, IntoReply as _, Response},
    request::Request,
    stream::{STREAM, content_type},
};
use serde::Serialize;
use wharf_api_types::{ApiVersion, exec::ExecStart};
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Runs an exec.
pub struct Start;

#[derive(Serialize)]
pub struct Input {
    id: String,
    #[serde(rename = "body")]
    start: ExecStart,
    #[serde(skip)]
    api: ApiVersion,
    #[serde(skip)]
    client: Client,
}

impl Endpoint for Start {
    const ROW: Row = Row::post("/exec/{id}/start", "exec.start")
        .json::<ExecStart>()
        .answers(&[Answer::bytes(STREAM), Answer::empty(101)])
        .refusals(&[409]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, mut rq: Request) -> Result<Input> {
        let (id, api, client) = (rq.path("id")?, rq.api(), rq.client());
        let mut start: ExecStart = if api.before(22) { rq.json_of_any_type().await? } else { rq.json().await? };
        if api.before(42) {
            start.console_size = None;
        }
        Ok(Input { id, start, api, client })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::exec(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let Input { id, start, api, client } = input;
        let detached = start.detach;
        let exec = cx.execs.get(&id)?;
        let prepared = cx.execs.prepare(&id, start).await?;
        if detached {
            prepared.run().await?;
            return Ok(Empty::<200>.into_reply());
        }
        let (tty, execs) = (prepared.tty, cx.execs.clone());
        let input = match (exec.config.attach_stdin, tty) {
            (false, _) => Stdin::Ignore,
            (true, false) => Stdin::Pass,
            (true, true) => {
                let keys = detach::parse(&exec.config.detach_keys)?;
                Stdin::Until(Scanner::new(keys), Box::new(move || execs.detached(&exec.id)))
            }
        };
        let open = Box::pin(async move { Ok(Streams { replay: None, live: prepared.run().await? }) });
        Ok(Hijack { client, content_type: content_type(api, tty), bare: false, tty, input, open }.into_reply())
    }
}
