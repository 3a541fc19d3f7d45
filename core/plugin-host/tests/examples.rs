//! The examples of the SDK, run by the engine: what an author writes is what the engine's traits see.
//!
//! They are looked for in `WHARF_PLUGINS`, where all of them must be. Without that variable they are looked for in
//! `target/plugins`, where `make plugins` puts them, and a test whose example is not there says so and does nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot run may panic")]

use serde_json::{Value, json};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::Arc,
};
use wharf_plugin_host::{
    Runner,
    legacy::{Discovery, NativePlugins},
    wasm::{Grants, Kind, Limits, Package, Plugin, Settings, WasmHost},
};
use wharf_spi::{
    authz::{Action, AuthzRequest, Caller, PeerCred, RawView, Verdict},
    ipam::{LeaseOwner, PoolRequest},
    logging::{
        LogContainer, Outcome,
        batch::{Entry, Stream, append, entries},
    },
    metrics::{Family, Number, Series},
    plugin::PluginRunner,
    volume::{Answer, Publication, Volume},
};
use wharf_types::{ErrorKind, Timestamp};

struct World {
    host: WasmHost,
    _dir: tempfile::TempDir,
}

struct Example {
    name: &'static str,
    component: PathBuf,
}

/// Where an example is, when it was built.
fn example(name: &'static str) -> Option<Example> {
    let must = std::env::var_os("WHARF_PLUGINS");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")), PathBuf::from);
    let dir = must.clone().map_or_else(|| target.join("plugins"), PathBuf::from);
    let component = dir.join(name).join("rootfs/plugin.wasm");
    if component.is_file() {
        return Some(Example { name, component });
    }
    assert!(must.is_none(), "{} is not there", component.display());
    eprintln!("NOT TESTED: {} is not there; `make plugins` builds it", component.display());
    None
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(dir.path().join("cache"), dir.path().join("state"));
        let settings = Settings { secrets: dir.path().join("secrets"), ..settings };
        Self { host: WasmHost::new(settings).unwrap(), _dir: dir }
    }

    async fn load(&self, example: &Example, settings: Value, permissions: &str) -> Plugin {
        let wasm = std::fs::read(&example.component).unwrap();
        let grants: Grants = permissions.parse().unwrap();
        let name = example.name.to_owned();
        self.host.load(Package { name, wasm, schema: None, settings, grants, limits: Limits::default() }).await.unwrap()
    }

    /// The kinds and imports of an example.
    async fn imports(&self, example: &Example) -> (Vec<Kind>, Vec<String>) {
        let described = self.host.describe(std::fs::read(&example.component).unwrap()).await.unwrap();
        let short = |import: &String| import.trim_start_matches("wharf:host/").trim_end_matches("@0.1.0").to_owned();
        (described.kinds, described.imports.iter().map(short).collect())
    }
}

#[tokio::test]
async fn what_is_not_called_is_not_imported() {
    let world = World::new();
    for (name, kinds, imports) in [
        ("authz-casbin", &[Kind::Authz][..], &["config", "files", "log"][..]),
        ("example-authz", &[Kind::Authz], &["log"]),
        ("example-log-driver", &[Kind::Logging], &["log", "metrics"]),
        ("example-log-transform", &[Kind::LogTransform], &["config", "log"]),
        ("example-volume-driver", &[Kind::Volume], &["config", "log", "secrets"]),
        ("example-metrics-sink", &[Kind::Metrics], &["config", "log"]),
        ("example-ipam-driver", &[Kind::Ipam], &["log", "state"]),
        ("example-several", &[Kind::Logging, Kind::Metrics], &["events", "log", "objects", "state", "timers"]),
    ] {
        let Some(example) = example(name) else { continue };
        let (found, mut imported) = world.imports(&example).await;
        imported.sort();
        assert_eq!((name, found.as_slice(), imported), (name, kinds, imports.iter().map(ToString::to_string).collect()));
    }
}

#[tokio::test]
async fn an_authorizer() {
    let Some(example) = example("example-authz") else { return };
    let plugin = World::new().load(&example, Value::Null, "").await;
    let ask = async |uid, action| {
        let unix = Some(PeerCred { uid, ..PeerCred::default() });
        let request = AuthzRequest {
            caller: Caller { unix, ..Caller::default() },
            action: Action(action),
            api_version: "1.45".to_owned(),
            targets: Vec::new(),
            exposure: None,
            input: String::new(),
            http: RawView::default(),
        };
        plugin.authorizer().unwrap().judge(&request).await.unwrap().verdict
    };
    assert_eq!(ask(0, "container.create").await, Verdict::Allow);
    assert_eq!(ask(7, "container.list").await, Verdict::Allow);
    assert_eq!(ask(7, "container.create").await, Verdict::deny("only root may do container.create"));
}

fn container(name: &str) -> LogContainer {
    let text = str::to_owned;
    LogContainer {
        id: text("1"),
        name: text(name),
        image_id: text("2"),
        image_name: text("alpine"),
        command: text("sh"),
        created: Timestamp::from_nanos(0),
        labels: Vec::new(),
        env: Vec::new(),
    }
}

fn batch(lines: &[&str]) -> Vec<u8> {
    let mut batch = Vec::new();
    for line in lines {
        append(&mut batch, &Entry { time: 5, stream: Stream::Err, partial: false, line: line.as_bytes() }).unwrap();
    }
    batch
}

#[tokio::test]
async fn a_log_driver() {
    let Some(example) = example("example-log-driver") else { return };
    let plugin = World::new().load(&example, Value::Null, "metrics").await;
    let driver = plugin.log_driver().unwrap();
    let refusal = driver.validate(&[("colour".to_owned(), "red".to_owned())]).await.unwrap_err();
    assert_eq!((refusal.kind(), refusal.message()), (ErrorKind::InvalidParameter, "unknown log opt 'colour' for this log driver"));
    let (mut web, mut db) = (driver.open(&container("web"), &[], 0).await.unwrap(), driver.open(&container("db"), &[], 40).await.unwrap());
    for cursor in 1..=3 {
        assert_eq!(web.push(&batch(&["a", "b"]), cursor).await.unwrap(), Outcome::Committed);
    }
    db.push(&batch(&["a"]), 41).await.unwrap();
    let error = db.push(b"garbage", 42).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::System, "entry 0 of the batch is broken"));
    // Another instance: the sink goes on where it was.
    plugin.reload(Value::Null).await.unwrap();
    db.push(&batch(&["a"]), 42).await.unwrap();
    web.close().await.unwrap();
    drop(db);
    assert!(plugin.log().iter().any(|line| line.ends_with("db begins after 41")), "{:?}", plugin.log());
    let lines: Vec<_> = plugin.series().0.into_iter().map(|s| format!("{} {:?} {:?}", s.name, s.labels, s.number)).collect();
    assert_eq!(lines, [r#"lines [("container", "db")] Counter(2.0)"#, r#"lines [("container", "web")] Counter(6.0)"#]);
}

#[tokio::test]
async fn a_log_transform() {
    let Some(example) = example("example-log-transform") else { return };
    let plugin = World::new().load(&example, json!({"WORDS": ["secret", "pin"]}), "").await;
    let made = plugin.log_transform().unwrap().apply(&batch(&["a secret, a pin", "", "x"])).await.unwrap();
    let lines: Vec<_> = entries(&made).map(|entry| String::from_utf8_lossy(entry.unwrap().line).into_owned()).collect();
    assert_eq!(lines, ["a ***, a ***", "x"]);
}

#[tokio::test]
async fn a_volume_driver() {
    let Some(example) = example("example-volume-driver") else { return };
    let world = World::new();
    let plugin = world.load(&example, json!({"SHARE": "//server/x", "USER": "me"}), "mount:cifs secret:PASSWORD").await;
    let driver = plugin.volume_driver().unwrap();
    assert!(driver.capabilities().await.unwrap().global);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(driver.validate(&[pair("size", "1")]).await.unwrap_err().message(), "unknown option size=1: there is read-only=true");
    let volume = Volume { name: "data".to_owned(), id: "1".to_owned(), options: vec![pair("read-only", "true")], labels: Vec::new() };
    assert_eq!(driver.create("k", &volume).await.unwrap(), Answer::Done);
    assert!(driver.publish("k", &volume).await.unwrap_err().message().contains("secret PASSWORD: "));
    let secrets = world.host.secrets("example-volume-driver").unwrap();
    DirBuilder::new().recursive(true).mode(0o700).create(&secrets).unwrap();
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(secrets.join("PASSWORD")).unwrap().write_all(b"hunter2\n").unwrap();
    let Publication::Ready(plan) = driver.publish("k", &volume).await.unwrap() else { panic!("pending") };
    assert_eq!((plan.options.as_slice(), plan.secrets[0].0.as_str()), (&["username=me".to_owned()][..], "password="));
    assert_eq!(plan.secrets[0].1.expose(), b"hunter2");
    assert_eq!((plan.source.as_str(), plan.subdirectory.as_str(), plan.read_only), ("//server/x", "data", true));
    // A name that would lead out of the share is not passed on.
    let error = driver.publish("k", &Volume { name: "../etc".to_owned(), ..volume }).await.unwrap_err();
    assert!(error.message().contains("no directory below a mount"), "{error}");
}

#[tokio::test]
async fn a_metrics_sink() {
    let Some(example) = example("example-metrics-sink") else { return };
    let plugin = World::new().load(&example, json!({"NAMES": ["wharf_c"]}), "").await;
    let sink = plugin.metrics_sink().unwrap();
    assert!(sink.interest().wants("wharf_containers") && !sink.interest().wants("wharf_images"));
    let series = vec![Series { labels: vec![("state".to_owned(), "running".to_owned())], value: Number::Gauge(3.0) }];
    let family = Family { name: "wharf_containers".to_owned(), help: String::new(), series };
    sink.push(Timestamp::from_nanos(7), &[family]).await.unwrap();
    assert!(plugin.log().iter().any(|line| line.ends_with("7 wharf_containers{state=running} 3")), "{:?}", plugin.log());
}

#[tokio::test]
async fn an_ipam_driver() {
    let Some(example) = example("example-ipam-driver") else { return };
    let world = World::new();
    let plugin = world.load(&example, Value::Null, "state").await;
    let driver = plugin.ipam_driver().unwrap();
    let request = PoolRequest { subnet: Some("10.1.0.0/29".parse().unwrap()), ..PoolRequest::default() };
    let pool = driver.open_pool("p", &request).await.unwrap();
    assert!(driver.open_pool("q", &PoolRequest::default()).await.is_err());
    let owner = |endpoint: &str| LeaseOwner { endpoint: endpoint.to_owned(), ..LeaseOwner::default() };
    let mut leases = Vec::new();
    for n in 0..5 {
        let lease = driver.allocate(&format!("k{n}"), &pool, &owner(&format!("e{n}")), None).await.unwrap();
        assert_eq!(lease.address.to_string(), format!("10.1.0.{}", n + 2));
        leases.push(lease);
    }
    assert!(driver.allocate("k9", &pool, &owner("e9"), None).await.unwrap_err().message().contains("no free address"));
    assert_eq!(driver.allocate("k1", &pool, &owner("e1"), None).await.unwrap(), leases[1], "the same call again");
    driver.release("r", &leases[1]).await.unwrap();
    assert_eq!(driver.usage(&pool).await.unwrap().used, 4);

    // What was leased survives the end of the plugin.
    plugin.stop().await;
    drop(plugin);
    let plugin = world.load(&example, Value::Null, "state").await;
    let driver: Arc<_> = plugin.ipam_driver().unwrap();
    let taken = driver.allocate("k9", &pool, &owner("e9"), Some("10.1.0.2".parse().unwrap())).await.unwrap_err();
    assert_eq!(taken.message(), "10.1.0.2 is not free");
    driver.reconcile(&leases[..1]).await.unwrap();
    assert_eq!(driver.usage(&pool).await.unwrap().used, 1);
    driver.close_pool("p", &pool).await.unwrap();
    assert_eq!(driver.usage(&pool).await.unwrap().used, 0);
}

#[tokio::test]
async fn several_kinds() {
    let Some(example) = example("example-several") else { return };
    let world = World::new();
    let plugin = world.load(&example, Value::Null, "events objects:container state timers").await;
    assert!(plugin.authorizer().is_none() && plugin.log_transform().is_none() && plugin.ipam_driver().is_none());
    let mut sink = plugin.log_driver().unwrap().open(&container("web"), &[], 0).await.unwrap();
    sink.push(&batch(&["a", "b"]), 1).await.unwrap();
    sink.push(&batch(&["c"]), 2).await.unwrap();
    let series = vec![Series { labels: Vec::new(), value: Number::Counter(1.0) }];
    let family = Family { name: "wharf_x".to_owned(), help: String::new(), series };
    plugin.metrics_sink().unwrap().push(Timestamp::from_nanos(7), &[family]).await.unwrap();
    sink.close().await.unwrap();
    let calls = plugin.statistics();
    let of = |function: &str| calls.iter().find(|(name, _)| *name == function).unwrap().1.seconds.count;
    assert_eq!((of("start"), of("logging.push"), of("metrics.push")), (2, 2, 1));
    assert_eq!(plugin.health().status.word(), "healthy");
}

/// As the engine has them: described when they are created, loaded when they are enabled.
#[tokio::test]
async fn through_the_runner() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(dir.path().join("cache"), dir.path().join("state"));
    let runner = Runner::new(settings, Discovery::default(), NativePlugins::Refused);
    for (name, permissions, faces) in [
        ("example-authz", &[][..], [true, false, false, false, false, false]),
        ("example-several", &["events", "objects:container", "state", "timers"], [false, true, false, false, true, false]),
        ("example-log-transform", &[], [false, false, true, false, false, false]),
        ("example-volume-driver", &["mount:cifs", "secret:PASSWORD"], [false, false, false, true, false, false]),
        ("example-ipam-driver", &["state"], [false, false, false, false, false, true]),
    ] {
        let Some(Example { component, .. }) = example(name) else { continue };
        let described = runner.describe(component.clone()).await.unwrap();
        let schema = std::fs::read(component.with_file_name("settings.schema.json")).ok();
        let package = wharf_spi::plugin::Package {
            name: name.to_owned(),
            component,
            digest: described.digest,
            schema: schema.map(|text| serde_json::from_slice(&text).unwrap()),
            settings: Value::Null,
            permissions: permissions.iter().map(ToString::to_string).collect(),
            memory: None,
        };
        let running = runner.load(package).await.unwrap();
        let found = [
            running.authorizer().is_some(),
            running.log_driver().is_some(),
            running.log_transform().is_some(),
            running.volume_driver().is_some(),
            running.metrics_sink().is_some(),
            running.ipam_driver().is_some(),
        ];
        assert_eq!(found, faces, "{name}");
        assert_eq!(running.health().status.word(), "healthy");
        running.stop().await;
    }
}
