//! What a component is, by its exports and imports alone.

use super::permission;
use serde::Serialize;
use wasmtime::component::{Component, types::ComponentItem};
use wharf_spi::plugin::PluginKind as Kind;

const EXPORTS: [(&str, Kind); 6] = [
    ("wharf:authz/authorizer", Kind::Authz),
    ("wharf:logging/driver", Kind::Logging),
    ("wharf:logging/transform", Kind::LogTransform),
    ("wharf:volume/driver", Kind::Volume),
    ("wharf:metrics/sink", Kind::Metrics),
    ("wharf:ipam/driver", Kind::Ipam),
];

/// What [`super::WasmHost::describe`] sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// What it can be used as; nothing for a component that is no plugin of this engine.
    pub kinds: Vec<Kind>,
    /// The interfaces that it imports, with versions.
    pub imports: Vec<String>,
    /// The permissions that the imports need, as words of [`super::Grant`] with parameters in capitals (`state`, `files:PATH`).
    pub permissions: Vec<&'static str>,
    /// Whether it exports `wharf:plugin/lifecycle`, as every plugin must.
    pub lifecycle: bool,
    /// `sha256:…` of the component.
    pub digest: String,
}

impl Description {
    pub(super) fn of(component: &Component, digest: String) -> Self {
        let (ty, engine) = (component.component_type(), component.engine());
        let served =
            |name: &str, wanted: &str| matches!(name.split_once('@'), Some((name, version)) if name == wanted && is_served(version));
        let exports: Vec<&str> = ty.exports(engine).map(|(name, _)| name).collect();
        let kinds = EXPORTS.iter().filter(|(wanted, _)| exports.iter().any(|name| served(name, wanted))).map(|(_, kind)| *kind).collect();
        let lifecycle = exports.iter().any(|name| served(name, "wharf:plugin/lifecycle"));
        // An interface of types alone (`wharf:authz/types`) gives nothing to a plugin.
        let functions = |item: &ComponentItem| match item {
            ComponentItem::ComponentInstance(instance) => {
                instance.exports(engine).any(|(_, item)| !matches!(item.ty, ComponentItem::Type(_) | ComponentItem::Resource(_)))
            }
            _ => true,
        };
        let imports: Vec<String> = ty.imports(engine).filter(|(_, item)| functions(&item.ty)).map(|(name, _)| name.to_owned()).collect();
        let permissions = imports.iter().filter_map(|name| permission::interface(name)).filter_map(|row| row.permission).collect();
        Self { kinds, imports, permissions, lifecycle, digest }
    }
}

/// Versions of interfaces that this engine serves: all `0.1.x` are one.
pub(super) fn is_served(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}
