//! The `filters` parameter: parsed from both of its forms, checked, and matched.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use wharf_types::{Error, Result, Timestamp};

/// Values by key. Several values of a key are alternatives, except of `label`, where all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads `{"key":{"value":true}}` and the older `{"key":["value"]}`; empty text is no filter.
    ///
    /// # Errors
    /// 400 `invalid filter`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::invalid("invalid filter");
        if text.is_empty() {
            return Ok(Self::default());
        }
        let keys: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|_| invalid())?;
        let values = |value: Value| match value {
            Value::Object(set) => set.into_iter().map(|(v, on)| on.as_bool().map(|on| (v, on))).collect::<Option<Vec<_>>>(),
            Value::Array(list) => list.into_iter().map(|v| Some((v.as_str()?.to_owned(), true))).collect(),
            Value::Null => Some(Vec::new()),
            _ => None,
        };
        let parsed = keys.into_iter().map(|(key, value)| {
            let on = values(value).ok_or_else(invalid)?.into_iter().filter(|(_, on)| *on).map(|(v, _)| v);
            Ok((key, on.collect()))
        });
        parsed.collect::<Result<_>>().map(Self)
    }

    /// Checks the keys.
    ///
    /// # Errors
    /// 400 `invalid filter 'key'`.
    pub fn accept(&self, accepted: &[&str]) -> Result<()> {
        match self.0.keys().find(|k| !accepted.contains(&k.as_str())) {
            Some(key) => Err(Error::invalid(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// Adds a value, for query parameters that became filters.
    pub fn add(&mut self, key: &str, value: &str) {
        self.0.entry(key.to_owned()).or_default().push(value.to_owned());
    }

    /// The values of a key.
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether the key has values.
    pub fn has(&self, key: &str) -> bool {
        !self.get(key).is_empty()
    }

    /// A boolean filter.
    ///
    /// # Errors
    /// 400 when it says neither or both.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let values = self.get(key);
        let says = |words: [&str; 2]| values.iter().any(|v| words.contains(&v.as_str()));
        match (values.is_empty(), says(["1", "true"]), says(["0", "false"])) {
            (true, ..) => Ok(None),
            (_, true, false) => Ok(Some(true)),
            (_, false, true) => Ok(Some(false)),
            _ => Err(invalid_value(key, &values.join(" "))),
        }
    }

    /// Whether `source` is among the values; true without the filter.
    pub fn exact(&self, key: &str, source: &str) -> bool {
        !self.has(key) || self.get(key).iter().any(|v| v == source)
    }

    /// Whether `source` begins with one of the values; true without the filter.
    pub fn prefix(&self, key: &str, source: &str) -> bool {
        !self.has(key) || self.get(key).iter().any(|v| source.starts_with(v.as_str()))
    }

    /// Whether all of `key`'s values (`name` or `name=value`) hold in `labels`; true without the filter.
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.get(key).iter().all(|wanted| match wanted.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|v| v == value),
            None => labels.contains_key(wanted.as_str()),
        })
    }

    /// The label rules of prune: every `label` holds, and no `label!` does.
    pub fn prune_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels("label", labels) && !(self.has("label!") && self.labels("label!", labels))
    }

    /// The moment of `until`.
    ///
    /// # Errors
    /// 400 when there are several, or it is no time.
    pub fn until(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        match self.get("until") {
            [] => Ok(None),
            [one] => Timestamp::parse_moment(one, now).map(Some),
            _ => Err(Error::invalid("more than one until filter specified")),
        }
    }
}

/// 400 for a value that its key cannot have.
pub fn invalid_value(key: &str, value: &str) -> Error {
    Error::invalid(format!("invalid filter '{key}=[{value}]'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filters(text: &str) -> Filters {
        Filters::parse(text).unwrap()
    }

    #[test]
    fn both_forms_mean_the_same() {
        assert_eq!(filters(r#"{"a":{"x":true,"y":true},"b":{"z":false}}"#).get("a"), ["x", "y"]);
        assert_eq!(filters(r#"{"a":["x","y"]}"#), filters(r#"{"a":{"x":true,"y":true}}"#));
        assert_eq!((filters(""), filters("{}")), (Filters::default(), Filters::default()));
        for bad in ["x", "[]", "1", r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":{"b":"c"}}"#, r#"{"a":"b"}"#] {
            assert_eq!(Filters::parse(bad).unwrap_err().message(), "invalid filter", "{bad}");
        }
    }

    #[test]
    fn unknown_keys_and_odd_values_are_refused() {
        assert_eq!(filters(r#"{"x":["1"]}"#).accept(&["a"]).unwrap_err().message(), "invalid filter 'x'");
        let f = filters(r#"{"t":["true"],"f":["0"],"odd":["maybe"],"both":["1","0"]}"#);
        assert_eq!((f.flag("t").unwrap(), f.flag("f").unwrap(), f.flag("none").unwrap()), (Some(true), Some(false), None));
        assert_eq!(f.flag("odd").unwrap_err().message(), "invalid filter 'odd=[maybe]'");
        assert!(f.flag("both").is_err());
        assert_eq!(filters(r#"{"until":["1","2"]}"#).until(Timestamp::ZERO).unwrap_err().message(), "more than one until filter specified");
    }

    #[test]
    fn labels_are_all_wanted_and_names_are_alternatives() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert!(filters(r#"{"label":["a=1","b"]}"#).labels("label", &labels));
        assert!(!filters(r#"{"label":["a=2","b"]}"#).labels("label", &labels));
        assert!(filters("{}").labels("label", &labels));
        assert!(!filters(r#"{"label!":["a"]}"#).prune_labels(&labels) && filters(r#"{"label!":["c"]}"#).prune_labels(&labels));
        let f = filters(r#"{"id":["ab","cd"]}"#);
        assert!(f.prefix("id", "cdef") && !f.prefix("id", "xy") && f.prefix("other", "xy"));
        assert!(f.exact("id", "ab") && !f.exact("id", "abc"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = Filters::parse(&text);
        }

        #[test]
        fn any_keys_and_values_survive(keys in proptest::collection::btree_map("\\PC{1,8}", proptest::collection::vec("\\PC{0,8}", 1..4), 0..4)) {
            let text = serde_json::to_string(&keys).unwrap();
            prop_assert_eq!(Filters::parse(&text).unwrap().0, keys);
        }
    }
}
