//! Which API versions are served, and the words for those that are not.

use crate::endpoint::Row;
use http::Uri;
use wharf_api_types::{ApiVersion, MAX_API_VERSION};
use wharf_types::{Error, Result};

/// Reads the digits and dots of `/vX.Y/`. Clients sent `v1` and `v1.24.1` too, so parts are compared as far as they go.
pub fn lenient(text: &str) -> ApiVersion {
    let mut parts = text.split('.').map(|p| p.parse().unwrap_or(if p.is_empty() { 0 } else { u16::MAX }));
    ApiVersion::new(parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The version gate: the daemon's range first, then the row's own.
///
/// # Errors
/// 400 with the words that clients show; 404 for a row that this version has no more.
pub fn admit(min: ApiVersion, version: ApiVersion, received: &Uri, row: &Row) -> Result<()> {
    let asked = || received.path().split('/').nth(1).and_then(|v| v.strip_prefix('v')).unwrap_or_default().to_owned();
    if version < min {
        return Err(Error::invalid(format!(
            "client version {} is too old. Minimum supported API version is {min}, please upgrade your client to a newer version",
            asked()
        )));
    }
    if version > MAX_API_VERSION {
        return Err(Error::invalid(format!("client version {} is too new. Maximum supported API version is {MAX_API_VERSION}", asked())));
    }
    if version.before(row.since) {
        return Err(Error::invalid(format!("{} {} requires minimum API version 1.{}", row.verb, row.path, row.since)));
    }
    if row.until.is_some_and(|until| version.since(until)) {
        return Err(Error::not_found("page not found"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_api_types::MIN_API_VERSION;

    fn outcome(version: &str, row: &Row) -> String {
        let uri: Uri = format!("/v{version}/x").parse().unwrap();
        match admit(MIN_API_VERSION, lenient(version), &uri, row) {
            Ok(()) => "ok".to_owned(),
            Err(e) => e.message().to_owned(),
        }
    }

    #[test]
    fn gate() {
        const ROW: Row = Row::post("/x/prune", "x.prune").since(25).until(44);
        assert_eq!(
            outcome("1.18", &ROW),
            "client version 1.18 is too old. Minimum supported API version is 1.19, please upgrade your client to a newer version"
        );
        assert_eq!(outcome("1.56", &ROW), "client version 1.56 is too new. Maximum supported API version is 1.55");
        assert_eq!(outcome("1.24", &ROW), "POST /x/prune requires minimum API version 1.25");
        assert_eq!(outcome("1.44", &ROW), "page not found");
        assert_eq!((outcome("1.25", &ROW).as_str(), outcome("1.43", &ROW).as_str()), ("ok", "ok"));
        assert!(outcome("1", &ROW).starts_with("client version 1 is too old"));
        assert!(outcome("999999999.1", &ROW).contains("too new"));
    }
}
