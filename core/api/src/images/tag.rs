//! `POST /images/{name}/tag`.

use crate::{
    Cx, authz,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::Empty,
    request::Request,
};
use serde::Serialize;
use wharf_spi::authz::Object;
use wharf_types::{Reference, Result};

/// Gives an image a name. A name that another image has moves, with or without the `force` of old clients.
pub struct Tag;

#[derive(Serialize)]
pub struct Input {
    name: String,
    repo: String,
    tag: String,
}

impl Endpoint for Tag {
    const ROW: Row = Row::post("/images/{name}/tag", "image.tag").query(&[text("repo").required(), text("tag")]).refusals(&[409]);
    type Input = Input;
    type Output = Empty<201>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let text = |name| rq.query().text(name).unwrap_or_default().to_owned();
        Ok(Input { name: rq.path("name")?, repo: text("repo"), tag: text("tag") })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        let name = Reference::of(&input.repo, &input.tag).ok();
        authz::image(cx, &input.name).into_iter().chain(name.map(|name| authz::new_image(cx, &name))).collect()
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        cx.images.tag(&input.name, &input.repo, &input.tag).await.map(|()| Empty)
    }
}
