//! What a pull and a `docker run` wait for: unpacking a layer, and making, mounting, unmounting and removing a rw layer.

#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::time::{Duration, Instant};
use wharf_layers::{
    Layers,
    apply::{Whiteouts, apply},
};
use wharf_types::{ContainerId, Digest};

/// A layer like those of real images: many small files, some larger ones.
fn layer(files: usize) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for n in 0..files {
        let data = vec![n as u8; if n % 50 == 0 { 500_000 } else { 3_000 }];
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_cksum();
        builder.append_data(&mut header, format!("usr/share/d{}/file-{n}", n / 30), &data[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpacking(c: &mut Criterion) {
    let tar = layer(2000);
    let mut group = c.benchmark_group("apply");
    group.throughput(Throughput::Bytes(tar.len() as u64)).sample_size(10);
    group.bench_function("2000 files", |b| {
        b.iter_batched(
            || tempfile::tempdir().unwrap(),
            |dir| {
                apply(dir.path(), &mut &tar[..], Whiteouts::Overlay).unwrap();
                dir
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn rw_layers(c: &mut Criterion) {
    let tmp = tempfile::tempdir().unwrap();
    let layers = Layers::open(tmp.path(), "overlay2").unwrap();
    let mut top: Option<Digest> = None;
    for n in 0..5 {
        let tar = layer(n + 1);
        let diff_id = Digest::of(&tar);
        let chain = top.as_ref().map_or(diff_id.clone(), |p| Digest::of(format!("{p} {diff_id}").as_bytes()));
        layers.apply(top.as_ref(), &chain, &diff_id, &mut &tar[..]).unwrap();
        top = Some(chain);
    }
    type Step = fn(&Layers, &ContainerId, Option<&Digest>);
    let steps: [(&str, Step); 4] = [
        ("create", |l, id, top| l.create_rw(id, top).unwrap()),
        ("mount", |l, id, _| drop(l.mount(id).unwrap())),
        ("unmount", |l, id, _| l.unmount(id).unwrap()),
        ("remove", |l, id, _| l.remove_rw(id).unwrap()),
    ];
    for (measured, (name, _)) in steps.iter().enumerate() {
        c.bench_function(&format!("rw layer: {name}"), |b| {
            b.iter_custom(|rounds| {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    let id = ContainerId::random().unwrap();
                    for (n, (_, step)) in steps.iter().enumerate() {
                        let start = Instant::now();
                        step(&layers, &id, top.as_ref());
                        if n == measured {
                            total += start.elapsed();
                        }
                    }
                }
                total
            });
        });
    }
}

criterion_group!(benches, unpacking, rw_layers);
criterion_main!(benches);
