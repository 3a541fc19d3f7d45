//! What of a plugin can be set: Docker's `Args`, `Devices`, `Env` and `Mounts`. A component's settings are its `Env`.

use serde_json::{Map, Value};
use wharf_api_types::plugin::{PluginConfig, PluginSettings, settings};
use wharf_types::{Error, Result};

/// The settings that a plugin begins with.
pub fn initial(config: &PluginConfig) -> PluginSettings {
    PluginSettings {
        mounts: config.mounts.clone(),
        env: config.env.iter().filter_map(|e| Some(format!("{}={}", e.name, e.value.as_deref()?))).collect(),
        args: config.args.value.clone().unwrap_or_default(),
        devices: config.linux.devices.clone(),
    }
}

/// Applies `NAME[.FIELD]=VALUE`s, all or none.
///
/// # Errors
/// 500, as Docker's, for what there is not and for what cannot be set.
pub fn apply(config: &PluginConfig, old: &PluginSettings, changes: &[String]) -> Result<PluginSettings> {
    let mut new = old.clone();
    changes.iter().try_for_each(|change| one(config, &mut new, change))?;
    Ok(new)
}

fn one(config: &PluginConfig, settings: &mut PluginSettings, change: &str) -> Result<()> {
    let (target, value) = change.split_once('=').unwrap_or((change, ""));
    let (name, field) = target.split_once('.').unwrap_or((target, ""));
    if name.is_empty() {
        return Err(Error::system(format!("invalid plugin setting: {change:?}")));
    }
    let settable = |allowed: Option<&Vec<String>>, usual: &str| {
        let field = if field.is_empty() { usual } else { field };
        let may = allowed.is_some_and(|fields| fields.iter().any(|f| f == field)) && field == usual;
        if may { Ok(()) } else { Err(Error::system(format!("{target:?} is not settable"))) }
    };
    if let Some(env) = config.env.iter().find(|e| e.name == name) {
        settable(env.settable.as_ref(), "value")?;
        settings.env.retain(|e| e.split_once('=').is_none_or(|(n, _)| n != name));
        settings.env.push(format!("{name}={value}"));
        return Ok(());
    }
    if let Some(at) = config.mounts.iter().position(|m| m.name == name) {
        settable(config.mounts.get(at).and_then(|m| m.settable.as_ref()), "source")?;
        // What is not there was not among the privileges that the operator has agreed to.
        let Some(mount) = settings.mounts.get_mut(at).filter(|m| m.source.is_some()) else {
            return Err(Error::system("Plugin config has no mount source"));
        };
        mount.source = Some(value.to_owned());
        return Ok(());
    }
    if let Some(at) = config.linux.devices.iter().position(|d| d.name == name) {
        settable(config.linux.devices.get(at).and_then(|d| d.settable.as_ref()), "path")?;
        let Some(device) = settings.devices.get_mut(at).filter(|d| d.path.is_some()) else {
            return Err(Error::system("Plugin config has no device path"));
        };
        device.path = Some(value.to_owned());
        return Ok(());
    }
    if config.args.name == name {
        settable(config.args.settable.as_ref(), "value")?;
        settings.args = value.split_whitespace().map(ToOwned::to_owned).collect();
        return Ok(());
    }
    Err(Error::system(format!("setting {target:?} not found in the plugin configuration")))
}

/// The settings of a component as an object. A value is text where the schema says so or says nothing, else JSON.
pub fn object(own: &PluginSettings, schema: Option<&Value>) -> Result<Value> {
    let text =
        |name: &str| match schema.and_then(|s| s.pointer(&format!("/properties/{}/type", name.replace('~', "~0").replace('/', "~1")))) {
            None => true,
            Some(Value::String(one)) => one == "string",
            Some(several) => several.as_array().is_none_or(|list| list.iter().any(|t| t == "string")),
        };
    let mut object = Map::new();
    for (name, value) in settings(&own.env) {
        let parsed = if text(name) {
            Value::from(value)
        } else {
            serde_json::from_str(value)
                .map_err(|e| Error::invalid(format!("setting {name}: {value:?} is not what its schema wants: {e}")))?
        };
        object.insert(name.to_owned(), parsed);
    }
    Ok(Value::Object(object))
}

/// The permissions of a component, with the values of settings in the place of `${NAME}`.
pub fn permissions(config: &PluginConfig, own: &PluginSettings) -> Vec<String> {
    let values = settings(&own.env);
    let expand = |word: &String| {
        let mut word = word.clone();
        for (name, value) in &values {
            word = word.replace(&format!("${{{name}}}"), value);
        }
        word
    };
    config.wharf.permissions.iter().map(expand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PluginConfig {
        serde_json::from_value(serde_json::json!({
            "Env": [
                {"Name": "POLICY", "Settable": ["value"], "Value": "/etc/p.csv"},
                {"Name": "LIMIT", "Settable": ["value"], "Value": "3"},
                {"Name": "FIXED", "Value": "x"},
            ],
            "Args": {"Name": "args", "Settable": ["value"], "Value": ["-v"]},
            "Mounts": [{"Name": "data", "Source": "/a", "Settable": ["source"]}, {"Name": "none", "Settable": ["source"]}],
            "Linux": {"Devices": [{"Name": "dev", "Path": "/dev/null"}]},
            "Wharf": {"Permissions": ["state", "files:${POLICY}"]},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_settable_is_set() {
        let config = config();
        let set = |changes: &[&str]| apply(&config, &initial(&config), &changes.iter().map(ToString::to_string).collect::<Vec<_>>());
        let new = set(&["POLICY=/p=q", "data.source=/b", "args=a b", "LIMIT.value=4"]).unwrap();
        assert_eq!(new.env, ["FIXED=x", "POLICY=/p=q", "LIMIT=4"]);
        assert_eq!((new.mounts[0].source.as_deref(), new.args.len()), (Some("/b"), 2));
        assert_eq!(permissions(&config, &new), ["state", "files:/p=q"]);
        for (change, message) in [
            ("FIXED=y", "\"FIXED\" is not settable"),
            ("none.source=/x", "Plugin config has no mount source"),
            ("dev.path=/x", "\"dev.path\" is not settable"),
            ("POLICY.source=/x", "\"POLICY.source\" is not settable"),
            ("NONE=1", "setting \"NONE\" not found in the plugin configuration"),
        ] {
            assert_eq!(set(&["POLICY=/x", change]).unwrap_err().message(), message);
        }
    }

    #[test]
    fn the_schema_says_what_is_text() {
        let settings = initial(&config());
        let schema = serde_json::json!({"properties": {"LIMIT": {"type": "integer"}, "POLICY": {"type": "string"}}});
        assert_eq!(object(&settings, Some(&schema)).unwrap(), serde_json::json!({"POLICY": "/etc/p.csv", "LIMIT": 3, "FIXED": "x"}));
        assert_eq!(object(&settings, None).unwrap()["LIMIT"], "3");
        let wrong = serde_json::json!({"properties": {"FIXED": {"type": "object"}}});
        assert!(object(&settings, Some(&wrong)).unwrap_err().message().starts_with("setting FIXED: \"x\""));
    }
}
