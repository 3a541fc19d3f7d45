//! With a library compiled from `tests/legacy/plugin.c`. Needs root, for only its files are loaded, and gcc.

use super::*;
use crate::legacy::{Address, LegacyPlugin, NativePlugins, Timeouts, connect};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use wharf_types::ErrorKind;

/// The library, in a directory that only root can write; none, with a word on why, where that cannot be.
fn library() -> Option<TempDir> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: native plugins are root's files, and this is not root");
        return None;
    }
    let dir = tempfile::tempdir_in("/var/lib").unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-pthread", "-I"]).arg(here.join("../../plugin-sdk/c"));
    gcc.arg("-o").arg(dir.path().join("plugin.so")).arg(here.join("tests/legacy/plugin.c"));
    match gcc.status() {
        Ok(status) => assert!(status.success(), "plugin.c does not compile"),
        Err(e) => {
            println!("skipped: no gcc: {e}");
            return None;
        }
    }
    fs::set_permissions(dir.path().join("plugin.so"), Permissions::from_mode(0o755)).unwrap();
    Some(dir)
}

fn at(dir: &TempDir) -> Address {
    Address::parse(&format!("native://{}", dir.path().join("plugin.so").display())).unwrap()
}

async fn said(transport: &dyn Transport, method: &str, body: &str) -> Result<String, String> {
    let answer = transport.call(method, body.as_bytes().to_vec()).await;
    answer.map(|a| String::from_utf8(a).unwrap()).map_err(|e| e.message().to_owned())
}

#[tokio::test]
async fn answers_and_failures() {
    let Some(dir) = library() else { return };
    let library = connect(&at(&dir), NativePlugins::Allowed).await.unwrap();
    assert_eq!(said(&*library, "Test.Echo", "abc").await, Ok("abc".to_owned()));
    assert_eq!(said(&*library, "Test.Echo", "").await, Ok(String::new()));
    assert_eq!(said(&*library, "Test.Other", "").await, Err("Test.Other: unknown method".to_owned()));
    assert_eq!(said(&*library, "Test.Huge", "").await, Err("Test.Huge: the answer is larger than 1048576 bytes".to_owned()));
    assert_eq!(said(&*library, "Test.Living", "").await, Ok("0".to_owned()), "answers that were not freed");

    let plugin = LegacyPlugin::activate("c", library, Timeouts::default()).await.unwrap();
    assert_eq!(plugin.implements(), ["authz"]);
}

#[tokio::test]
async fn hanging_calls_take_threads_but_no_time() {
    let Some(dir) = library() else { return };
    let library = connect(&at(&dir), NativePlugins::Allowed).await.unwrap();
    let started = Instant::now();
    let hanging = (0..20).map(|_| {
        let library = library.clone();
        tokio::spawn(async move { tokio::time::timeout(Duration::from_millis(200), said(&*library, "Test.Sleep", "2")).await })
    });
    let (mut late, mut refused) = (0, 0);
    for call in hanging.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Err(_) => late += 1,
            Ok(outcome) => {
                assert_eq!(outcome, Err("Test.Sleep: all 16 threads of the plugin are busy".to_owned()));
                refused += 1;
            }
        }
    }
    assert_eq!((late, refused), (16, 4));
    assert!(started.elapsed() < Duration::from_secs(2));
    // They come back when the calls do.
    tokio::time::sleep(Duration::from_millis(2500).saturating_sub(started.elapsed())).await;
    assert_eq!(said(&*library, "Test.Echo", "x").await, Ok("x".to_owned()));
}

#[tokio::test]
async fn only_root_s_files() {
    let Some(dir) = library() else { return };
    let file = dir.path().join("plugin.so");
    let refused = async |address: &Address, allowed| {
        let e = connect(address, allowed).await.err().unwrap();
        assert_eq!(e.kind(), ErrorKind::Forbidden);
        e.message().to_owned()
    };
    let here = at(&dir);
    assert!(refused(&here, NativePlugins::Refused).await.starts_with("native plugins are not allowed"));
    let why = async |address: &Address| {
        let words = refused(address, NativePlugins::Allowed).await;
        words.strip_prefix("refusing to load plugin ").unwrap().split_once(": ").unwrap().1.to_owned()
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();

    mode(&file, 0o775);
    assert_eq!(why(&here).await, format!("{} is writable by others than root", file.display()));
    mode(&file, 0o755);
    mode(dir.path(), 0o1777);
    assert_eq!(why(&here).await, format!("{} is writable by others than root", dir.path().display()));
    mode(dir.path(), 0o755);
    chown(&file, Some(1), None).unwrap();
    assert_eq!(why(&here).await, format!("{} is not owned by root", file.display()));
    chown(&file, Some(0), None).unwrap();

    let to = |name: &str| Address::parse(&format!("native://{}", dir.path().join(name).display())).unwrap();
    symlink(&file, dir.path().join("link.so")).unwrap();
    symlink(dir.path(), dir.path().join("way")).unwrap();
    assert!(why(&to("link.so")).await.ends_with("link.so is a link"));
    assert!(why(&to("way/plugin.so")).await.ends_with("way is a link"));
    assert!(why(&to("../plugin.so")).await.ends_with("is not in its shortest form"));
    assert!(why(&to("missing.so")).await.contains("missing.so cannot be opened"));
    fs::create_dir(dir.path().join("dir.so")).unwrap();
    assert!(why(&to("dir.so")).await.ends_with("dir.so is not a file"));

    fs::write(dir.path().join("text.so"), "no library").unwrap();
    mode(&dir.path().join("text.so"), 0o755);
    let e = connect(&to("text.so"), NativePlugins::Allowed).await.err().unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidParameter);
    connect(&here, NativePlugins::Allowed).await.unwrap();
}
