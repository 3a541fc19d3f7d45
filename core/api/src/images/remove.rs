//! `DELETE /images/{name}`.

use super::platform;
use crate::{
    Cx,
    authz::{self, Sight, of_container},
    contract::{flag, json_list},
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::image::{ImageDelete, OciPlatform};
use wharf_engine::images::{RemoveImage, Removed};
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Removes a reference, and the image with its last one.
pub struct Remove;

#[derive(Serialize)]
pub struct Input {
    name: String,
    force: bool,
    noprune: bool,
    platforms: Vec<OciPlatform>,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for Remove {
    const ROW: Row = Row::delete("/images/{name}", "image.remove")
        .query(&[flag("force"), flag("noprune"), json_list::<OciPlatform>("platforms").since(50)])
        .refusals(&[409]);
    type Input = Input;
    type Output = Json<Vec<ImageDelete>>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let flag = |name| rq.query().flag(name);
        let platforms = platform::all(&rq, "platforms")?;
        Ok(Input { name: rq.path("name")?, force: flag("force"), noprune: flag("noprune"), platforms, sight: cx.sight(&rq) })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::image(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { name, force, noprune, platforms, sight } = input;
        let platforms = platform::meant(&platforms)?;
        let seen = match sight.is_open() {
            true => None,
            false => Some(sight.keep(cx.containers.list(), of_container).await.iter().map(|c| c.id().clone()).collect()),
        };
        let removed = cx.images.remove(&name, RemoveImage { force, noprune, platforms, seen }).await?;
        Ok(Json(removed.into_iter().map(line).collect()))
    }
}

/// One line of the answer.
pub fn line(removed: Removed) -> ImageDelete {
    match removed {
        Removed::Untagged(untagged) => ImageDelete { untagged, ..ImageDelete::default() },
        Removed::Deleted(id) => ImageDelete { deleted: id.to_string(), ..ImageDelete::default() },
    }
}
