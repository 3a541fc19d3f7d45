//! Secrets: opened with permission, seen with another one, told by nobody.

use super::{Guest, World, guest::ZEROS, package, request};
use std::path::Path;
use wharf_types::ErrorKind;

/// A file that only its owner can read.
pub fn put(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Opens `TOKEN` and tells what revealing it answers.
fn revealing() -> Guest {
    let fields = "(import \"wharf:host/secrets@0.1.0\" \"open\" (func $open (param i32 i32 i32)))
        (import \"wharf:host/secrets@0.1.0\" \"[method]secret.reveal\" (func $reveal (param i32 i32)))
        (import \"wharf:host/secrets@0.1.0\" \"[resource-drop]secret\" (func $drop (param i32)))
        (data (i32.const 600) \"TOKEN\")";
    let failed = |at: u32| {
        format!(
            "(if (i32.load8_u (i32.const {at})) (then (i32.store8 (i32.const 512) (i32.const 1))
               (i32.store (i32.const 516) (i32.load (i32.const {}))) (i32.store (i32.const 520) (i32.load (i32.const {}))) (return (i32.const 512))))",
            at + 4,
            at + 8
        )
    };
    let judge = format!(
        "(i32.store8 (i32.const 512) (i32.const 0)) (call $open (i32.const 600) (i32.const 5) (i32.const 704)) {}
         (call $reveal (i32.load (i32.const 708)) (i32.const 740)) {} (call $drop (i32.load (i32.const 708)))
         (i32.store (i32.const 532) (i32.load (i32.const 744))) (i32.store (i32.const 536) (i32.load (i32.const 748))) (i32.const 512)",
        failed(704),
        failed(740)
    );
    Guest { fields: fields.to_owned(), ..Guest::judging(&judge) }
}

#[tokio::test]
async fn seeing_a_secret_is_a_permission_of_its_own() {
    let world = World::new();
    let dir = world.dir.path().join("secrets/p");
    std::fs::create_dir_all(&dir).unwrap();
    put(&dir.join("TOKEN"), "hunter2");
    let outcome = async |grants: &str| {
        let plugin = world.with(&revealing(), grants).await;
        let told = plugin.authorizer().unwrap().judge(&request()).await.map(|decision| decision.rule).map_err(|e| e.to_string());
        (told, plugin)
    };
    let (told, plugin) = outcome("secret:TOKEN").await;
    assert_eq!(told.unwrap_err(), "no permission reveal:TOKEN");
    assert!(!format!("{:?}{:?}", plugin.log(), plugin.health()).contains("hunter2"));
    assert_eq!(outcome("secret:OTHER reveal:ELSE").await.0.unwrap_err(), "no permission secret:TOKEN");
    let (told, plugin) = outcome("reveal:TOKEN").await;
    assert_eq!(told.unwrap(), "hunter2");
    // A changed secret is seen at the next opening, and more are opened than there are handles.
    put(&dir.join("TOKEN"), "hunter3");
    for _ in 0..100 {
        assert_eq!(plugin.authorizer().unwrap().judge(&request()).await.unwrap().rule, "hunter3");
    }
    std::fs::remove_file(dir.join("TOKEN")).unwrap();
    assert!(plugin.authorizer().unwrap().judge(&request()).await.unwrap_err().to_string().contains("No such file"));
    let refusal = world.host.load(package(revealing().component(), "http:x")).await.err().unwrap();
    assert!(refusal.kind() == ErrorKind::Forbidden && refusal.to_string().ends_with("secret:NAME"), "{refusal}");
}

#[tokio::test]
async fn a_handle_that_is_none_ends_the_instance() {
    let world = World::new();
    let guest = Guest { judge: format!("(call $reveal (i32.const 77) (i32.const 740)) {ZEROS}"), ..revealing() };
    let plugin = world.with(&guest, "reveal:TOKEN").await;
    assert!(super::refused(&plugin).await.starts_with("it crashed: "));
}
