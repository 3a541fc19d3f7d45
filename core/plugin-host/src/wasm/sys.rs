//! The one unsafe call of this module.
#![allow(unsafe_code)]

use std::path::Path;
use wasmtime::{Engine, component::Component};

/// Maps compiled code that [`super::cache`] wrote.
pub(super) fn map_code(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file is output of the same engine: it lies in a directory that only the engine's user can write, was written by
    // this process or an earlier one under a name with the engine's compatibility hash, belongs to that user, nobody else can write
    // it, and its checksum was right a moment ago; all this is checked by the only caller.
    unsafe { Component::deserialize_file(engine, path) }
}
