//! The daemon's program as the compiler of components: what it makes is what the daemon loads, and what a hostile component can take
//! has an end.

#![allow(clippy::unwrap_used)] // the functions that tests share, too

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use wharf_daemon::COMPILE_COMPONENT;
use wharf_plugin_host::wasm::{CompileLimits, Compiler, Settings, WasmHost};
use wharf_types::{ErrorKind, Result};

const WHARFD: &str = env!("CARGO_BIN_EXE_wharfd");

fn host(dir: &Path, limits: CompileLimits) -> WasmHost {
    let compiler = Compiler::Program(WHARFD.into(), vec![COMPILE_COMPONENT.into()], limits);
    WasmHost::new(Settings { compiler, ..Settings::new(dir.join("cache"), dir.join("state")) }).unwrap()
}

/// What a component ends in, and how many files there are afterwards.
async fn outcome(wasm: Vec<u8>, limits: CompileLimits) -> (Result<String>, usize) {
    let dir = tempfile::tempdir().unwrap();
    let described = host(dir.path(), limits).describe(wasm).await.map(|description| description.digest);
    (described, std::fs::read_dir(dir.path().join("cache")).unwrap().count())
}

fn small() -> Vec<u8> {
    wat::parse_str("(component (core module (func (export \"f\"))))").unwrap()
}

/// Many long functions: seconds of work, hundreds of MiB.
fn bomb() -> Vec<u8> {
    let sum: String =
        (0..2_000).map(|n| format!("(local.set 0 (i32.xor (i32.mul (local.get 0) (local.get 1)) (i32.const {n})))")).collect();
    let function = format!("(func (param i32 i32) (result i32) {sum} (local.get 0))");
    wat::parse_str(format!("(component (core module {}))", function.repeat(400))).unwrap()
}

#[tokio::test]
async fn what_it_makes_is_what_the_daemon_loads() {
    let (described, files) = outcome(small(), CompileLimits::default()).await;
    assert!(described.unwrap().starts_with("sha256:") && files == 1);
    let dir = tempfile::tempdir().unwrap();
    host(dir.path(), CompileLimits::default()).describe(small()).await.unwrap();
    // A compiler that is no program proves that another host finds it in the cache.
    let none = Compiler::Program("/nonexistent".into(), Vec::new(), CompileLimits::default());
    let settings = Settings { compiler: none, ..Settings::new(dir.path().join("cache"), dir.path().join("state")) };
    let other = WasmHost::new(settings).unwrap();
    other.describe(small()).await.unwrap();
    assert!(other.describe(wat::parse_str("(component)").unwrap()).await.unwrap_err().to_string().contains("start the compiler"));
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    for bad in [Vec::new(), b"\0asm".to_vec(), wat::parse_str("(module)").unwrap(), small()[..30].to_vec()] {
        let (described, files) = outcome(bad, CompileLimits::default()).await;
        let error = described.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidParameter && error.to_string().starts_with("not a component"), "{error}");
        assert_eq!(files, 0);
    }
}

#[tokio::test]
async fn a_compilation_has_limits() {
    let bomb = bomb();
    let none = CompileLimits { time: Duration::from_secs(500), processor: Duration::from_secs(500), memory: 1 << 40 };
    for (limits, words) in [
        (CompileLimits { time: Duration::from_millis(200), ..none }, "compilation took too long: more than 200ms"),
        (CompileLimits { processor: Duration::from_secs(1), ..none }, "compilation took too long: more than 1s"),
        (CompileLimits { memory: 64 << 20, ..none }, "compilation took too much memory: more than 64 MiB"),
    ] {
        let (described, files) = outcome(bomb.clone(), limits).await;
        let error = described.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str(), files), (ErrorKind::InvalidParameter, words, 0));
    }
}

#[test]
fn it_ends_with_who_asked() {
    let bomb = bomb();
    let mut command = Command::new(WHARFD);
    command.args([COMPILE_COMPONENT, "500", "1099511627776"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&(bomb.len() as u64).to_le_bytes()).unwrap();
    stdin.write_all(&bomb).unwrap();
    drop(stdin);
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let output = Command::new(WHARFD).arg(COMPILE_COMPONENT).output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("expected are"));
}
