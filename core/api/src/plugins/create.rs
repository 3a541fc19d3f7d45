//! `POST /plugins/create`.

use crate::{
    Cx,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::NoContent,
    request::Request,
};
use serde::Serialize;
use tokio::io::AsyncRead;
use wharf_types::Result;

/// Makes a plugin of an archive.
pub struct Create;

#[derive(Serialize)]
pub struct Input {
    name: String,
    #[serde(skip)]
    archive: Box<dyn AsyncRead + Send + Unpin>,
}

impl Endpoint for Create {
    const ROW: Row = Row::post("/plugins/create", "plugin.create").since(25).query(&[text("name").required()]).archive().refusals(&[409]);
    type Input = Input;
    type Output = NoContent;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { name: rq.query().text("name").unwrap_or_default().to_owned(), archive: Box::new(rq.into_reader()) })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<NoContent> {
        cx.plugins.create(&input.name, input.archive).await.map(|()| NoContent)
    }
}
