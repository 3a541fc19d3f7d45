//! HTTP: what is allowed and denied, with servers that behave and servers that do not.

use super::{
    Guest, World, package,
    servers::{Authority, names, ok, outcome, read_head, server, tls_server, told, trusting, world},
};
use crate::wasm::egress::Network;
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use wharf_types::ErrorKind;

const SEND: &str =
    "(import \"wharf:host/http@0.1.0\" \"send\" (func $http-send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))";

/// Sends a GET at every decision, with these pieces of WebAssembly for the secret headers and the timeout; allows with the body as
/// the rule, or answers the failure's words as an error.
fn getting(url: &str, secrets: &str, timeout: Option<u32>) -> Guest {
    let (some, limit) = timeout.map_or((0, 0), |limit| (1, limit));
    let judge = format!(
        "(i32.store8 (i32.const 512) (i32.const 0))
         (call $http-send (i32.const 600) (i32.const 3) (i32.const 1024) (i32.const {}) (i32.const 0) (i32.const 0) {secrets}
           (i32.const 0) (i32.const 0) (i32.const {some}) (i32.const {limit}) (i32.const 704))
         (if (i32.load8_u (i32.const 704))
           (then
             (i32.store8 (i32.const 512) (i32.const 1))
             (if (i32.eq (i32.load8_u (i32.const 708)) (i32.const 2))
               (then (i32.store (i32.const 516) (i32.const 610)) (i32.store (i32.const 520) (i32.const 7)))
               (else (i32.store (i32.const 516) (i32.load (i32.const 712))) (i32.store (i32.const 520) (i32.load (i32.const 716))))))
           (else (i32.store (i32.const 532) (i32.load (i32.const 720))) (i32.store (i32.const 536) (i32.load (i32.const 724)))))
         (i32.const 512)",
        url.len()
    );
    let fields = format!("{SEND} (data (i32.const 600) \"GET\") (data (i32.const 610) \"timeout\") (data (i32.const 1024) \"{url}\")");
    Guest { fields, ..Guest::judging(&judge) }
}

fn plain(url: &str) -> Guest {
    getting(url, "(i32.const 0) (i32.const 0)", None)
}

#[tokio::test]
async fn what_is_allowed_is_sent() {
    let world = world(&[("server.test", &["127.0.0.1"])]);
    let (port, heads) = server("127.0.0.1", ok("hello")).await;
    let guest = plain(&format!("http://Server.test:{port}/a/b?c=d#e"));
    assert_eq!(outcome(&world, &guest, &format!("http:server.test http:127.0.0.1:{port}")).await.unwrap(), "hello");
    let head = heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /a/b?c=d http/1.1\r\n") && head.contains(&format!("host: server.test:{port}\r\n")), "{head}");
    let guest = plain(&format!("http://[::ffff:127.0.0.1]:{port}/"));
    assert_eq!(outcome(&world, &guest, &format!("http:127.0.0.1:{port}")).await.unwrap(), "hello", "one address, two ways to write it");
}

#[tokio::test]
async fn what_is_not_allowed_is_not_connected_to() {
    let world = world(&[("server.test", &["127.0.0.1"]), ("metadata.test", &["169.254.169.254"]), ("mapped.test", &["::ffff:127.0.0.1"])]);
    let (port, heads) = server("127.0.0.1", ok("hello")).await;
    for (host, grants, why) in [
        ("server.test", "http:other.test", "no permission http:server.test"),
        ("server.test", "http:server.test:1", "no permission http:server.test"),
        ("server.test", "http:server.test", "server.test is 127.0.0.1, an address of this host"),
        ("mapped.test", "http:mapped.test", "needs the permission http:127.0.0.1"),
        ("metadata.test", "http:metadata.test", "needs the permission http:169.254.169.254"),
        ("127.0.0.1", "http:server.test", "no permission http:127.0.0.1"),
        ("[::1]", "http:127.0.0.1", "no permission http:[::1]"),
        ("unknown.test", "http:unknown.test", "no such host"),
    ] {
        let text = outcome(&world, &plain(&format!("http://{host}:{port}/")), grants).await.unwrap_err();
        assert!(text.contains(why), "{host}: {text}");
    }
    for (url, why) in
        [("ftp://server.test/", "http:// or https://"), ("http://user@server.test/", "without a user"), ("nonsense", "http:// or")]
    {
        assert!(outcome(&world, &plain(url), "http:server.test").await.unwrap_err().contains(why), "{url}");
    }
    assert_eq!(heads.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_name_is_resolved_once() {
    let names = names(&[("server.test", &["127.0.0.2", "127.0.0.1"])]);
    let world = World::on(Network { resolver: names.clone(), ..Network::new(Vec::new()) });
    let (port, _) = server("127.0.0.2", ok("right")).await;
    // Whoever is asked a second time says the address of this one.
    let wrong = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let plugin = world.with(&plain(&format!("http://server.test:{port}/")), "http:server.test http:127.0.0.2").await;
    assert_eq!(told(&plugin).await.unwrap(), "right");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    assert!(told(&plugin).await.unwrap_err().contains("server.test is 127.0.0.1"), "and judged again the next time");
    assert!(tokio::time::timeout(Duration::from_millis(50), wrong.accept()).await.is_err());
}

#[tokio::test]
async fn redirections_are_answers() {
    let world = world(&[("server.test", &["127.0.0.1"])]);
    let (inner, seen) = server("127.0.0.1", ok("inner")).await;
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 5\r\n\r\nmoved");
    let (port, _) = server("127.0.0.1", moved).await;
    let guest = plain(&format!("http://server.test:{port}/"));
    assert_eq!(outcome(&world, &guest, "http:server.test http:127.0.0.1").await.unwrap(), "moved");
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn slow_servers_meet_deadlines() {
    let world = world(&[]);
    let (port, _) = server("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow".to_owned()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let began = Instant::now();
    assert_eq!(outcome(&world, &plain(&url), "http:127.0.0.1").await.unwrap_err(), "it did not answer within 300ms");
    assert!(began.elapsed() >= Duration::from_millis(300));
    let timed = getting(&url, "(i32.const 0) (i32.const 0)", Some(30));
    assert_eq!(outcome(&world, &timed, "http:127.0.0.1").await.unwrap_err(), "timeout");
    let text = outcome(&world, &plain(&format!("http://127.0.0.1:{port}/")), "http:127.0.0.1").await.unwrap_err();
    assert!(text.contains("end of file"), "an answer that ends early: {text}");
    let (port, _) = server("127.0.0.1", "SSH-2.0-x\r\n\r\n".to_owned()).await;
    let text = outcome(&world, &plain(&format!("http://127.0.0.1:{port}/")), "http:127.0.0.1").await.unwrap_err();
    assert!(text.contains("invalid"), "{text}");
    drop(silent);
    assert!(outcome(&world, &plain(&url), "http:127.0.0.1").await.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn answers_have_an_end() {
    let world = world(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::default());
    let counted = Arc::clone(&sent);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let chunk = [b"100000\r\n".as_slice(), &vec![0; 1 << 20], b"\r\n"].concat();
        while stream.write_all(&chunk).await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut package = package(plain(&url).component(), "http:127.0.0.1");
    package.limits.deadline = Some(Duration::from_secs(30));
    let plugin = world.host.load(package).await.unwrap();
    assert_eq!(told(&plugin).await.unwrap_err(), "the answer is larger than 16777216 bytes");
    assert!(sent.load(Ordering::SeqCst) < 32);
    let (port, _) = server("127.0.0.1", format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Y: z\r\n".repeat(1000))).await;
    let text = outcome(&world, &plain(&format!("http://127.0.0.1:{port}/")), "http:127.0.0.1").await.unwrap_err();
    assert!(text.contains("too large") || text.contains("headers"), "{text}");
    // More than the plugin's own memory has room for: that is the plugin's end.
    let (port, _) = server("127.0.0.1", ok(&"x".repeat(5 << 20))).await;
    let text = outcome(&world, &plain(&format!("http://127.0.0.1:{port}/")), "http:127.0.0.1").await.unwrap_err();
    assert!(text.contains("it needed more than") || text.contains("it crashed"), "{text}");
}

#[tokio::test]
async fn secret_headers_are_sent_and_not_seen() {
    let world = world(&[]);
    let secrets = world.dir.path().join("secrets/p");
    std::fs::create_dir_all(&secrets).unwrap();
    super::secrets::put(&secrets.join("TOKEN"), "hunter2\n");
    super::secrets::put(&secrets.join("BAD"), "hun\nter2\n");
    let (port, heads) = server("127.0.0.1", ok("hello")).await;
    // open(name) at 1500 answers at 1600; the header is at 1700.
    let guest = |name: &str| {
        let header = format!(
            "(block (result i32)
               (call $open (i32.const 1500) (i32.const {}) (i32.const 1600)) (if (i32.load8_u (i32.const 1600)) (then unreachable))
               (i32.store (i32.const 1700) (i32.const 1520)) (i32.store (i32.const 1704) (i32.const 13))
               (i32.store (i32.const 1708) (i32.const 1540)) (i32.store (i32.const 1712) (i32.const 7))
               (i32.store (i32.const 1716) (i32.load (i32.const 1604))) (i32.const 1700)) (i32.const 1)",
            name.len()
        );
        let mut guest = getting(&format!("http://127.0.0.1:{port}/"), &header, None);
        let more = "(import \"wharf:host/secrets@0.1.0\" \"open\" (func $open (param i32 i32 i32)))";
        guest.fields.insert_str(0, more);
        write!(
            guest.fields,
            "(data (i32.const 1500) \"{name}\") (data (i32.const 1520) \"Authorization\") (data (i32.const 1540) \"Bearer \")"
        )
        .unwrap();
        guest
    };
    let plugin = world.with(&guest("TOKEN"), "http:127.0.0.1 secret:TOKEN").await;
    assert_eq!(told(&plugin).await.unwrap(), "hello");
    assert!(heads.lock().unwrap()[0].contains("\r\nauthorization: Bearer hunter2\r\n"), "{heads:?}");
    let text = outcome(&world, &guest("BAD"), "http:127.0.0.1 secret:BAD").await.unwrap_err();
    assert!(text.contains("\"Authorization\": its value cannot be one") && !text.contains("ter2"), "{text}");
}

#[tokio::test]
async fn https_believes_the_hosts_authorities_only() {
    let (good, evil) = (Authority::new(), Authority::new());
    let world = trusting(&good);
    let grants = "http:server.test http:127.0.0.1";
    let right = tls_server(good.server("server.test", false), ok("secure")).await;
    assert_eq!(outcome(&world, &plain(&format!("https://server.test:{right}/")), grants).await.unwrap(), "secure");
    for (config, why) in
        [(evil.server("server.test", false), "invalid peer certificate"), (good.server("other.test", false), "not valid for name")]
    {
        let port = tls_server(config, ok("secure")).await;
        let text = outcome(&world, &plain(&format!("https://server.test:{port}/")), grants).await.unwrap_err();
        assert!(text.contains("TLS with server.test") && text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn permissions_are_named_when_they_are_missing() {
    let world = world(&[]);
    for (guest, permission) in [(plain("http://x/"), "http:HOST"), (super::sockets::talking(0, "x", 1, None), "tcp:HOST:PORT")] {
        let refusal = world.host.load(package(guest.component(), "state")).await.err().unwrap();
        assert_eq!(refusal.kind(), ErrorKind::Forbidden);
        assert!(refusal.to_string().ends_with(permission), "{refusal}");
    }
}
