//! What is loaded, and with which settings.

use super::{clock::Clock, compile::Compiler, grant::Grants, policy::Limits};
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};
use wharf_spi::facts::EngineFacts;
use wharf_types::{Error, Result};

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

/// Checks settings and fills in defaults.
pub(super) struct Schema {
    text: Option<Value>,
}

impl Schema {
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] when it is not a schema.
    pub fn new(text: Option<Value>) -> Result<Self> {
        if let Some(text) = &text {
            jsonschema::validator_for(text)
                .map_err(|e| Error::invalid(format!("the plugin's settings.schema.json is not a JSON Schema: {e}")))?;
        }
        Ok(Self { text })
    }

    /// The settings as the plugin sees them, one JSON object.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] naming every setting that is wrong.
    pub fn settings(&self, given: &Value) -> Result<String> {
        let mut all = match given {
            Value::Null => Value::Object(Map::new()),
            Value::Object(_) => given.clone(),
            _ => return Err(Error::invalid("the settings of a plugin must be a JSON object")),
        };
        if let Some(schema) = &self.text {
            fill(schema, &mut all);
            let validator = jsonschema::validator_for(schema).map_err(|e| Error::invalid(e.to_string()))?;
            let wrong: Vec<String> = validator
                .iter_errors(&all)
                .map(|e| match e.instance_path().to_string().trim_start_matches('/') {
                    "" => e.to_string(),
                    path => format!("{}: {e}", path.replace('/', ".")),
                })
                .collect();
            if !wrong.is_empty() {
                return Err(Error::invalid(format!("invalid settings: {}", wrong.join("; "))));
            }
        }
        Ok(all.to_string())
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
}
