//! One JSON document: a body of some type, the version of the format, and whatever fields this version does not know.

use crate::atomic::{Durability, write_atomic};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{io, path::Path};
use wharf_types::{Error, Result, error::Context};

/// The format that this version writes. It reads this one and the one before.
pub const SCHEMA_VERSION: u64 = 1;
const VERSION_FIELD: &str = "schema_version";

/// A document in memory. Fields that `T` does not know are kept and written back, so an older Wharf does not destroy what a newer
/// one noted. (`T` is read from its own object and not by `serde(flatten)`, which would refuse raw values and numeric map keys.)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc<T> {
    /// What the document says.
    pub body: T,
    pub(crate) extra: Map<String, Value>,
}

impl<T: Serialize + DeserializeOwned> Doc<T> {
    /// A new document.
    pub fn new(body: T) -> Self {
        Self { body, extra: Map::new() }
    }

    /// Reads the JSON text of a document.
    ///
    /// # Errors
    /// When the text is no JSON object, its version is newer than this program, or the body does not fit `T`.
    pub fn decode(text: &[u8]) -> Result<Self> {
        let mut fields: Map<String, Value> = serde_json::from_slice(text)?;
        match fields.remove(VERSION_FIELD) {
            None => {}
            Some(v) if v.as_u64().is_some_and(|n| n <= SCHEMA_VERSION) => {}
            Some(v) => return Err(Error::system(format!("{VERSION_FIELD} is {v}; this version of Wharf reads up to {SCHEMA_VERSION}"))),
        }
        let body: T = serde_json::from_value(Value::Object(fields.clone()))?;
        let known = object(&body)?;
        fields.retain(|key, _| !known.contains_key(key));
        Ok(Self { body, extra: fields })
    }

    /// The JSON text, one field per line for readers with an editor.
    ///
    /// # Errors
    /// When `T` does not serialise to a JSON object.
    pub fn encode(&self) -> Result<Vec<u8>> {
        encode(&self.body, &self.extra)
    }

    /// Reads the document at `path`; `None` when there is none.
    ///
    /// # Errors
    /// As [`Doc::decode`], and when the file cannot be read; the message names the file.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(text) => Self::decode(&text).map(Some).map_err(|e| e.context(path.display())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).context(format_args!("read {}", path.display())),
        }
    }

    /// Replaces the document at `path`.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn write(&self, path: &Path, durability: Durability) -> Result<()> {
        write_atomic(path, &self.encode()?, durability)
    }
}

pub(crate) fn encode<T: Serialize>(body: &T, extra: &Map<String, Value>) -> Result<Vec<u8>> {
    let mut all = Map::new();
    all.insert(VERSION_FIELD.to_owned(), SCHEMA_VERSION.into());
    all.extend(object(body)?);
    for (key, value) in extra {
        all.entry(key.as_str()).or_insert_with(|| value.clone());
    }
    let mut text = serde_json::to_vec_pretty(&all)?;
    text.push(b'\n');
    Ok(text)
}

fn object<T: Serialize>(body: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(body)? {
        Value::Object(map) => Ok(map),
        _ => Err(Error::system("a document's body must be a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Body {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(default)]
        ports: BTreeMap<u16, String>,
    }

    #[test]
    fn unknown_fields_survive_a_change() {
        let mut doc: Doc<Body> = Doc::decode(br#"{"schema_version":1,"name":"a","note":"n","future":{"x":[1]}}"#).unwrap();
        doc.body.name = "b".into();
        doc.body.note = None;
        let text = doc.encode().unwrap();
        let back: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(back, serde_json::json!({"schema_version":1,"name":"b","ports":{},"future":{"x":[1]}}));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for bad in [&b""[..], b"{", b"[]", b"{\"name\":1}", b"{\"schema_version\":2,\"name\":\"a\"}", b"{\"schema_version\":\"x\"}"] {
            assert!(Doc::<Body>::decode(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    proptest! {
        #[test]
        fn round_trip(name in ".*", note in proptest::option::of(".*"), ports in proptest::collection::btree_map(any::<u16>(), ".*", 0..4)) {
            let doc = Doc::new(Body { name, note, ports });
            prop_assert_eq!(Doc::decode(&doc.encode().unwrap()).unwrap(), doc);
        }

        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Doc::<Body>::decode(&text);
        }
    }
}
