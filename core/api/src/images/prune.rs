//! `POST /images/prune`.

use super::{remove, select::created};
use crate::{
    Cx,
    authz::{Sight, of_image},
    contract::filters,
    endpoint::{Endpoint, Row},
    filters::Filters,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::collections::HashSet;
use wharf_api_types::image::ImagePrune;
use wharf_types::{Result, Timestamp};

/// Removes unused images.
pub struct Prune;

#[derive(Serialize)]
pub struct Input {
    filters: Filters,
    dangling_only: bool,
    until: Option<Timestamp>,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for Prune {
    const ROW: Row = Row::post("/images/prune", "image.prune").since(25).query(&[filters(&["dangling", "label", "label!", "until"])]);
    type Input = Input;
    type Output = Json<ImagePrune>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let filters = rq.filters()?;
        let dangling_only = filters.flag("dangling")?.unwrap_or(true);
        let until = filters.until(Timestamp::now())?;
        Ok(Input { filters, dangling_only, until, sight: cx.sight(&rq) })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { filters, dangling_only, until, sight } = input;
        let seen: HashSet<_> = sight.keep(cx.images.list(), |image| of_image(image)).await.into_iter().map(|i| i.id.clone()).collect();
        let select = move |image: &wharf_images::Image| {
            let labels = image.config.config.labels.clone().unwrap_or_default();
            seen.contains(&image.id) && until.is_none_or(|t| created(image) <= t) && filters.prune_labels(&labels)
        };
        let pruned = cx.images.prune(dangling_only, select).await?;
        let deleted: Vec<_> = pruned.removed.into_iter().map(remove::line).collect();
        Ok(Json(ImagePrune { images_deleted: (!deleted.is_empty()).then_some(deleted), space_reclaimed: pruned.reclaimed }))
    }
}
