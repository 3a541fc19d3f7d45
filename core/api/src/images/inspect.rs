//! `GET /images/{name}/json`.

use super::platform;
use crate::{
    Cx, authz,
    containers::inspect::ON_BUILD_LEFT_OUT,
    contract::{flag, json},
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use serde_json::Value;
use wharf_api_types::{
    ApiVersion,
    container::Config,
    image::{ImageInspect, ImageMetadata, OciPlatform, RootFs},
    inspect::GraphDriver,
};
use wharf_engine::{Images, images::Image};
use wharf_spi::authz::Object;
use wharf_types::{Error, Result, Timestamp};

/// Describes one image. There is one manifest per image here, so `manifests` adds nothing, as in Docker's own store of this kind.
pub struct Inspect;

#[derive(Serialize)]
pub struct Input {
    name: String,
    platform: Option<OciPlatform>,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Inspect {
    const ROW: Row =
        Row::get("/images/{name}/json", "image.inspect").query(&[json::<OciPlatform>("platform").since(49), flag("manifests").since(48)]);
    type Input = Input;
    type Output = Json<ImageInspect>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let platform = platform::one(&rq)?;
        if platform.is_some() && rq.query().flag("manifests") {
            return Err(Error::invalid("conflicting options: manifests and platform options cannot both be set"));
        }
        Ok(Input { name: rq.path("name")?, platform, api: rq.api() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::image(cx, &input.name)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let image = cx.images.get_for(&input.name, &platform::meant(&input.platform)?)?;
        describe(&cx.images, &image, input.api).map(Json)
    }
}

/// With the place of its layers.
pub fn describe(images: &Images, image: &Image, version: ApiVersion) -> Result<ImageInspect> {
    let mut inspect = shape(image, version)?;
    let (name, data) = images.graph_data(image);
    inspect.graph_driver = Some(GraphDriver { data, name });
    Ok(inspect)
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
        config: if version.before(50) { every_field(&serde_json::from_value(run)?, version)? } else { run },
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
        container_config: version.before(45).then(|| every_field(&Config::default(), version)).transpose()?,
    })
}

/// A container's `Config` as images showed it: no labels are null.
fn every_field(config: &Config, version: ApiVersion) -> Result<Value> {
    let mut fields = serde_json::to_value(config)?;
    let mut show_null = |name: &str| drop(fields.as_object_mut().map(|f| f.insert(name.to_owned(), Value::Null)));
    if config.labels.is_empty() {
        show_null("Labels");
    }
    if version.before(ON_BUILD_LEFT_OUT) && config.on_build.is_empty() {
        show_null("OnBuild");
    }
    Ok(fields)
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
