//! What a decision costs: a plugin that allows everything, a request with 1 KiB of input. `warm` is an instance that is there, `fresh` one
//! that is made for it, `load_from_cache` a plugin that is loaded from compiled code; `unix_socket` is a plugin of Docker's own protocol.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a benchmark that cannot run may panic

mod socket;
mod trivial;

use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use wharf_plugin_host::wasm::{Grants, Limits, Package, Settings, WasmHost};
use wharf_spi::authz::{Action, Authorizer, AuthzRequest, Caller, Object, ObjectKind, PeerCred, RawView};

fn request() -> AuthzRequest {
    AuthzRequest {
        caller: Caller {
            unix: Some(PeerCred { uid: 1000, gid: 1000, groups: vec![27, 999], pid: 4711, containers: None }),
            ..Caller::default()
        },
        action: Action("container.create"),
        api_version: "1.45".to_owned(),
        targets: vec![Object { id: "f".repeat(64), name: "web".to_owned(), ..Object::named(ObjectKind::Image, "nginx:1") }],
        exposure: None,
        input: format!(r#"{{"name":"c","body":{{"Image":"{}"}}}}"#, "x".repeat(995)),
        http: RawView { method: "POST".to_owned(), uri: "/v1.45/containers/create".to_owned(), headers: Vec::new() },
    }
}

fn package() -> Package {
    let limits = Limits { instances: Some(4), ..Limits::default() };
    Package {
        name: "bench".to_owned(),
        wasm: trivial::plugin(),
        schema: None,
        settings: serde_json::Value::Null,
        grants: Grants::default(),
        limits,
    }
}

fn benches(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(dir.path().join("cache"), dir.path().join("state"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let host = WasmHost::new(settings).unwrap();
    let plugin = runtime.block_on(host.load(package())).unwrap();
    let authorizer = plugin.authorizer().unwrap();
    let rq = request();

    let (p50, p99, max) = runtime.block_on(quantiles(&*authorizer, &rq));
    println!("warm decision: p50 {p50:?}, p99 {p99:?}, max {max:?}");

    let mut group = c.benchmark_group("authz");
    group.measurement_time(Duration::from_secs(5));
    group.bench_function("warm", |b| {
        b.iter_custom(|n| {
            runtime.block_on(async {
                let began = Instant::now();
                for _ in 0..n {
                    black_box(authorizer.judge(&rq).await.unwrap());
                }
                began.elapsed()
            })
        });
    });
    let other = runtime.block_on(socket::plugin(dir.path()));
    let (p50, p99, max) = runtime.block_on(quantiles(&*other, &rq));
    println!("decision over a unix socket: p50 {p50:?}, p99 {p99:?}, max {max:?}");
    group.bench_function("unix_socket", |b| {
        b.iter_custom(|n| {
            runtime.block_on(async {
                let began = Instant::now();
                for _ in 0..n {
                    black_box(other.judge(&rq).await.unwrap());
                }
                began.elapsed()
            })
        });
    });
    // A new instance with its start, interests and reload, the old one dropped, and one decision.
    group.bench_function("fresh", |b| {
        b.iter_custom(|n| {
            runtime.block_on(async {
                let began = Instant::now();
                for _ in 0..n {
                    plugin.reload(serde_json::Value::Null).await.unwrap();
                    black_box(authorizer.judge(&rq).await.unwrap());
                }
                began.elapsed()
            })
        });
    });
    group.bench_function("load_from_cache", |b| {
        b.iter_custom(|n| {
            runtime.block_on(async {
                let mut total = Duration::ZERO;
                for _ in 0..n {
                    let package = package();
                    let began = Instant::now();
                    let plugin = host.load(package).await.unwrap();
                    total += began.elapsed();
                    plugin.stop().await;
                }
                total
            })
        });
    });
    group.finish();
    println!("idle plugin: {} KiB", runtime.block_on(idle(&host)));
}

async fn quantiles(authorizer: &dyn Authorizer, rq: &AuthzRequest) -> (Duration, Duration, Duration) {
    let mut times = Vec::with_capacity(100_000);
    for _ in 0..100_000 {
        let began = Instant::now();
        black_box(authorizer.judge(rq).await.unwrap());
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    (at(50), at(99), times.last().copied().unwrap_or_default())
}

/// Private memory that one more loaded plugin takes, in KiB.
async fn idle(host: &WasmHost) -> u64 {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let line = text.lines().find(|line| line.starts_with("Private_Dirty:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut plugins = vec![host.load(package()).await.unwrap()];
    let before = resident();
    for _ in 0..100 {
        plugins.push(host.load(package()).await.unwrap());
    }
    let each = resident().saturating_sub(before) / 100;
    drop(plugins);
    each
}

criterion_group!(authz, benches);
criterion_main!(authz);
