//! `GET /containers/{id}/attach/ws`.

use super::attach::{Joined, STREAMS, join};
use crate::{
    Cx, authz,
    contract::Answer,
    detach,
    endpoint::{Endpoint, Row},
    request::Request,
    websocket::{Handshake, Websocket},
};
use serde::Serialize;
use wharf_engine::containers::AttachOptions;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Connects a websocket to a container's streams.
pub struct AttachWs;

#[derive(Serialize)]
pub struct Input {
    id: String,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    logs: bool,
    stream: bool,
    detach_keys: Vec<u8>,
    binary: bool,
    #[serde(skip)]
    handshake: Handshake,
}

impl Endpoint for AttachWs {
    const ROW: Row =
        Row::get("/containers/{id}/attach/ws", "container.attach_websocket").query(STREAMS).answers(&[Answer::empty(101)]).refusals(&[409]);
    /// It writes to the container; and a reply that was begun must be served.
    const OUTLIVES_CLIENT: bool = true;
    type Input = Input;
    type Output = Websocket;

    async fn decode(_: &Cx, mut rq: Request) -> Result<Input> {
        let handshake = Handshake::of(&mut rq)?;
        let (query, api) = (rq.query(), rq.api());
        // Older clients were attached to everything.
        let stream_flag = |name| api.before(42) || query.flag(name);
        Ok(Input {
            id: rq.path("id")?,
            stdin: stream_flag("stdin"),
            stdout: stream_flag("stdout"),
            stderr: stream_flag("stderr"),
            logs: query.flag("logs"),
            stream: query.flag("stream"),
            detach_keys: detach::parse(query.text("detachKeys").unwrap_or_default())?,
            binary: api.since(28),
            handshake,
        })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Websocket> {
        let Input { id, stdin, stdout, stderr, logs, stream, detach_keys, binary, handshake } = input;
        let Joined { tty, input, open } = join(cx, &id, AttachOptions { stdin, stdout, stderr, logs, stream }, detach_keys).await?;
        Ok(Websocket { handshake, binary, tty, input, open })
    }
}
