//! `GET /images/get` and `GET /images/{name}/get` (`docker save`).

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::{Response, TAR, streaming},
    request::Request,
    stream::bytes,
};
use serde::Serialize;
use wharf_spi::authz::Target;
use wharf_types::{Error, Result};

/// Sends the named images as one archive.
pub struct Several;
/// Sends one image, or all tags of a name, as an archive.
pub struct One;

#[derive(Serialize)]
pub struct Input {
    names: Vec<String>,
}

fn one_platform(rq: &Request) -> Result<()> {
    match rq.query().text("platform").filter(|_| rq.api().since(48)) {
        Some(platform) => Err(Error::not_implemented(format!("saving one platform of an image is not supported yet: {platform}"))),
        None => Ok(()),
    }
}

fn targets(names: &[String], cx: &Cx) -> Vec<Target> {
    names.iter().flat_map(|name| authz::image(cx, name)).collect()
}

impl Endpoint for Several {
    const ROW: Row = Row::get("/images/get", "image.save");
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        one_platform(&rq)?;
        Ok(Input { names: rq.query().all("names") })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Target> {
        targets(&input.names, cx)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        Ok(streaming(TAR, bytes(cx.images.save(&input.names)?)))
    }
}

impl Endpoint for One {
    const ROW: Row = Row::get("/images/{name}/get", "image.save");
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        one_platform(&rq)?;
        Ok(Input { names: vec![rq.path("name")?] })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Target> {
        targets(&input.names, cx)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        Ok(streaming(TAR, bytes(cx.images.save(&input.names)?)))
    }
}
