//! `GET /images/json`.

use super::select::{KEYS, Selection, created, is_intermediate};
use crate::{
    Cx,
    authz::{Sight, of_container, of_image},
    contract::{filters, flag, text},
    endpoint::{Endpoint, Row},
    filters::Filters,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use wharf_api_types::{ApiVersion, image::ImageSummary};
use wharf_engine::{containers::ContainerView, images::Image};
use wharf_types::{Digest, Error, Result, Timestamp};

/// Lists images, newest first. `manifests` and `identity` are of stores with several manifests per image; in this one they add
/// nothing, as in Docker's own store of this kind. `RepoDigests` come with and without `digests`.
pub struct List;

#[derive(Serialize)]
pub struct Input {
    all: bool,
    shared_size: bool,
    filters: Filters,
    #[serde(skip)]
    api: ApiVersion,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for List {
    const ROW: Row = Row::get("/images/json", "image.list")
        .query(&[
            flag("all"),
            filters(&KEYS),
            flag("shared-size").since(42),
            flag("manifests").since(47),
            flag("identity").since(54),
            text("filter").until(41),
        ])
        .refusals(&[404]);
    type Input = Input;
    type Output = Json<Vec<ImageSummary>>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let (query, api) = (rq.query(), rq.api());
        if query.flag("identity") && !query.flag("manifests") {
            return Err(Error::invalid("conflicting options: identity requires manifests"));
        }
        let mut filters = rq.filters()?;
        if let Some(pattern) = query.text("filter") {
            filters.add("reference", pattern);
        }
        Ok(Input { all: query.flag("all"), shared_size: query.flag("shared-size"), filters, api, sight: cx.sight(&rq) })
    }

    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { all, shared_size, filters, api, sight } = input;
        let images = sight.keep(cx.images.list(), |image| of_image(image)).await;
        let selection = Selection::resolve(filters, &cx.images, &images, Timestamp::now())?;
        let users = match api.since(51) {
            true => Some(users(&sight.keep(cx.containers.list(), of_container).await)),
            false => None,
        };
        Ok(Json(Summaries { all, shared_size, users, api }.of(images, &selection)))
    }
}

/// These images but intermediate ones, with what `/system/df` tells of them.
pub fn in_use(images: Vec<Arc<Image>>, containers: &[ContainerView], api: ApiVersion) -> Result<Vec<ImageSummary>> {
    let summaries = Summaries { all: false, shared_size: true, users: Some(users(containers)), api };
    Ok(summaries.of(images, &Selection::checked(Filters::default(), Timestamp::now())?))
}

/// What is told of images.
struct Summaries {
    all: bool,
    shared_size: bool,
    users: Option<HashMap<Digest, i64>>,
    api: ApiVersion,
}

impl Summaries {
    fn of(&self, mut images: Vec<Arc<Image>>, selection: &Selection) -> Vec<ImageSummary> {
        images.sort_by_key(|i| std::cmp::Reverse(created(i)));
        let parents: HashSet<_> = images.iter().filter_map(|i| i.parent.clone()).collect();
        let shared = if self.shared_size { shared_chains(&images) } else { HashSet::new() };
        let selected = images.iter().filter(|i| self.all || !is_intermediate(i, &parents));
        let list = selected.filter_map(|image| {
            let mut summary = shape(image, selection.names(image)?, self.api);
            if let Some(users) = &self.users {
                summary.containers = users.get(&image.id).copied().unwrap_or(0);
            }
            if self.shared_size {
                summary.shared_size = shared_size(image, &shared).cast_signed();
            }
            Some(summary)
        });
        list.collect()
    }
}

/// How many of these containers each image has.
fn users(containers: &[ContainerView]) -> HashMap<Digest, i64> {
    let mut users = HashMap::new();
    for container in containers {
        *users.entry(container.spec.image.clone()).or_default() += 1;
    }
    users
}

/// The chains of layers that more than one image has.
fn shared_chains(images: &[Arc<Image>]) -> HashSet<Digest> {
    let mut seen = HashSet::new();
    let chains = images.iter().flat_map(|i| i.chain_ids());
    chains.filter(|chain| !seen.insert(chain.clone())).collect()
}

fn shared_size(image: &Image, shared: &HashSet<Digest>) -> u64 {
    let layers = image.chain_ids().into_iter().zip(&image.layers);
    layers.filter(|(chain, _)| shared.contains(chain)).map(|(_, layer)| layer.size).sum()
}

fn shape(image: &Image, (mut tags, mut digests): (Vec<String>, Vec<String>), version: ApiVersion) -> ImageSummary {
    if version.before(43) && tags.is_empty() && digests.is_empty() {
        (tags, digests) = (vec!["<none>:<none>".to_owned()], vec!["<none>@<none>".to_owned()]);
    }
    ImageSummary {
        containers: -1,
        created: image.created.map_or(0, Timestamp::seconds),
        id: image.id.to_string(),
        labels: image.config.config.labels.clone(),
        parent_id: image.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        repo_digests: digests,
        repo_tags: tags,
        shared_size: -1,
        size: image.size.cast_signed(),
        virtual_size: version.before(44).then_some(image.size.cast_signed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::image;

    #[test]
    fn image_summary_shapes() {
        let at = |tags: &[&str], minor| {
            let tags = tags.iter().map(|t| (*t).to_owned()).collect();
            shape(&image(&[]), (tags, Vec::new()), ApiVersion::new(1, minor))
        };
        insta::assert_json_snapshot!(at(&["busybox:1"], 44));
        let old = at(&[], 42);
        assert_eq!((old.repo_tags[0].as_str(), old.repo_digests[0].as_str()), ("<none>:<none>", "<none>@<none>"));
        assert_eq!((old.virtual_size, at(&[], 43).repo_tags.len()), (Some(100), 0));
    }

    #[test]
    fn shared_layers_are_those_of_several_images() {
        let (one, two) = (Arc::new(image(&["a:1"])), Arc::new(image(&["a:2"])));
        assert_eq!(shared_size(&one, &shared_chains(std::slice::from_ref(&one))), 0);
        assert_eq!(shared_size(&one, &shared_chains(&[one.clone(), two])), 100);
    }
}
