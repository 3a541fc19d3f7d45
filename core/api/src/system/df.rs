//! `GET /system/df`.

use crate::{
    Cx,
    authz::{Sight, of_container, of_image},
    containers::{list as containers, select::Selection as Everything},
    contract::{flag, words},
    endpoint::{Endpoint, Row},
    filters::Filters,
    images::list as images,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::{collections::HashSet, sync::Arc};
use wharf_api_types::{
    ApiVersion,
    image::ImageSummary,
    summary::ContainerSummary,
    system::{DiskUsage, Usage},
};
use wharf_engine::{
    containers::ContainerView,
    images::{Image, layer_sizes},
};
use wharf_types::{Digest, Error, Result};

/// Tells what takes how much space.
pub struct Df;

/// The kinds that can be asked for.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

#[derive(Serialize)]
pub struct Input {
    kinds: Vec<String>,
    verbose: bool,
    #[serde(skip)]
    api: ApiVersion,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for Df {
    const ROW: Row = Row::get("/system/df", "system.df").since(25).query(&[words("type", &KINDS).since(42), flag("verbose").since(52)]);
    type Input = Input;
    type Output = Json<DiskUsage>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let api = rq.api();
        let mut kinds = rq.query().all("type");
        if let Some(unknown) = kinds.iter().find(|k| !KINDS.contains(&k.as_str())) {
            return Err(Error::invalid(format!("unknown object type: {unknown}")));
        }
        if kinds.is_empty() {
            kinds = KINDS.map(str::to_owned).to_vec();
        }
        Ok(Input { kinds, verbose: rq.query().flag("verbose"), api, sight: cx.sight(&rq) })
    }

    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { kinds, verbose, api, sight } = input;
        let wanted = |kind: &str| kinds.iter().any(|k| k == kind);
        let seen = sight.keep(cx.containers.list(), of_container).await;
        let (images, layers) = match wanted("image") {
            true => {
                let images = sight.keep(cx.images.list(), |image| of_image(image)).await;
                let layers = Layers::of(&images, &seen);
                (Some(images::in_use(images, &seen, api)?), layers)
            }
            false => (None, Layers::default()),
        };
        let containers = match wanted("container") {
            true => {
                let all = Everything::resolve(Filters::default(), true, &seen, &cx.containers, &cx.images)?.apply(seen, None);
                Some(containers::summaries(cx, all, true, api).await?)
            }
            false => None,
        };
        let none = |kind: &str| wanted(kind).then(Vec::new);
        if api.before(52) {
            return Ok(Json(DiskUsage {
                layers_size: Some(layers.size),
                images: Some(images),
                containers: Some(containers),
                volumes: Some(none("volume")),
                build_cache: Some(none("build-cache")),
                builder_size: api.before(42).then_some(0),
                ..DiskUsage::default()
            }));
        }
        Ok(Json(DiskUsage {
            image_usage: images.map(|all| image_usage(all, &layers, verbose)),
            container_usage: containers.map(|all| container_usage(all, verbose)),
            volume_usage: none("volume").map(|_| Usage::default()),
            build_cache_usage: none("build-cache").map(|_| Usage::default()),
            ..DiskUsage::default()
        }))
    }
}

/// The layers of images, each counted once, in bytes.
#[derive(Default)]
struct Layers {
    size: u64,
    /// Those of images that containers have.
    held: u64,
}

impl Layers {
    fn of(images: &[Arc<Image>], containers: &[ContainerView]) -> Self {
        let users: HashSet<&Digest> = containers.iter().map(|c| &c.spec.image).collect();
        let used = images.iter().filter(|image| users.contains(&image.id));
        Self { size: layer_sizes(images).values().sum(), held: layer_sizes(used).values().sum() }
    }
}

fn image_usage(all: Vec<ImageSummary>, layers: &Layers, verbose: bool) -> Usage<ImageSummary> {
    Usage {
        active_count: all.iter().filter(|i| i.containers > 0).count(),
        total_count: all.len(),
        reclaimable: layers.size - layers.held,
        total_size: layers.size,
        items: if verbose { all } else { Vec::new() },
    }
}

fn container_usage(all: Vec<ContainerSummary>, verbose: bool) -> Usage<ContainerSummary> {
    let active = |c: &&ContainerSummary| matches!(c.state.as_str(), "running" | "paused" | "restarting");
    let bytes = |c: &ContainerSummary| u64::try_from(c.size_rw).unwrap_or(0);
    let total_size = all.iter().map(bytes).sum();
    let held: u64 = all.iter().filter(active).map(bytes).sum();
    Usage {
        active_count: all.iter().filter(active).count(),
        total_count: all.len(),
        reclaimable: total_size - held,
        total_size,
        items: if verbose { all } else { Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{image, view};

    #[test]
    fn only_what_is_seen_is_counted() {
        let images = [Arc::new(image(&["busybox:1"]))];
        let told = |images: &[Arc<Image>], containers: &[ContainerView]| {
            let summaries = images::in_use(images.to_vec(), containers, ApiVersion::new(1, 52)).unwrap();
            let usage = image_usage(summaries, &Layers::of(images, containers), true);
            (usage.total_size, usage.reclaimable, usage.active_count, usage.items.iter().map(|i| i.containers).collect::<Vec<_>>())
        };
        assert_eq!(told(&images, &[view()]), (100, 0, 1, vec![1]));
        assert_eq!(told(&images, &[]), (100, 100, 0, vec![0]));
        assert_eq!(told(&[], &[view()]), (0, 0, 0, vec![]));
    }
}
