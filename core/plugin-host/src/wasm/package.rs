//! What is loaded, and with which settings.

use super::{clock::Clock, compile::Compiler, grant::Grants, policy::Limits};
use crate::words::cut;
use ipnet::IpNet;
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};
use wharf_spi::facts::EngineFacts;
use wharf_types::{Error, Result, error::Context};

/// What the host is made of. The directories are made when they are not there, and only the engine may write them.
#[derive(Clone)]
pub struct Settings {
    /// Compiled code; may be removed while no engine runs.
    pub cache: PathBuf,
    /// What plugins store.
    pub state: PathBuf,
    /// The operator's secrets, as files `PLUGIN/NAME`; it need not be there.
    pub secrets: PathBuf,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Networks of containers, which a plugin reaches only by an address that was granted to it.
    pub networks: Vec<IpNet>,
    /// What plugins may look at, once it is there.
    pub facts: Facts,
    /// Whose time plugins see.
    pub clock: Clock,
}

/// Set when the engine has come so far. Until then there are no objects and no events.
pub type Facts = Arc<OnceLock<Arc<dyn EngineFacts>>>;

impl Settings {
    /// Without secrets, networks and facts, and with the machine's clock; components are compiled in this process.
    pub fn new(cache: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            state: state.into(),
            secrets: PathBuf::from("/nonexistent"),
            compiler: Compiler::Here,
            networks: Vec::new(),
            facts: Facts::default(),
            clock: Clock::default(),
        }
    }
}

/// A plugin as it is to be loaded.
#[derive(Clone, Debug)]
pub struct Package {
    /// What the operator calls it.
    pub name: String,
    /// The component.
    pub wasm: Vec<u8>,
    /// `settings.schema.json` that it ships.
    pub schema: Option<Value>,
    /// What the operator set: an object, or null for nothing.
    pub settings: Value,
    /// What it may do.
    pub grants: Grants,
    /// How much it may use.
    pub limits: Limits,
}

/// Bytes of a schema.
const SCHEMA_MAX: usize = 64 << 10;
/// Values in a schema, and how deep they are in each other. Each may be a pattern.
const PARTS_MAX: usize = 2_000;
const DEPTH_MAX: usize = 32;
/// Values in a schema times values in settings, which is how often one is compared with the other.
const WORK_MAX: usize = 2 << 20;
/// Bytes of a compiled pattern.
const PATTERN_MAX: usize = 128 << 10;
/// With these, a few lines are looked at any number of times, or without end.
const REFUSED: [&str; 5] = ["$ref", "$dynamicRef", "$recursiveRef", "unevaluatedItems", "unevaluatedProperties"];
/// Wrong settings that are told.
const TOLD: usize = 20;

/// Checks settings and fills in defaults. The schema is the plugin's, so it is bounded before it is used.
#[derive(Clone)]
pub(super) struct Schema {
    text: Option<Value>,
}

impl Schema {
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when it is not a schema, or not one that is taken here.
    pub fn new(text: Option<Value>) -> Result<Self> {
        if let Some(text) = &text {
            let length = text.to_string().len();
            if length > SCHEMA_MAX || parts(text) > PARTS_MAX || !is_flat(text, DEPTH_MAX) {
                return Err(Error::invalid(format!(
                    "the plugin's settings.schema.json is larger than {SCHEMA_MAX} bytes, {PARTS_MAX} values or {DEPTH_MAX} levels"
                )));
            }
            if let Some(keyword) = refused(text) {
                return Err(Error::invalid(format!(
                    "the plugin's settings.schema.json has \"{keyword}\", which is not taken: with it a small schema can take any time to check"
                )));
            }
            validator(text).map_err(|e| Error::invalid(format!("the plugin's settings.schema.json is not a JSON Schema: {}", cut(e))))?;
        }
        Ok(Self { text })
    }

    /// The settings as the plugin sees them, one JSON object. Takes its time when there is much to compare.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] naming the settings that are wrong.
    pub fn settings(&self, given: &Value) -> Result<String> {
        let mut all = match given {
            Value::Null => Value::Object(Map::new()),
            Value::Object(_) => given.clone(),
            _ => return Err(Error::invalid("the settings of a plugin must be a JSON object")),
        };
        if let Some(schema) = &self.text {
            fill(schema, &mut all);
            if parts(schema).saturating_mul(parts(&all)) > WORK_MAX {
                return Err(Error::invalid("the settings are too many to be checked by the plugin's settings.schema.json"));
            }
            let wrong: Vec<String> = validator(schema)
                .map_err(Error::invalid)?
                .iter_errors(&all)
                .take(TOLD)
                .map(|e| match e.instance_path().to_string().trim_start_matches('/') {
                    "" => cut(e.to_string()),
                    path => cut(format!("{}: {e}", path.replace('/', "."))),
                })
                .collect();
            if !wrong.is_empty() {
                return Err(Error::invalid(format!("invalid settings: {}", wrong.join("; "))));
            }
        }
        Ok(all.to_string())
    }

    /// The same without holding up anybody.
    ///
    /// # Errors
    /// As [`Schema::settings`].
    pub async fn check(&self, given: Value) -> Result<String> {
        if self.text.is_none() {
            return self.settings(&given);
        }
        let schema = self.clone();
        tokio::task::spawn_blocking(move || schema.settings(&given)).await.context("check the settings of a plugin")?
    }
}

/// Patterns are matched in linear time: those that need more, with look-around or back-references, are no patterns here.
fn validator(schema: &Value) -> Result<Validator, String> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_MAX);
    jsonschema::options().with_pattern_options(patterns).build(schema).map_err(|e| e.to_string())
}

/// The values in a value, itself included.
fn parts(value: &Value) -> usize {
    1 + children(value).map(|(_, child)| parts(child)).sum::<usize>()
}

fn is_flat(value: &Value, levels: usize) -> bool {
    levels > 0 && children(value).all(|(_, child)| is_flat(child, levels - 1))
}

/// The first keyword that is not taken, also where it is only the name of a setting.
fn refused(value: &Value) -> Option<&str> {
    children(value).find_map(|(key, child)| key.filter(|key| REFUSED.contains(key)).or_else(|| refused(child)))
}

/// What is in a value, with the keys of an object.
fn children(value: &Value) -> Box<dyn Iterator<Item = (Option<&str>, &Value)> + '_> {
    match value {
        Value::Object(fields) => Box::new(fields.iter().map(|(key, value)| (Some(key.as_str()), value))),
        Value::Array(items) => Box::new(items.iter().map(|value| (None, value))),
        _ => Box::new(std::iter::empty()),
    }
}

/// Defaults of `properties`, also of objects in objects. Others (in `oneOf` and the like) have no clear meaning.
fn fill(schema: &Value, value: &mut Value) {
    let (Some(properties), Some(object)) = (schema.get("properties").and_then(Value::as_object), value.as_object_mut()) else { return };
    for (name, schema) in properties {
        match (object.get_mut(name), schema.get("default")) {
            (Some(present), _) => fill(schema, present),
            (None, Some(default)) => {
                let mut default = default.clone();
                fill(schema, &mut default);
                object.insert(name.clone(), default);
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_checked_and_completed() {
        let schema = Schema::new(Some(json!({
            "type": "object", "additionalProperties": false, "required": ["policy"],
            "properties": { "policy": {"type": "string"}, "cache": {"type": "object", "default": {}, "properties": {"size": {"type": "integer", "default": 10}}} }
        })))
        .unwrap();
        assert_eq!(schema.settings(&json!({"policy": "p"})).unwrap(), r#"{"policy":"p","cache":{"size":10}}"#);
        assert_eq!(schema.settings(&json!({"policy": "p", "cache": {"size": 3}})).unwrap(), r#"{"policy":"p","cache":{"size":3}}"#);
        let text = schema.settings(&json!({"policy": 1, "cache": {"size": "x"}})).unwrap_err().to_string();
        assert!(text.contains("policy: ") && text.contains("cache.size: "), "{text}");
        assert!(schema.settings(&Value::Null).unwrap_err().to_string().contains("policy"));
        assert!(schema.settings(&json!([])).is_err());
        assert!(Schema::new(Some(json!({"type": "nonsense"}))).is_err());
        assert_eq!(Schema::new(None).unwrap().settings(&Value::Null).unwrap(), "{}");
    }

    fn refusal(schema: Value) -> String {
        Schema::new(Some(schema)).err().expect("a refusal").to_string()
    }

    #[test]
    fn a_small_schema_cannot_take_any_time() {
        let mut all: Map<String, Value> = (0..60)
            .map(|n| {
                (format!("a{n}"), json!({"allOf": [{"$ref": format!("#/$defs/a{}", n + 1)}, {"$ref": format!("#/$defs/a{}", n + 1)}]}))
            })
            .collect();
        all.insert("a60".to_owned(), json!({"type": "object"}));
        assert!(refusal(json!({"$defs": all, "$ref": "#/$defs/a0"})).contains("\"$ref\", which is not taken"));
        for keyword in REFUSED {
            assert!(refusal(json!({"properties": {"a": {"items": [{keyword: "#"}]}}})).contains(keyword));
        }
        let deep = (0..40).fold(json!({}), |inner, _| json!({"not": inner}));
        assert!(refusal(deep).contains("32 levels"));
        assert!(refusal(json!({"enum": (0..3_000).collect::<Vec<_>>()})).contains("2000 values"));
        assert!(refusal(json!({"description": "x".repeat(SCHEMA_MAX)})).contains("65536 bytes"));
        // What is compared with each other is bounded, too: here it would be the author's own defaults.
        let many = json!({
            "properties": {"a": {"default": vec![0; 1_000], "items": {"anyOf": vec![json!(false); 900]}}}
        });
        assert!(Schema::new(Some(many.clone())).unwrap().settings(&Value::Null).unwrap_err().to_string().contains("invalid settings"));
        let schema = Schema::new(Some(many)).unwrap();
        assert!(schema.settings(&json!({"a": vec![0; 2_000]})).unwrap_err().to_string().contains("too many"));
    }

    #[test]
    fn those_of_this_repository_are_taken() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        for dir in ["plugins/authz-casbin", "plugin-sdk/examples/example-volume-driver", "plugin-sdk/cli/templates/authz"] {
            let text = std::fs::read(format!("{root}/{dir}/settings.schema.json")).unwrap();
            let schema = Schema::new(Some(serde_json::from_slice(&text).unwrap())).unwrap();
            // Whatever is said against no settings, it is no failure of the schema.
            let _ = schema.settings(&Value::Null).map_err(|e| assert!(e.message().starts_with("invalid settings: "), "{e}"));
        }
    }

    #[test]
    fn patterns_take_linear_time() {
        let pattern = |pattern: &str| Schema::new(Some(json!({"properties": {"a": {"pattern": pattern}}})));
        for bad in ["(?=a)a", r"(a)\1", "(x{1000}){1000}"] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
        assert!(pattern("^(a+)+$").unwrap().settings(&json!({"a": format!("{}b", "a".repeat(50_000))})).is_err());
        assert!(pattern(r"^[\w.-]{1,63}$").unwrap().settings(&json!({"a": "name"})).is_ok());
    }

    #[test]
    fn what_is_told_of_wrong_settings_has_an_end() {
        let schema = Schema::new(Some(json!({"properties": {"a": {"items": {"type": "integer"}}}}))).unwrap();
        let given = json!({"a": vec!["x".repeat(10_000); 1_000]});
        assert!(schema.settings(&given).unwrap_err().message().len() < (TOLD + 1) * 5_000);
    }
}
