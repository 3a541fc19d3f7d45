//! The way out: HTTP and sockets, allowed and denied, with servers that behave and servers that do not.

use super::{Guest, World, package, request};
use crate::wasm::{
    Plugin,
    egress::{Network, Resolver},
};
use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket, UnixListener},
};
use wharf_types::ErrorKind;

/// Answers with the next list each time; with the last one for ever.
#[derive(Default)]
struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<IpAddr>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let Some(answers) = answers.get_mut(host) else { return Err(io::Error::other("no such host")) };
        Ok(vec![if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }])
    }
}

fn names(all: &[(&str, &[&str])]) -> Arc<Names> {
    let addresses = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let answers = all.iter().map(|(name, ips)| ((*name).to_owned(), addresses(ips))).collect();
    Arc::new(Names { answers: Mutex::new(answers), asked: AtomicUsize::default() })
}

fn world(all: &[(&str, &[&str])]) -> World {
    World::on(Network { resolver: names(all), ..Network::new(Vec::new()) })
}

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

/// The body, or the words of the failure.
async fn told(plugin: &Plugin) -> Result<String, String> {
    plugin.authorizer().unwrap().judge(&request()).await.map(|decision| decision.rule).map_err(|e| e.to_string())
}

async fn outcome(world: &World, guest: &Guest, grants: &str) -> Result<String, String> {
    told(&world.with(guest, grants).await).await
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
    let head = read_head(&mut stream).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    head
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server that answers everybody so, and what it was asked.
async fn server(at: &str, text: String) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let head = answer(stream, &text).await;
            seen.lock().unwrap().push(head);
        }
    });
    (port, heads)
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

/// An authority, and a server's configuration with a certificate of it.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    fn signed(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn server(&self, name: &str, ask_clients: bool) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider).build().unwrap();
        let builder = if ask_clients { builder.with_client_cert_verifier(verifier) } else { builder.with_no_client_auth() };
        let (certificate, key) = self.signed(name, ExtendedKeyUsagePurpose::ServerAuth);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

fn trusting(authority: &Authority) -> World {
    let network = Network { resolver: names(&[("server.test", &["127.0.0.1"])]), ..Network::new(Vec::new()) };
    network.authorities.set(authority.roots()).unwrap();
    World::on(network)
}

async fn tls_server(config: ServerConfig, text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, &text).await;
            }
        }
    });
    port
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

/// Connects to this target at every decision, sends `ping`, and tells what it receives.
fn talking(case: u8, host: &str, port: u32, certificate: Option<&str>) -> Guest {
    let failed = |at: u32| {
        format!(
            "(if (i32.load8_u (i32.const {at})) (then
               (i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.load (i32.const {}))) (i32.store (i32.const 520) (i32.load (i32.const {})))
               (if (i32.eq (i32.load8_u (i32.const {})) (i32.const 2)) (then (i32.store (i32.const 516) (i32.const 610)) (i32.store (i32.const 520) (i32.const 6))))
               (return (i32.const 512))))",
            at + 8,
            at + 12,
            at + 4
        )
    };
    let (mut fields, open, certificate) = match certificate {
        None => (String::new(), String::new(), "(i32.const 0) (i32.const 0)"),
        Some(name) => (
            format!("(import \"wharf:host/secrets@0.1.0\" \"open\" (func $open (param i32 i32 i32))) (data (i32.const 1500) \"{name}\")"),
            format!(
                "(call $open (i32.const 1500) (i32.const {}) (i32.const 1600)) (if (i32.load8_u (i32.const 1600)) (then unreachable))",
                name.len()
            ),
            "(i32.const 1) (i32.load (i32.const 1604))",
        ),
    };
    fields.insert_str(
        0,
        "(import \"wharf:host/sockets@0.1.0\" \"connect\" (func $connect (param i32 i32 i32 i32 i32 i32 i32)))
         (import \"wharf:host/sockets@0.1.0\" \"[method]connection.send\" (func $send (param i32 i32 i32 i32)))
         (import \"wharf:host/sockets@0.1.0\" \"[method]connection.receive\" (func $receive (param i32 i32 i32)))
         (import \"wharf:host/sockets@0.1.0\" \"[resource-drop]connection\" (func $drop (param i32)))",
    );
    write!(fields, "(data (i32.const 600) \"ping\") (data (i32.const 610) \"closed\") (data (i32.const 1024) \"{host}\")").unwrap();
    let judge = format!(
        "(i32.store8 (i32.const 512) (i32.const 0)) {open}
         (call $connect (i32.const {case}) (i32.const 1024) (i32.const {}) (i32.const {port}) {certificate} (i32.const 704)) {}
         (call $send (i32.load (i32.const 708)) (i32.const 600) (i32.const 4) (i32.const 740)) {}
         (call $receive (i32.load (i32.const 708)) (i32.const 100) (i32.const 780)) {}
         (call $drop (i32.load (i32.const 708)))
         (i32.store (i32.const 532) (i32.load (i32.const 784))) (i32.store (i32.const 536) (i32.load (i32.const 788))) (i32.const 512)",
        host.len(),
        failed(704),
        failed(740),
        failed(780),
    );
    Guest { fields, ..Guest::judging(&judge) }
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut bytes = [0; 100];
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    let _ = stream.write_all(&[b"echo ", &bytes[..length]].concat()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn sockets_reach_what_is_allowed() {
    let world = world(&[("server.test", &["127.0.0.1"])]);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
    let path = world.dir.path().join("s");
    let unix = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            echo(stream).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = unix.accept().await {
            echo(stream).await;
        }
    });
    tokio::spawn(async move {
        let mut bytes = [0; 100];
        while let Ok((length, from)) = udp.recv_from(&mut bytes).await {
            let _ = udp.send_to(&[b"echo ", &bytes[..length]].concat(), from).await;
        }
    });
    let (path, number) = (path.to_str().unwrap(), u32::from(port));
    let near = format!("tcp:127.0.0.1:{port} udp:127.0.0.1:{port}");
    for (case, host, grant) in [
        (0, "server.test", format!("tcp:server.test:{port} {near}")),
        (0, "127.0.0.1", near.clone()),
        (2, "server.test", format!("udp:server.test:{port} {near}")),
        (3, path, format!("unix:{path}")),
    ] {
        let plugin = world.with(&talking(case, host, number, None), &grant).await;
        // More often than there are handles: what is dropped is gone.
        for _ in 0..70 {
            assert_eq!(told(&plugin).await.as_deref(), Ok("echo ping"), "{host}");
        }
    }
    for (case, host, grant, why) in [
        (0, "server.test", format!("tcp:server.test:{port}"), "is 127.0.0.1"),
        (0, "server.test", format!("tls:server.test:{port}"), "no permission tcp:server.test"),
        (1, "server.test", near.clone(), "no permission tls:server.test"),
        (2, "server.test", format!("udp:server.test:{port}"), "is 127.0.0.1"),
        (3, path, format!("unix:{path}x"), "no permission unix:"),
        (3, "/tmp/../etc/x", format!("unix:{path}"), "no permission unix:"),
    ] {
        let text = outcome(&world, &talking(case, host, number, None), &grant).await.unwrap_err();
        assert!(text.contains(why), "{host}: {text}");
    }
}

#[tokio::test]
async fn handles_have_an_end() {
    let world = world(&[]);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = tcp.accept().await {
            kept.push(stream);
        }
    });
    let mut guest = talking(0, "127.0.0.1", port.into(), None);
    guest.judge = "(loop $l (call $connect (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const PORT) (i32.const 0) (i32.const 0) (i32.const 704))
        (br_if $l (i32.eqz (i32.load8_u (i32.const 704)))))
        (i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.load (i32.const 712))) (i32.store (i32.const 520) (i32.load (i32.const 716))) (i32.const 512)"
        .replace("PORT", &port.to_string());
    let text = outcome(&world, &guest, &format!("tcp:127.0.0.1:{port}")).await.unwrap_err();
    assert_eq!(text, "an instance holds 64 secrets and connections at the most");
}

#[tokio::test]
async fn a_client_certificate_comes_from_a_secret() {
    let authority = Authority::new();
    let world = trusting(&authority);
    let secrets = world.dir.path().join("secrets/p");
    std::fs::create_dir_all(&secrets).unwrap();
    let (certificate, key) = authority.signed("client", ExtendedKeyUsagePurpose::ClientAuth);
    super::secrets::put(&secrets.join("CERT"), &format!("{}{}", certificate.pem(), key.serialize_pem()));
    super::secrets::put(&secrets.join("BAD"), "-----BEGIN hunter2\nhunter2");
    let port = tls_server(authority.server("server.test", true), "hello".to_owned()).await;
    // The server reads a head; it gets `ping` and waits for more, so it is the certificate that is proved here.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echoing = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(authority.server("server.test", true)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
    });
    let grants = format!("tls:server.test:{echoing} tls:127.0.0.1:{echoing} tls:server.test:{port} secret:CERT secret:BAD");
    let with = |certificate| talking(1, "server.test", echoing.into(), certificate);
    assert_eq!(outcome(&world, &with(Some("CERT")), &grants).await.as_deref(), Ok("echo ping"));
    assert!(outcome(&world, &with(None), &grants).await.is_err());
    let text = outcome(&world, &with(Some("BAD")), &grants).await.unwrap_err();
    assert!(text.contains("client certificate") && !text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn permissions_are_named_when_they_are_missing() {
    let world = world(&[]);
    for (guest, permission) in [(plain("http://x/"), "http:HOST"), (talking(0, "x", 1, None), "tcp:HOST:PORT")] {
        let refusal = world.host.load(package(guest.component(), "state")).await.err().unwrap();
        assert_eq!(refusal.kind(), ErrorKind::Forbidden);
        assert!(refusal.to_string().ends_with(permission), "{refusal}");
    }
}
