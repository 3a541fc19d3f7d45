//! `GET /plugins`.

use crate::{
    Cx,
    authz::Sight,
    contract::filters,
    endpoint::{Endpoint, Row},
    filters::Filters,
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::plugin::Plugin;
use wharf_engine::plugins::PluginFilter;
use wharf_spi::authz::{Object, ObjectKind};
use wharf_types::Result;

/// Lists plugins.
pub struct List;

#[derive(Serialize)]
pub struct Input {
    filters: Filters,
    #[serde(skip)]
    filter: PluginFilter,
    #[serde(skip)]
    sight: Sight,
}

impl Endpoint for List {
    const ROW: Row = Row::get("/plugins", "plugin.list").since(25).query(&[filters(&["capability", "enabled"])]);
    type Input = Input;
    type Output = Json<Vec<Plugin>>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let filters = rq.filters()?;
        let filter = PluginFilter { enabled: filters.flag("enabled")?, capabilities: filters.get("capability").to_vec() };
        Ok(Input { filters, filter, sight: cx.sight(&rq) })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let object = |plugin: &Plugin| Object { id: plugin.id.clone(), name: plugin.name.clone(), ..Object::named(ObjectKind::Plugin, "") };
        Ok(Json(input.sight.keep(cx.plugins.list(&input.filter), object).await))
    }
}
