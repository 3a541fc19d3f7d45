//! Query parameters with Docker's rules. What a row does not declare, or not for the client's API version, is as if it were not
//! there.

use crate::contract::{Kind, Param};
use axum::extract::Query as Decoded;
use http::Uri;
use wharf_api_types::ApiVersion;
use wharf_types::{Error, Result};

/// The decoded query; the first value of a name counts.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    declared: &'static [Param],
    version: ApiVersion,
}

impl Query {
    /// Decodes the query of `uri`, of which a request of `version` may read what is `declared`. What cannot be decoded is as if it
    /// were not there.
    pub fn of(uri: &Uri, declared: &'static [Param], version: ApiVersion) -> Self {
        let pairs = match uri.query() {
            None | Some("") => Vec::new(),
            Some(_) => Decoded::try_from_uri(uri).map(|Decoded(pairs)| pairs).unwrap_or_default(),
        };
        Self { pairs, declared, version }
    }

    /// The values of a parameter of a kind.
    fn values(&self, name: &str, fits: impl Fn(Kind) -> bool) -> impl Iterator<Item = &str> {
        let param = self.declared.iter().find(|p| p.name == name && fits(p.kind));
        debug_assert!(param.is_some(), "the row does not declare the query parameter {name:?}, or as something else");
        let there = param.is_some_and(|p| p.is_in(self.version));
        self.pairs.iter().filter(move |(n, _)| there && n == name).map(|(_, v)| v.as_str())
    }

    /// A parameter; absent and empty are the same.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name, |kind| !matches!(kind, Kind::List | Kind::Words(_) | Kind::JsonList(_) | Kind::Filters(_)))
    }

    fn first(&self, name: &str, fits: impl Fn(Kind) -> bool) -> Option<&str> {
        self.values(name, fits).next().filter(|v| !v.is_empty())
    }

    /// All values of a repeatable parameter.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.values(name, |kind| matches!(kind, Kind::List | Kind::Words(_) | Kind::JsonList(_)))
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// A boolean: everything is true except absent, empty, `0`, `no`, `false` and `none`.
    pub fn flag(&self, name: &str) -> bool {
        self.flag_or(name, false)
    }

    /// A boolean that is true when it is absent.
    pub fn flag_or_true(&self, name: &str) -> bool {
        self.flag_or(name, true)
    }

    fn flag_or(&self, name: &str, absent: bool) -> bool {
        let value = self.values(name, |kind| matches!(kind, Kind::Flag)).next();
        value.map_or(absent, |v| !["", "0", "no", "false", "none"].contains(&v.trim().to_ascii_lowercase().as_str()))
    }

    /// A number.
    ///
    /// # Errors
    /// 400 with Go's words when it is none.
    pub fn integer(&self, name: &str) -> Result<Option<i64>> {
        let value = self.first(name, |kind| matches!(kind, Kind::Integer));
        value.map(|v| v.parse().map_err(|_| Error::invalid(format!("strconv.Atoi: parsing {v:?}: invalid syntax")))).transpose()
    }

    /// The `filters` parameter as it was sent, and its keys.
    pub fn filters(&self) -> (&str, &'static [&'static str]) {
        let text = self.first("filters", |kind| matches!(kind, Kind::Filters(_))).unwrap_or_default();
        let keys = self.declared.iter().find_map(|p| if let Kind::Filters(keys) = p.kind { Some(keys) } else { None });
        (text, keys.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{filters, flag, integer, list, text};

    const DECLARED: &[Param] = &[
        flag("a"),
        flag("b"),
        flag("c"),
        flag("d"),
        text("name"),
        text("new").since(41),
        text("old").until(41),
        integer("t"),
        integer("bad"),
        list("n"),
        filters(&["label"]),
    ];

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().unwrap(), DECLARED, ApiVersion::new(1, 40))
    }

    #[test]
    fn booleans_are_true_unless_they_say_no() {
        for yes in ["1", "True", "yes", "maybe"] {
            assert!(query(&format!("a={yes}")).flag("a"), "{yes}");
        }
        for no in ["0", "No", "%20FALSE%20", "none", ""] {
            assert!(!query(&format!("a={no}")).flag("a") && !query(&format!("a={no}")).flag_or_true("a"), "{no}");
        }
        assert!(!query("b=1").flag("a") && query("b=0").flag_or_true("a"));
    }

    #[test]
    fn values_are_decoded() {
        let q = query("t=10&name=a%2Fb+c&n=x&n=y&bad=1x&filters=%7B%7D");
        assert_eq!((q.integer("t").unwrap(), q.text("name")), (Some(10), Some("a/b c")));
        assert_eq!(q.all("n"), ["x", "y"]);
        assert_eq!(q.integer("bad").unwrap_err().message(), "strconv.Atoi: parsing \"1x\": invalid syntax");
        assert_eq!(query("").integer("t").unwrap(), None);
        assert_eq!(q.filters(), ("{}", ["label"].as_slice()));
    }

    #[test]
    fn parameters_of_other_versions_are_not_there() {
        let q = query("new=1&old=1");
        assert_eq!((q.text("new"), q.text("old")), (None, Some("1")));
    }

    #[test]
    #[should_panic(expected = "does not declare the query parameter \"secret\"")]
    fn what_is_not_declared_is_not_read() {
        query("secret=1").text("secret");
    }

    #[test]
    #[should_panic(expected = "\"t\", or as something else")]
    fn what_is_declared_as_a_number_is_no_flag() {
        query("t=1").flag("t");
    }
}
