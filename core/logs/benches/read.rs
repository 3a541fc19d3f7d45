//! Reading a whole log: bytes of the file per second.

#![allow(clippy::unwrap_used)] // a benchmark that cannot run may panic

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{hint::black_box, path::Path};
use tokio_stream::StreamExt;
use wharf_logs::{LogFile, LogFormat, LogQuery, Tail, read};
use wharf_shim_proto::journal::{Source, json_file, local};
use wharf_types::Timestamp;

const LINES: i64 = 400_000;
const LINE: &[u8] = b"2026-01-02 INFO request served path=/v1/items status=200 duration=12ms bytes=5120 user=none peer=10.0.0";

fn json(path: &Path, attrs: &[u8]) {
    let (mut out, mut tail) = (Vec::new(), json_file::Tail::default());
    for n in 0..LINES {
        tail.set(Source::Stdout, attrs, Timestamp::from_nanos(1_700_000_000_000_000_000 + n * 1_234_567));
        json_file::encode(&mut out, LINE, true, &tail);
    }
    std::fs::write(path, out).unwrap();
}

fn compact(path: &Path) {
    let mut out = Vec::new();
    for n in 0..LINES {
        local::encode(&mut out, Source::Stdout, Timestamp::from_nanos(1_700_000_000_000_000_000 + n * 1_234_567), LINE, None);
    }
    std::fs::write(path, out).unwrap();
}

fn benches(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    json(&at("plain"), b"");
    json(&at("attrs"), &json_file::attrs(&[("app".to_owned(), "web".to_owned())].into()));
    compact(&at("local"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let plain = LogFormat { multiplexed: true, ..LogFormat::default() };
    let mut group = c.benchmark_group("read");
    group.sample_size(10);
    for (name, file, format, tail) in [
        ("json-file", LogFile::JsonFile(at("plain")), plain, Tail::All),
        ("json-file with timestamps", LogFile::JsonFile(at("plain")), LogFormat { timestamps: true, ..plain }, Tail::All),
        ("json-file with attributes", LogFile::JsonFile(at("attrs")), plain, Tail::All),
        ("json-file with details", LogFile::JsonFile(at("attrs")), LogFormat { details: true, ..plain }, Tail::All),
        ("local", LogFile::Local(at("local")), plain, Tail::All),
        ("last 100 lines of json-file", LogFile::JsonFile(at("plain")), plain, Tail::Lines(100)),
    ] {
        let path = match &file {
            LogFile::JsonFile(path) | LogFile::Local(path) => path,
        };
        group.throughput(Throughput::Bytes(std::fs::metadata(path).unwrap().len()));
        let query = LogQuery { stdout: true, stderr: true, since: None, until: None, tail, follow: false };
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                runtime.block_on(async {
                    let mut chunks = std::pin::pin!(read(file.clone(), query, format, tokio::sync::watch::channel(false).1));
                    while let Some(chunk) = chunks.next().await {
                        black_box(chunk.unwrap());
                    }
                });
            });
        });
    }
}

criterion_group!(all, benches);
criterion_main!(all);
