//! The gate: which interfaces there are, which permission each needs, and whether a plugin has it.

use super::{
    describe::{Description, is_served},
    grant::{Grant, Grants},
};
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::{Error, Result};

/// An interface of `wharf:host`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    pub name: &'static str,
    /// As shown to an operator; none for what everybody has.
    pub permission: Option<&'static str>,
}

#[rustfmt::skip]
const INTERFACES: [Interface; 13] = [
    Interface { name: "config",  permission: None },
    Interface { name: "log",     permission: None },
    Interface { name: "clock",   permission: None },
    Interface { name: "random",  permission: None },
    Interface { name: "state",   permission: Some("state") },
    Interface { name: "files",   permission: Some("files:PATH") },
    Interface { name: "metrics", permission: Some("metrics") },
    Interface { name: "timers",  permission: Some("timers") },
    Interface { name: "secrets", permission: Some("secret:NAME") },
    Interface { name: "http",    permission: Some("http:HOST") },
    Interface { name: "sockets", permission: Some("tcp:HOST:PORT") },
    Interface { name: "objects", permission: Some("objects:KIND") },
    Interface { name: "events",  permission: Some("events") },
];

/// The row of an import, when it is one that this engine knows.
pub(super) fn interface(import: &str) -> Option<Interface> {
    let (name, version) = import.strip_prefix("wharf:host/")?.split_once('@')?;
    INTERFACES.into_iter().find(|row| row.name == name && is_served(version))
}

/// The interface that a permission is for.
fn interface_of(grant: &Grant) -> &'static str {
    match grant {
        Grant::State => "state",
        Grant::Events => "events",
        Grant::Metrics => "metrics",
        Grant::Timers => "timers",
        Grant::Secret(_) | Grant::Reveal(_) => "secrets",
        Grant::Files(_) => "files",
        Grant::Http(..) => "http",
        Grant::Tcp(..) | Grant::Tls(..) | Grant::Udp(..) | Grant::Unix(_) => "sockets",
        Grant::Objects(_) => "objects",
        Grant::Mount(_) => "mount",
    }
}

pub(super) fn granted(name: &str, grants: &Grants) -> bool {
    grants.iter().any(|grant| interface_of(grant) == name)
}

/// Compares what a component imports with what it was given. Every fault of one sort is named at once.
pub(super) fn check(plugin: &str, description: &Description, grants: &Grants) -> Result<()> {
    let names = |words: Vec<String>| words.join(", ");
    let unknown: Vec<String> = description.imports.iter().filter(|import| interface(import).is_none()).cloned().collect();
    if !unknown.is_empty() {
        return Err(Error::invalid(format!("plugin \"{plugin}\" imports what this engine does not offer: {}", names(unknown))));
    }
    // Mounts are not imported: they are what a volume driver answers.
    let mounts = description.kinds.contains(&Kind::Volume);
    let available = |name: &str| INTERFACES.iter().any(|row| row.name == name) || (name == "mount" && mounts);
    let early: Vec<String> = grants.iter().filter(|grant| !available(interface_of(grant))).map(ToString::to_string).collect();
    if !early.is_empty() {
        return Err(Error::not_implemented(format!("permissions not available in this version of the engine: {}", names(early))));
    }
    let rows = || description.imports.iter().filter_map(|import| interface(import));
    let missing: Vec<String> =
        rows().filter(|row| !granted(row.name, grants)).filter_map(|row| row.permission.map(str::to_owned)).collect();
    if !missing.is_empty() {
        return Err(Error::forbidden(format!("plugin \"{plugin}\" needs permissions that it was not given: {}", names(missing))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_types::ErrorKind;

    fn outcome(imports: &[&str], grants: &str) -> std::result::Result<(), (ErrorKind, String)> {
        let imports = imports.iter().map(|s| (*s).to_owned()).collect();
        let description = Description { kinds: Vec::new(), imports, permissions: Vec::new(), lifecycle: true, digest: String::new() };
        check("p", &description, &grants.parse().unwrap()).map_err(|e| (e.kind(), e.to_string()))
    }

    #[test]
    fn every_missing_permission_is_named() {
        let (kind, text) = outcome(&["wharf:host/log@0.1.0", "wharf:host/state@0.1.0", "wharf:host/files@0.1.3"], "timers").unwrap_err();
        assert_eq!(
            (kind, text.as_str()),
            (ErrorKind::Forbidden, "plugin \"p\" needs permissions that it was not given: state, files:PATH")
        );
        assert!(outcome(&["wharf:host/clock@0.1.0", "wharf:host/files@0.1.0"], "files:/etc/p").is_ok());
    }

    #[test]
    fn what_is_not_there_is_refused_by_name() {
        for import in ["wasi:cli/environment@0.2.6", "wharf:host/state@0.2.0", "wharf:host/state", "wharf:host/nothing@0.1.0"] {
            let (kind, text) = outcome(&[import], "state").unwrap_err();
            assert!(kind == ErrorKind::InvalidParameter && text.ends_with(import), "{text}");
        }
        let (kind, text) = outcome(&["wharf:host/http@0.1.0"], "http:h mount:nfs").unwrap_err();
        assert!(kind == ErrorKind::NotImplemented && text.ends_with("mount:nfs"), "{text}");
        let (kind, text) = outcome(&["wharf:host/events@0.1.0"], "").unwrap_err();
        assert!(kind == ErrorKind::Forbidden && text.ends_with("events"), "{text}");
    }
}
