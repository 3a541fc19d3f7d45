//! The WIT packages, and what the host sees in components of their worlds.

use super::{
    Guest, World,
    guest::{dummy, packages},
    package,
};
use crate::wasm::Kind;
use wharf_types::ErrorKind;

const WORLDS: [(&str, Kind); 6] = [
    ("authz", Kind::Authz),
    ("logging", Kind::Logging),
    ("log-transform", Kind::LogTransform),
    ("volume", Kind::Volume),
    ("metrics", Kind::Metrics),
    ("ipam", Kind::Ipam),
];

#[test]
fn every_package_parses() {
    let (resolve, package) = packages();
    assert_eq!(resolve.packages[package].worlds.len(), WORLDS.len() + 1);
}

#[tokio::test]
async fn kinds_are_seen_by_exports() {
    let world = World::new();
    for (name, kind) in WORLDS {
        let description = world.host.describe(dummy(name)).await.unwrap();
        assert_eq!(description.kinds, [kind]);
        assert!(description.lifecycle);
        assert_eq!(description.imports.len(), 13, "{:?}", description.imports);
        let refusal = world.host.load(package(dummy(name), "")).await.err().unwrap();
        assert!(matches!(refusal.kind(), ErrorKind::NotImplemented | ErrorKind::Forbidden), "{refusal}");
    }
    let description = world.host.describe(Guest::default().component()).await.unwrap();
    assert_eq!((description.imports.len(), description.permissions.len()), (0, 0));
    let again = world.host.describe(Guest::default().component()).await.unwrap();
    assert!(description == again && description.digest.starts_with("sha256:"));
}

#[tokio::test]
async fn what_is_no_plugin_is_refused() {
    let world = World::new();
    let component = wat::parse_str("(component)").unwrap();
    assert_eq!(world.host.describe(component.clone()).await.unwrap().kinds, []);
    for bad in [component, wat::parse_str("(module)").unwrap(), b"\0asm".to_vec(), Vec::new(), b"(component)".to_vec()] {
        assert_eq!(world.host.load(package(bad, "")).await.err().unwrap().kind(), ErrorKind::InvalidParameter);
    }
    let wasi = r#"(component (import "wasi:cli/environment@0.2.6" (instance (export "get" (func)))))"#;
    let description = world.host.describe(wat::parse_str(wasi).unwrap()).await.unwrap();
    assert_eq!(description.imports, ["wasi:cli/environment@0.2.6"]);
}

#[tokio::test]
async fn missing_permissions_are_named() {
    let world = World::new();
    let mut guest = Guest::default().import("state", &[("get", "(param i32 i32 i32)")]).import("timers", &[("cancel", "(param i32 i32)")]);
    guest.fields.push_str("(func (export \"unused\") (call $state-get (i32.const 0) (i32.const 0) (i32.const 0)) (call $timers-cancel (i32.const 0) (i32.const 0)))");
    let description = world.host.describe(guest.component()).await.unwrap();
    assert_eq!(description.permissions, ["state", "timers"]);
    let refusal = world.host.load(package(guest.component(), "metrics")).await.err().unwrap();
    assert_eq!(
        (refusal.kind(), refusal.to_string().as_str()),
        (ErrorKind::Forbidden, "plugin \"p\" needs permissions that it was not given: state, timers")
    );
    let refusal = world.host.load(package(guest.component(), "state timers mount:nfs")).await.err().unwrap();
    assert!(refusal.kind() == ErrorKind::NotImplemented && refusal.to_string().contains("mount:nfs"), "{refusal}");
    world.host.load(package(guest.component(), "state timers")).await.unwrap();
}
