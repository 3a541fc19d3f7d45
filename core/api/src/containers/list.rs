//! `GET /containers/json`.

use super::{
    select::{KEYS, Selection},
    summary,
};
use crate::{
    Cx,
    authz::{Sight, of_container},
    contract::{filters, flag, integer, text},
    endpoint::{Endpoint, Row},
    filters::Filters,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::collections::HashMap;
use wharf_api_types::{ApiVersion, summary::ContainerSummary};
use wharf_engine::containers::ContainerView;
use wharf_types::{Digest, ErrorKind, Result, Timestamp};

/// Lists containers, newest first.
pub struct List;

#[derive(Serialize)]
pub struct Input {
    all: bool,
    limit: Option<usize>,
    size: bool,
    filters: Filters,
    #[serde(skip)]
    api: ApiVersion,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for List {
    const ROW: Row = Row::get("/containers/json", "container.list")
        .query(&[flag("all"), integer("limit"), flag("size"), filters(&KEYS), text("since").until(24), text("before").until(24)])
        .refusals(&[404]);
    type Input = Input;
    type Output = Json<Vec<ContainerSummary>>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let mut filters = rq.filters()?;
        for key in ["since", "before"] {
            if let Some(name) = rq.query().text(key) {
                filters.add(key, name);
            }
        }
        let limit = rq.query().integer("limit")?.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        Ok(Input { all: rq.query().flag("all"), limit, size: rq.query().flag("size"), filters, api: rq.api(), sight: cx.sight(&rq) })
    }

    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let seen = input.sight.keep(cx.containers.list(), of_container).await;
        let selection = Selection::resolve(input.filters, input.all, &seen, &cx.containers, &cx.images)?;
        let selected = selection.apply(seen, input.limit);
        summaries(cx, selected, input.size, input.api).await.map(Json)
    }
}

/// The summaries of these containers.
pub async fn summaries(cx: &Cx, selected: Vec<ContainerView>, size: bool, api: ApiVersion) -> Result<Vec<ContainerSummary>> {
    let at = summary::Glance { now: Timestamp::now(), bridge: cx.containers.bridge_id(), version: api };
    // Many containers share few images.
    let mut current: HashMap<String, Option<Digest>> = HashMap::new();
    let mut list = Vec::with_capacity(selected.len());
    for view in selected {
        let sizes = match size {
            false => None,
            true => match cx.containers.sizes(view.id()).await {
                Ok(sizes) => Some(sizes),
                Err(e) if e.kind() == ErrorKind::NotFound => continue, // removed meanwhile
                Err(e) => return Err(e),
            },
        };
        let name = &view.spec.config.image;
        let id = match current.get(name) {
            Some(id) => id,
            None => current.entry(name.clone()).or_insert(cx.images.get(name).ok().map(|i| i.id.clone())),
        };
        // The name as given, unless it means another image by now.
        let image = if id.as_ref() == Some(&view.spec.image) { name.clone() } else { view.spec.image.to_string() };
        list.push(summary::shape(&view, &at, image, sizes));
    }
    Ok(list)
}
