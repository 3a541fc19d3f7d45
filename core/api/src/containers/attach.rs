//! `POST /containers/{id}/attach`.

use crate::{
    Cx, authz,
    contract::{Answer, Param, flag, text},
    detach::{self, Scanner},
    endpoint::{Endpoint, Row},
    hijack::{Client, Hijack, Input as Stdin, Streams},
    request::Request,
    stream::{STREAM, content_type},
};
use futures_util::future::BoxFuture;
use serde::Serialize;
use wharf_api_types::ApiVersion;
use wharf_engine::containers::{AttachOptions, AttachedIo};
use wharf_spi::authz::Object;
use wharf_types::Result;

/// What can be attached to.
pub(super) const STREAMS: &[Param] = &[flag("stdin"), flag("stdout"), flag("stderr"), flag("logs"), flag("stream"), text("detachKeys")];

/// Connects a client to a container's streams, also before it starts.
pub struct Attach;

#[derive(Serialize)]
pub struct Input {
    id: String,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    logs: bool,
    stream: bool,
    detach_keys: Vec<u8>,
    #[serde(skip)]
    api: ApiVersion,
    #[serde(skip)]
    client: Client,
}

impl Endpoint for Attach {
    const ROW: Row = Row::post("/containers/{id}/attach", "container.attach")
        .query(STREAMS)
        .answers(&[Answer::bytes(STREAM), Answer::empty(101)])
        .refusals(&[409]);
    type Input = Input;
    type Output = Hijack;

    async fn decode(_: &Cx, mut rq: Request) -> Result<Input> {
        let client = rq.client();
        let query = rq.query();
        let flag = |name| query.flag(name);
        Ok(Input {
            id: rq.path("id")?,
            // A client without upgrade has nothing to say.
            stdin: flag("stdin") && client.can_write(),
            stdout: flag("stdout"),
            stderr: flag("stderr"),
            logs: flag("logs"),
            stream: flag("stream"),
            detach_keys: detach::parse(query.text("detachKeys").unwrap_or_default())?,
            api: rq.api(),
            client,
        })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Hijack> {
        let Input { id, stdin, stdout, stderr, logs, stream, detach_keys, api, client } = input;
        let Joined { tty, input, open } = join(cx, &id, AttachOptions { stdin, stdout, stderr, logs, stream }, detach_keys).await?;
        Ok(Hijack { client, content_type: content_type(api, tty), bare: true, tty, input, open })
    }
}

/// A container's side of an attach, however the client's bytes come.
pub(super) struct Joined {
    pub tty: bool,
    pub input: Stdin,
    pub open: BoxFuture<'static, Result<Streams>>,
}

/// Attaches; the keys count on a terminal only.
pub(super) async fn join(cx: &Cx, id: &str, how: AttachOptions, keys: Vec<u8>) -> Result<Joined> {
    let attachment = cx.containers.attach(id, how).await?;
    let (tty, id, containers) = (attachment.tty, attachment.id.clone(), cx.containers.clone());
    let input = match (how.stdin, tty) {
        (false, _) => Stdin::Ignore,
        (true, false) => Stdin::Pass,
        (true, true) => Stdin::Until(Scanner::new(keys), Box::new(move || containers.detached(&id))),
    };
    let open = Box::pin(async move {
        let AttachedIo { replay, live } = attachment.open().await?;
        Ok(Streams { replay, live })
    });
    Ok(Joined { tty, input, open })
}
