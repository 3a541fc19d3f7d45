//! The whole host with plugins that are well, ill and evil.

mod facts;
mod guest;
mod hostile;
mod http;
mod interfaces;
mod ipam;
mod life;
mod logging;
mod metrics_sink;
mod released;
mod secrets;
mod servers;
mod several;
mod sockets;
mod volume;
mod worlds;

use super::{Grants, Limits, Package, Plugin, Settings, WasmHost};
use crate::wasm::egress::Network;
use guest::{Answers, Guest};
use serde_json::Value;
use std::time::Duration;
use wharf_spi::authz::{Action, AuthzRequest, Bind, Caller, Exposure, Object, ObjectKind, PeerCert, PeerCred, RawView};

struct World {
    host: WasmHost,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { host: host_in(dir.path()), dir }
    }

    /// One whose plugins go out through this network.
    fn on(network: Network) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { host: WasmHost::with(settings_in(dir.path()), network).unwrap(), dir }
    }

    async fn load(&self, guest: &Guest) -> wharf_types::Result<Plugin> {
        self.host.load(package(guest.component(), "")).await
    }

    /// One of these worlds.
    async fn kind(&self, answers: &Answers, grants: &str) -> Plugin {
        self.host.load(package(answers.component(), grants)).await.unwrap()
    }

    async fn with(&self, guest: &Guest, grants: &str) -> Plugin {
        self.host.load(package(guest.component(), grants)).await.unwrap()
    }
}

fn host_in(dir: &std::path::Path) -> WasmHost {
    WasmHost::new(settings_in(dir)).unwrap()
}

fn settings_in(dir: &std::path::Path) -> Settings {
    Settings { secrets: dir.join("secrets"), ..Settings::new(dir.join("cache"), dir.join("state")) }
}

fn package(wasm: Vec<u8>, grants: &str) -> Package {
    let limits = Limits { deadline: Some(Duration::from_millis(300)), memory: Some(4 << 20), ..Limits::default() };
    let grants: Grants = grants.parse().unwrap();
    Package { name: "p".to_owned(), wasm, schema: None, settings: Value::Null, grants, limits }
}

/// With something in every field.
fn request() -> AuthzRequest {
    let text = str::to_owned;
    AuthzRequest {
        caller: Caller {
            unix: Some(PeerCred { uid: 1, gid: 2, groups: vec![3, 4], pid: 5, containers: None }),
            tls: Some(PeerCert { common_name: text("common"), alternative_names: vec![text("alternative")], der: Vec::new() }),
            container: Some(Object { name: text("caller-container"), ..Object::named(ObjectKind::Container, "") }),
        },
        action: Action("container.create"),
        api_version: text("1.45"),
        targets: vec![Object { labels: vec![(text("label"), text("value"))], ..Object::named(ObjectKind::Image, "named") }],
        exposure: Some(Exposure {
            host_root: vec![text("privileged")],
            binds: vec![Bind { source: text("/source"), target: text("/target"), read_only: true }],
            capabilities: vec![text("SYS_ADMIN")],
            ports: vec![text("0.0.0.0:80/tcp")],
        }),
        input: text("{\"Image\":\"x\"}"),
        http: RawView { method: text("POST"), uri: text("/containers/create"), headers: Vec::new() },
    }
}

/// Judges, and gives the words of the error.
async fn refused(plugin: &Plugin) -> String {
    plugin.authorizer().unwrap().judge(&request()).await.expect_err("an error").to_string()
}

/// What of a plugin never answers and what answers nonsense, as the next words of its caller: the first error, and the health.
fn trouble<T: std::fmt::Debug>(plugin: &Plugin, outcome: wharf_types::Result<T>) -> String {
    let error = outcome.expect_err("an error");
    assert_eq!(error.kind(), wharf_types::ErrorKind::Unavailable, "{error}");
    assert_ne!(plugin.health().status.word(), "healthy");
    error.to_string()
}

/// Bytes of a list or a text at a place of the plugin's memory.
fn list(at: u32, length: usize) -> Vec<u8> {
    [at.to_le_bytes(), u32::try_from(length).unwrap().to_le_bytes()].concat()
}

const LOOP: &str = "(loop $l (br $l)) unreachable";
