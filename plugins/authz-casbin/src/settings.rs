//! The settings, as `settings.schema.json` describes them.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields, default)]
pub struct Settings {
    /// The path of the model file.
    pub model: String,
    /// The path of the policy file.
    pub policy: String,
    /// User ids by the names that policies use.
    pub users: BTreeMap<String, u32>,
    /// Group ids by the names that policies use.
    pub groups: BTreeMap<String, u32>,
    /// Labels by which policies name objects.
    pub labels: Vec<String>,
    /// The label that says in which domain an object is.
    pub domain_label: String,
    /// The label that tells who created an object.
    pub owner_label: String,
    /// What a caller may not inspect does not exist for it.
    pub hide: bool,
    /// Nothing is refused.
    pub dry_run: bool,
    /// Functions that compare names of role definitions.
    pub role_matching: BTreeMap<String, String>,
    /// The same for their domains.
    pub domain_matching: BTreeMap<String, String>,
}

impl Settings {
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("the settings: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The three files that describe settings say the same.
    #[test]
    fn described() {
        let schema: Value = serde_json::from_str(include_str!("../settings.schema.json")).unwrap();
        let config: Value = serde_json::from_str(include_str!("../config.json")).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        let env = config["Env"].as_array().unwrap();
        let names: Vec<_> = env.iter().map(|e| e["Name"].as_str().unwrap()).collect();
        assert!(names.len() == properties.len() && names.iter().all(|name| properties.contains_key(*name)));
        let mut settings = serde_json::Map::new();
        for variable in env {
            let (name, text) = (variable["Name"].as_str().unwrap(), variable["Value"].as_str().unwrap());
            assert_eq!(variable["Settable"], serde_json::json!(["value"]), "{name}");
            assert_eq!(variable["Description"], properties[name]["description"], "{name}");
            let value = if properties[name]["type"] == "string" { text.into() } else { serde_json::from_str(text).unwrap() };
            assert_eq!(properties[name]["default"], value, "{name}");
            settings.insert(name.to_owned(), value);
        }
        let settings = Settings::parse(&Value::Object(settings).to_string()).unwrap();
        assert!(!settings.dry_run && !settings.model.is_empty());
        assert!(Settings::parse(r#"{"MODELS": "/x"}"#).unwrap_err().contains("MODELS"));
    }
}
