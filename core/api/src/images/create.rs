//! `POST /images/create`: import a root file system. (Pulling uses the same row.)

use crate::{
    Cx, authz,
    contract::{Answer, list, text},
    endpoint::{Endpoint, Row},
    reply::{JSON, Response, streaming},
    request::Request,
    stream::progress,
};
use futures_util::{future::ready, stream};
use serde::Serialize;
use tokio::io::AsyncRead;
use wharf_api_types::image::Progress;
use wharf_engine::images::ImportRequest;
use wharf_spi::authz::Object;
use wharf_types::{Error, Reference, Result};

/// Makes an image of an archive.
pub struct Create;

#[derive(Serialize)]
pub struct Input {
    reference: Option<String>,
    message: String,
    changes: Vec<String>,
    platform: Option<String>,
    #[serde(skip)]
    archive: Box<dyn AsyncRead + Send + Unpin>,
}

impl Endpoint for Create {
    const ROW: Row = Row::post("/images/create", "image.create")
        .query(&[
            text("fromImage"),
            text("fromSrc"),
            text("repo"),
            text("tag"),
            text("message"),
            list("changes"),
            text("platform").since(32),
        ])
        .archive()
        .answers(&[Answer::lines::<Progress>(&[JSON])])
        .refusals(&[404, 409, 501]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let query = rq.query();
        let text = |name| query.text(name).map(str::to_owned);
        if let Some(image) = query.text("fromImage") {
            let name = authz::join(image, query.text("tag"));
            let name = name.parse::<Reference>().map_or(name, |familiar| familiar.to_string());
            return Err(Error::not_implemented(format!("pulling from a registry is not supported yet: {name}")));
        }
        match query.text("fromSrc") {
            Some("-") => {}
            Some(url) => return Err(Error::not_implemented(format!("importing from a URL is not supported yet: {url}"))),
            None => return Err(Error::invalid("one of fromImage and fromSrc must be given")),
        }
        Ok(Input {
            reference: query.text("repo").map(|repo| authz::join(repo, query.text("tag"))),
            message: text("message").unwrap_or_default(),
            changes: query.all("changes"),
            platform: text("platform"),
            archive: Box::new(rq.into_reader()),
        })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        let name = input.reference.as_deref().and_then(|name| name.parse::<Reference>().ok());
        name.map(|name| authz::new_image(cx, &name.or_latest())).into_iter().collect()
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let Input { reference, message, changes, platform, archive } = input;
        let image = cx.images.import(archive, ImportRequest { reference, message, changes, platform }).await?;
        let done = Progress { status: image.id.to_string(), ..Progress::default() };
        Ok(streaming(JSON, progress(stream::once(ready(Ok(done))))))
    }
}
