//! Query parameters with Docker's rules.

use axum::extract::Query as Decoded;
use http::Uri;
use wharf_types::{Error, Result};

/// The decoded query; the first value of a name counts.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes the query of `uri`. What cannot be decoded is as if it were not there.
    pub fn of(uri: &Uri) -> Self {
        match uri.query() {
            None | Some("") => Self::default(),
            Some(_) => Self(Decoded::try_from_uri(uri).map(|Decoded(pairs)| pairs).unwrap_or_default()),
        }
    }

    /// A parameter; absent and empty are the same.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a repeatable parameter.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone()).collect()
    }

    /// A boolean: everything is true except absent, empty, `0`, `no`, `false` and `none`.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|v| !["", "0", "no", "false", "none"].contains(&v.trim().to_ascii_lowercase().as_str()))
    }

    /// A boolean that is true when it is absent.
    pub fn flag_or_true(&self, name: &str) -> bool {
        self.0.iter().all(|(n, _)| n != name) || self.flag(name)
    }

    /// A number.
    ///
    /// # Errors
    /// 400 with Go's words when it is none.
    pub fn integer(&self, name: &str) -> Result<Option<i64>> {
        self.text(name).map(|v| v.parse().map_err(|_| Error::invalid(format!("strconv.Atoi: parsing {v:?}: invalid syntax")))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/x?{text}").parse().unwrap())
    }

    #[test]
    fn booleans_are_true_unless_they_say_no() {
        let q = query("a=1&b=True&c=yes&d=maybe&e=0&f=No&g=%20FALSE%20&h=none&i=");
        assert!(["a", "b", "c", "d"].iter().all(|n| q.flag(n)));
        assert!(["e", "f", "g", "h", "i", "absent"].iter().all(|n| !q.flag(n)));
        assert!(q.flag_or_true("absent") && !q.flag_or_true("e") && !q.flag_or_true("i"));
    }

    #[test]
    fn values_are_decoded() {
        let q = query("t=10&name=a%2Fb+c&n=x&n=y&bad=1x");
        assert_eq!((q.integer("t").unwrap(), q.text("name")), (Some(10), Some("a/b c")));
        assert_eq!(q.all("n"), ["x", "y"]);
        assert_eq!(q.integer("bad").unwrap_err().message(), "strconv.Atoi: parsing \"1x\": invalid syntax");
        assert_eq!(query("").integer("t").unwrap(), None);
    }
}
