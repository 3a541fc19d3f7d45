//! `GET /images/get` and `GET /images/{name}/get` (`docker save`).

use super::platform;
use crate::{
    Cx, authz,
    contract::{Answer, Param, json_list, list},
    endpoint::{Endpoint, Row},
    reply::{Response, TAR, streaming},
    request::Request,
    stream::bytes,
};
use serde::Serialize;
use wharf_api_types::image::OciPlatform;
use wharf_spi::authz::Object;
use wharf_types::Result;

const PLATFORM: Param = json_list::<OciPlatform>("platform").since(48);

/// Sends the named images as one archive.
pub struct Several;
/// Sends one image, or all tags of a name, as an archive.
pub struct One;

#[derive(Serialize)]
pub struct Input {
    names: Vec<String>,
    platforms: Vec<OciPlatform>,
}

async fn save(cx: &Cx, input: &Input) -> Result<Response> {
    Ok(streaming(TAR, bytes(cx.images.save(&input.names, &platform::meant(&input.platforms)?).await?)))
}

fn targets(names: &[String], cx: &Cx) -> Vec<Object> {
    names.iter().flat_map(|name| authz::image(cx, name)).collect()
}

impl Endpoint for Several {
    const ROW: Row =
        Row::get("/images/get", "image.save").query(&[list("names"), PLATFORM]).answers(&[Answer::bytes(&[TAR])]).refusals(&[404]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { names: rq.query().all("names"), platforms: platform::archived(&rq)? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        targets(&input.names, cx)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        save(cx, &input).await
    }
}

impl Endpoint for One {
    const ROW: Row = Row::get("/images/{name}/get", "image.save").query(&[PLATFORM]).answers(&[Answer::bytes(&[TAR])]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { names: vec![rq.path("name")?], platforms: platform::archived(&rq)? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        targets(&input.names, cx)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        save(cx, &input).await
    }
}
