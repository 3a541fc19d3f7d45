//! What the configuration says of plugins and of authorization.

use super::raw::RawPlugin;
use super::resolve::{absolute, invalid};
use wharf_engine::plugins::{DecisionLogSettings, PlacedPlugin};
use wharf_plugin_host::wasm::Grants;
use wharf_types::{Error, Reference, Result, error::Context};

/// What is to be monitored must be there.
pub(super) fn monitored(names: Vec<String>, plugins: &[String]) -> Result<Vec<String>> {
    match names.iter().find(|name| !plugins.contains(name)) {
        Some(name) => Err(Error::invalid(format!("authorization-monitor: {name} is not one of authorization-plugins"))),
        None => Ok(names),
    }
}

pub(super) fn decision_log(path: Option<&str>, level: &str) -> Result<Option<DecisionLogSettings>> {
    let all = match level {
        "denied" => false,
        "all" => true,
        _ => return Err(invalid("authorization-log-level", format!("{level:?} is neither \"denied\" nor \"all\""))),
    };
    let path = path.filter(|path| !path.is_empty()).map(|path| absolute("authorization-log", path)).transpose()?;
    Ok(path.map(|path| DecisionLogSettings { path, all }))
}

pub(super) fn placed(raw: Vec<RawPlugin>) -> Result<Vec<PlacedPlugin>> {
    let mut plugins: Vec<PlacedPlugin> = Vec::with_capacity(raw.len());
    for RawPlugin { name, path, settings, permissions } in raw {
        let reference = name.parse::<Reference>().map_err(|e| invalid("plugins", e))?;
        if reference.digest().is_some() {
            return Err(invalid("plugins", format!("{name}: the name of a plugin cannot have a digest")));
        }
        let name = reference.or_latest();
        if plugins.iter().any(|other| other.name == name) {
            return Err(invalid("plugins", format!("{name} is there twice")));
        }
        plugins.push(PlacedPlugin { name, path: absolute("plugins", &path)?, settings, permissions });
    }
    Ok(plugins)
}

/// Looks at the directories, without running anything.
///
/// # Errors
/// What is wrong with the first plugin that would not start.
pub fn check(plugins: &[PlacedPlugin]) -> Result<()> {
    for plugin in plugins {
        let named = format!("plugin \"{}\" in {}", plugin.name, plugin.path.display());
        let permissions = plugin.check().context(&named)?;
        permissions.iter().map(|word| word.parse()).collect::<Result<Grants>>().context(named)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places() {
        let raw =
            |name: &str, path: &str| RawPlugin { name: name.into(), path: path.into(), settings: Default::default(), permissions: None };
        assert_eq!(placed(vec![raw("a", "/x"), raw("a:v2", "/x")]).unwrap()[0].name.to_string(), "a:latest");
        for (wrong, text) in [
            (vec![raw("a", "/x"), raw("a:latest", "/y")], "a:latest is there twice"),
            (vec![raw("a", "x")], "\"x\" is not an absolute path"),
            (vec![raw("A/!", "/x")], "invalid reference format"),
        ] {
            let e = placed(wrong).unwrap_err();
            assert!(e.message().starts_with("invalid value for \"plugins\": ") && e.message().contains(text), "{e}");
        }
        assert_eq!(decision_log(Some("/l"), "all").unwrap().map(|log| log.all), Some(true));
        assert_eq!(decision_log(None, "denied").unwrap(), None);
        assert!(decision_log(None, "some").is_err() && decision_log(Some("l"), "all").is_err());
    }

    #[test]
    fn directories_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = PlacedPlugin {
            name: "a".parse::<Reference>().unwrap().or_latest(),
            path: dir.path().to_owned(),
            settings: Default::default(),
            permissions: Some(vec!["state".to_owned()]),
        };
        let text = |plugin: &PlacedPlugin| check(std::slice::from_ref(plugin)).unwrap_err().to_string();
        assert!(text(&plugin).contains("config.json not found"), "{}", text(&plugin));
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        let config = |scheme: &str| {
            let text = format!("{{\"interface\": {{\"types\": [\"docker.authz/1.0\"], \"protocolScheme\": \"{scheme}\"}}}}");
            std::fs::write(dir.path().join("config.json"), text).unwrap();
        };
        config("");
        assert!(text(&plugin).contains("it is a process"), "{}", text(&plugin));
        config("wasm.component/1");
        assert!(text(&plugin).contains("rootfs/plugin.wasm not found"), "{}", text(&plugin));
        std::fs::write(dir.path().join("rootfs/plugin.wasm"), "").unwrap();
        check(std::slice::from_ref(&plugin)).unwrap();
        let wrong = PlacedPlugin { permissions: Some(vec!["fly".to_owned()]), ..plugin.clone() };
        assert!(text(&wrong).contains("fly"), "{}", text(&wrong));
        let wrong = PlacedPlugin { settings: [("X".to_owned(), 1.into())].into_iter().collect(), ..plugin };
        assert!(text(&wrong).contains("\"X\" not found in the plugin configuration"), "{}", text(&wrong));
        std::os::unix::fs::chown(dir.path().join("config.json"), Some(1000), None).unwrap();
        assert!(text(&wrong).contains("can be changed by others than root"), "{}", text(&wrong));
    }
}
