//! `POST /containers/prune`.

use crate::{
    Cx,
    authz::{Sight, of_container},
    contract::filters,
    endpoint::{Endpoint, Row},
    filters::Filters,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::collections::HashSet;
use wharf_api_types::inspect::PruneResponse;
use wharf_engine::containers::ContainerView;
use wharf_types::{Result, Timestamp};

/// Removes stopped containers.
pub struct Prune;

#[derive(Serialize)]
pub struct Input {
    filters: Filters,
    until: Option<Timestamp>,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for Prune {
    const ROW: Row = Row::post("/containers/prune", "container.prune").since(25).query(&[filters(&["label", "label!", "until"])]);
    type Input = Input;
    type Output = Json<PruneResponse>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let filters = rq.filters()?;
        let until = filters.until(Timestamp::now())?;
        Ok(Input { filters, until, sight: cx.sight(&rq) })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { filters, until, sight } = input;
        let seen: HashSet<_> = sight.keep(cx.containers.list(), of_container).await.into_iter().map(|c| c.id().clone()).collect();
        let meant = move |c: &ContainerView| {
            seen.contains(c.id()) && until.is_none_or(|t| c.spec.created <= t) && filters.prune_labels(&c.spec.config.labels)
        };
        let pruned = cx.containers.prune(meant).await?;
        let deleted: Vec<_> = pruned.deleted.iter().map(ToString::to_string).collect();
        Ok(Json(PruneResponse { containers_deleted: (!deleted.is_empty()).then_some(deleted), space_reclaimed: pruned.reclaimed }))
    }
}
