//! `GET /system/df`.

use crate::{
    Cx,
    authz::{Sight, of_container},
    containers::{list as containers, select::Selection as Everything},
    contract::{flag, words},
    endpoint::{Endpoint, Row},
    filters::Filters,
    images::list as images,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::collections::HashSet;
use wharf_api_types::{
    ApiVersion,
    image::ImageSummary,
    summary::ContainerSummary,
    system::{DiskUsage, Usage},
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
        let images = match wanted("image") {
            true => Some(images::in_use(cx, api, sight.clone()).await?),
            false => None,
        };
        let containers = match wanted("container") {
            true => {
                let seen = sight.keep(cx.containers.list(), of_container).await;
                let all = Everything::resolve(Filters::default(), true, &seen, &cx.containers, &cx.images)?.apply(seen, None);
                Some(containers::summaries(cx, all, true, api).await?)
            }
            false => None,
        };
        let layers = cx.images.layer_sizes().values().sum();
        let none = |kind: &str| wanted(kind).then(Vec::new);
        if api.before(52) {
            return Ok(Json(DiskUsage {
                layers_size: Some(if images.is_some() { layers } else { 0 }),
                images: Some(images),
                containers: Some(containers),
                volumes: Some(none("volume")),
                build_cache: Some(none("build-cache")),
                builder_size: api.before(42).then_some(0),
                ..DiskUsage::default()
            }));
        }
        Ok(Json(DiskUsage {
            image_usage: images.map(|all| image_usage(cx, all, layers, verbose)),
            container_usage: containers.map(|all| container_usage(all, verbose)),
            volume_usage: none("volume").map(|_| Usage::default()),
            build_cache_usage: none("build-cache").map(|_| Usage::default()),
            ..DiskUsage::default()
        }))
    }
}

fn image_usage(cx: &Cx, all: Vec<ImageSummary>, layers: u64, verbose: bool) -> Usage<ImageSummary> {
    let users: HashSet<Digest> = cx.containers.list().into_iter().map(|c| c.spec.image.clone()).collect();
    let used: HashSet<Digest> = cx.images.list().iter().filter(|i| users.contains(&i.id)).flat_map(|i| i.chain_ids()).collect();
    let held: u64 = cx.images.layer_sizes().iter().filter(|(chain, _)| used.contains(chain)).map(|(_, size)| size).sum();
    Usage {
        active_count: all.iter().filter(|i| i.containers > 0).count(),
        total_count: all.len(),
        reclaimable: layers.saturating_sub(held),
        total_size: layers,
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
