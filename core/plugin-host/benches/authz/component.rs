//! A module in WebAssembly text as a component of a world of ours. Included by whatever needs one for a test or a benchmark, in this
//! crate and in others.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test or a benchmark that cannot run may panic")]

use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve, WorldId};

/// All packages of the directory `wit`, and the one with the worlds.
pub fn packages(wit: &Path) -> (Resolve, PackageId) {
    let (mut resolve, mut last) = (Resolve::default(), None);
    for name in ["host", "authz", "logging", "volume", "metrics", "ipam", "plugin"] {
        let (package, _) = resolve.push_dir(wit.join(name).join("0.1.0")).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        last = Some(package);
    }
    (resolve, last.unwrap())
}

/// What a module of a world's functions becomes.
pub fn encode(resolve: &Resolve, world: WorldId, mut module: Vec<u8>) -> Vec<u8> {
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The world `authz`.
pub fn authz(wit: &Path, text: &str) -> Vec<u8> {
    let (resolve, package) = packages(wit);
    let world = resolve.select_world(&[package], Some("authz")).unwrap();
    encode(&resolve, world, wat::parse_str(text).unwrap_or_else(|e| panic!("{e}\n{text}")))
}
