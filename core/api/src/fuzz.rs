//! Doors for the fuzz targets (`tests/fuzz`); compiled only for them.

use crate::{
    contract::{Param, filters, flag, integer, list, text},
    query::Query,
};
use http::Uri;
use wharf_api_types::ApiVersion;

pub use crate::{
    containers::defaults::apply as create_defaults,
    filters::Filters,
    normalize::{Folding, split_version},
};

/// Reads a query string by all kinds of parameters; returns its filters.
pub fn read_query(uri: &Uri) -> String {
    const PARAMS: &[Param] = &[flag("all"), text("t"), integer("limit"), list("names"), filters(&["label"])];
    let query = Query::of(uri, PARAMS, ApiVersion::new(1, 48));
    let _ = (query.flag("all"), query.flag_or_true("all"), query.text("t"), query.integer("limit"), query.all("names"));
    query.filters().0.to_owned()
}
