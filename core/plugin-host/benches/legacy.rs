//! A decision by a plugin of Docker's protocol on a unix socket, with a body of 1 KiB. The plugin is as quick as one can be (it
//! answers without looking), in a thread of its own; what is measured is the way there and back.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a benchmark that cannot run may panic

use criterion::{Criterion, criterion_group, criterion_main};
use std::{
    hint::black_box,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
};
use tokio::runtime::Builder;
use wharf_plugin_host::legacy::{Address, Http, LegacyPlugin, Timeouts};
use wharf_spi::authz::{Action, AuthzRequest, Caller, RawView};

fn serve(mut stream: UnixStream) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let (mut filled, mut length) = (0, None);
        while length.is_none_or(|length| filled < length) {
            match stream.read(&mut bytes[filled..]) {
                Ok(0) | Err(_) => return,
                Ok(read) => filled += read,
            }
            if let Some(head) = bytes[..filled].windows(4).position(|w| w == b"\r\n\r\n") {
                let text = std::str::from_utf8(&bytes[..head]).unwrap().to_ascii_lowercase();
                let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
                length = Some(head + 4 + body);
            }
        }
        let answer = if bytes.starts_with(b"POST /Plugin.Activate") { r#"{"Implements":["authz"]}"# } else { r#"{"Allow":true}"# };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    }
}

fn plugin(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(|| serve(stream)))));
}

fn request() -> AuthzRequest {
    AuthzRequest {
        caller: Caller::default(),
        action: Action("container.create"),
        api_version: "1.45".to_owned(),
        targets: Vec::new(),
        exposure: None,
        input: format!(r#"{{"name":"c","body":{{"Image":"{}"}}}}"#, "x".repeat(1012)),
        http: RawView { method: "POST".to_owned(), uri: "/v1.45/containers/create?name=c".to_owned(), headers: Vec::new() },
    }
}

fn benches(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("x.sock");
    plugin(&socket);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let rq = request();
    let activated =
        runtime.block_on(LegacyPlugin::activate("x", Arc::new(Http::new(&Address::unix(&socket)).unwrap()), Timeouts::default()));
    let authorizer = activated.unwrap().authorizer().unwrap();
    c.bench_function("legacy/judge-1k", |b| {
        b.iter(|| black_box(runtime.block_on(authorizer.judge(&rq)).unwrap()));
    });
}

criterion_group!(legacy, benches);
criterion_main!(legacy);
