//! `DELETE /images/{name}`.

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::image::ImageDelete;
use wharf_engine::images::Removed;
use wharf_spi::authz::Target;
use wharf_types::{Error, Result};

/// Removes a reference, and the image with its last one.
pub struct Remove;

#[derive(Serialize)]
pub struct Input {
    name: String,
    force: bool,
    noprune: bool,
}

impl Endpoint for Remove {
    const ROW: Row = Row::delete("/images/{name}", "image.remove");
    type Input = Input;
    type Output = Json<Vec<ImageDelete>>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        if let Some(platforms) = rq.query().text("platforms").filter(|_| rq.api().since(50)) {
            return Err(Error::not_implemented(format!("removing single platforms of an image is not supported yet: {platforms}")));
        }
        Ok(Input { name: rq.path("name")?, force: rq.query().flag("force"), noprune: rq.query().flag("noprune") })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Target> {
        authz::image(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let removed = cx.images.remove(&input.name, input.force, input.noprune).await?;
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
