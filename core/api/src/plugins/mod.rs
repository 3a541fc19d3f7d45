//! Managed plugins.

pub mod create;
pub mod disable;
pub mod enable;
pub mod inspect;
pub mod list;
pub mod privileges;
pub mod set;
pub mod upgrade;

use crate::Cx;
use wharf_spi::authz::{Object, ObjectKind};

/// A plugin as the object of a request, resolved.
fn target(cx: &Cx, named: &str) -> Vec<Object> {
    let mut object = Object::named(ObjectKind::Plugin, named);
    if let Ok(plugin) = cx.plugins.get(named) {
        (object.id, object.name) = (plugin.id, plugin.name);
    }
    vec![object]
}
