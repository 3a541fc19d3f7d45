//! `GET /images/{name}/json`.

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::{
    ApiVersion,
    container::Config,
    image::{ImageInspect, ImageMetadata, ImageRunConfig, RootFs},
    inspect::GraphDriver,
};
use wharf_engine::images::Image;
use wharf_spi::authz::Target;
use wharf_types::{Error, Result, Timestamp};

/// Describes one image.
pub struct Inspect;

#[derive(Serialize)]
pub struct Input {
    name: String,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Inspect {
    const ROW: Row = Row::get("/images/{name}/json", "image.inspect");
    type Input = Input;
    type Output = Json<ImageInspect>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        if let Some(platform) = rq.query().text("platform").filter(|_| rq.api().since(49)) {
            return Err(Error::not_implemented(format!("inspecting one platform of an image is not supported yet: {platform}")));
        }
        Ok(Input { name: rq.path("name")?, api: rq.api() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Target> {
        authz::image(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let image = cx.images.get(&input.name)?;
        let mut inspect = shape(&image, input.api)?;
        let (name, data) = cx.images.graph_data(&image);
        inspect.graph_driver = Some(GraphDriver { data, name });
        Ok(Json(inspect))
    }
}

fn shape(image: &Image, version: ApiVersion) -> Result<ImageInspect> {
    // Empty texts are left out from 1.52 on.
    let text = |t: &str| (!t.is_empty() || version.before(52)).then(|| t.to_owned());
    let parent = image.parent.as_ref().map(ToString::to_string).unwrap_or_default();
    let created = image.created.or(version.before(44).then_some(Timestamp::ZERO));
    let run = serde_json::to_value(&image.config.config)?;
    Ok(ImageInspect {
        id: image.id.to_string(),
        repo_tags: image.tags.iter().map(ToString::to_string).collect(),
        repo_digests: image.digests.iter().map(ToString::to_string).collect(),
        parent: text(&parent),
        comment: text(image.comment()),
        created: created.map(|t| t.to_string()),
        docker_version: text(""),
        author: text(&image.config.author),
        config: if version.before(50) { ImageRunConfig::Full(serde_json::from_value(run)?) } else { ImageRunConfig::Oci(run) },
        architecture: image.config.architecture.clone(),
        variant: image.config.variant.clone(),
        os: image.os().to_owned(),
        os_version: image.config.os_version.clone(),
        size: image.size.cast_signed(),
        graph_driver: None,
        root_fs: RootFs {
            kind: image.config.rootfs.kind.clone(),
            layers: image.config.rootfs.diff_ids.iter().map(ToString::to_string).collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: image.last_tagged.or(version.before(44).then_some(Timestamp::ZERO)).map(|t| t.to_string()),
        },
        virtual_size: version.before(44).then_some(image.size.cast_signed()),
        container: version.before(45).then(String::new),
        container_config: version.before(45).then(Config::default),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::image;

    #[test]
    fn image_inspect_shapes() {
        let at = |minor| shape(&image(&["busybox:1"]), ApiVersion::new(1, minor)).unwrap();
        insta::assert_json_snapshot!("image_inspect_1_52", at(52));
        insta::assert_json_snapshot!("image_inspect_1_41", at(41));
    }
}
