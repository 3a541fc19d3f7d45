//! Calls of the functions that a plugin exports, as steps: a module for each kind but authorization, whose requests are in
//! [`crate::request`].
//!
//! A step's key is the kind's interface, and in it is the name of the function (`{"volume": {"create": {…}}}`); what is left out is
//! empty. Each module has such a step as a type, what the engine would remember between two calls, and the answers as JSON.

pub mod ipam;
pub mod logging;
pub mod metrics;
pub mod volume;

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The answer to what answers nothing but that it is done.
pub fn done() -> Value {
    json!("done")
}

/// Texts by their names, as an object or in an order of their own: labels, options, variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Pairs {
    /// `[["a", "b"]]`
    List(Vec<(String, String)>),
    /// `{"a": "b"}`
    Map(BTreeMap<String, String>),
}

impl Default for Pairs {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl From<Pairs> for Vec<(String, String)> {
    fn from(pairs: Pairs) -> Self {
        match pairs {
            Pairs::List(list) => list,
            Pairs::Map(map) => map.into_iter().collect(),
        }
    }
}

/// The other way round.
fn object(pairs: Vec<(String, String)>) -> Value {
    pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect::<Map<_, _>>().into()
}

/// What a call is about, and the `key` that tells it from all others: a new one unless it is given.
#[derive(Clone, Debug)]
pub struct Keyed<T> {
    key: Option<String>,
    about: T,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Keyed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(from)?;
        let key = fields.remove("key").map(serde_json::from_value).transpose().map_err(D::Error::custom)?;
        let about = serde_json::from_value(fields.into()).map_err(D::Error::custom)?;
        Ok(Self { key, about })
    }
}

/// Makes keys.
#[derive(Debug, Default)]
pub struct Keys(u64);

impl Keys {
    fn of<T>(&mut self, call: Keyed<T>) -> (String, T) {
        self.0 += 1;
        (call.key.unwrap_or_else(|| format!("call {}", self.0)), call.about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_new_unless_they_are_given() {
        let mut keys = Keys::default();
        let mut key = |text: &str| keys.of(serde_json::from_str::<Keyed<BTreeMap<String, u8>>>(text).unwrap()).0;
        let (first, second) = (key(r#"{"a":1}"#), key("{}"));
        assert_ne!(first, second);
        assert_eq!(key(r#"{"key":"mine","a":1}"#), "mine");
        assert!(serde_json::from_str::<Keyed<BTreeMap<String, u8>>>(r#"{"key":1}"#).is_err());
    }
}
