//! Logins at registries that behave, and at some that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use axum::{
    Form, Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use wharf_registry::{Address, Client, Credentials, Insecure, Options};
use wharf_types::{ErrorKind, Result};

type Fields = BTreeMap<String, String>;
/// What a token server was asked: the method, then query or form, with the header `Authorization` when there was one.
type Asked = Arc<Mutex<Vec<(&'static str, Fields)>>>;

fn client() -> Client {
    client_with(Vec::new())
}

fn client_with(certs: Vec<PathBuf>) -> Client {
    Client::new(Options { certs, agent: "wharf/test".to_owned(), timeout: Duration::from_secs(2) })
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn ann(password: &str) -> Credentials {
    Credentials { username: "ann".to_owned(), password: password.to_owned(), ..Credentials::default() }
}

async fn login(registry: impl ToString, credentials: &Credentials) -> Result<String> {
    let registry = Address::parse(&registry.to_string()).unwrap();
    client().login(&registry, credentials, &Insecure::parse(Vec::new()).unwrap(), "test").await
}

/// The kind and the text of a failure, with the registry's address as `HOST`.
async fn refused(address: SocketAddr, credentials: &Credentials) -> (ErrorKind, String) {
    let error = login(address, credentials).await.unwrap_err();
    (error.kind(), error.message().replace(&address.to_string(), "HOST"))
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// A registry with this challenge that takes this `Authorization`.
fn registry(challenge: impl ToString, takes: impl ToString) -> Router {
    let (challenge, takes) = (challenge.to_string(), takes.to_string());
    let root = move |headers: HeaderMap| async move {
        match headers.get(header::AUTHORIZATION) {
            Some(given) if given.to_str().unwrap() == takes => (StatusCode::OK, "{}").into_response(),
            _ => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], "{}").into_response(),
        }
    };
    Router::new().route("/v2/", get(root))
}

/// Whatever is asked for, this is answered.
fn always<F: Future<Output = R> + Send, R: IntoResponse>(answer: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router {
    Router::new().fallback(move || {
        let answer = answer();
        async move { answer.await.into_response() }
    })
}

#[tokio::test]
async fn basic_challenge() {
    let address = serve(registry(r#"Basic realm="r""#, basic("ann", "right: ü"))).await;
    assert_eq!(login(address, &ann("right: ü")).await.unwrap(), "");
    let text = "login attempt to http://HOST/v2/ failed with status: 401 Unauthorized";
    assert_eq!(refused(address, &ann("wrong")).await, (ErrorKind::Unauthorized, text.to_owned()));
    let nobody = refused(address, &Credentials::default()).await;
    assert_eq!(nobody, (ErrorKind::Unauthorized, r#"Get "http://HOST/v2/": no basic auth credentials"#.to_owned()));
}

#[tokio::test]
async fn registry_that_asks_for_nothing() {
    let open = serve(always(|| async { "{}" })).await;
    assert_eq!(login(open, &Credentials::default()).await.unwrap(), "");
    let none = serve(always(|| async { StatusCode::NOT_FOUND })).await;
    let text = "login attempt to http://HOST/v2/ failed with status: 404 Not Found";
    assert_eq!(refused(none, &ann("x")).await, (ErrorKind::System, text.to_owned()));
}

#[tokio::test]
async fn a_token_for_the_registry_itself() {
    let address = serve(registry(r#"Bearer realm="http://127.0.0.1:1/never""#, "Bearer own")).await;
    let credentials = Credentials { registry_token: "own".to_owned(), ..Credentials::default() };
    assert_eq!(login(address, &credentials).await.unwrap(), "");
}

/// A token server for ann, and what it was asked. `oauth`: it takes no GET.
async fn token_server(oauth: bool) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let token = r#"{"access_token":"the-token","refresh_token":"new-refresh"}"#;
    let by_get = async move |State(asked): State<Asked>, headers: HeaderMap, Query(mut query): Query<Fields>| {
        let given = headers.get(header::AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned());
        let ok = given.as_deref().is_none_or(|g| g == basic("ann", "right"));
        query.extend(given.map(|g| ("authorization".to_owned(), g)));
        asked.lock().unwrap().push(("GET", query));
        match (oauth, ok) {
            (true, _) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            (false, true) => r#"{"token":"the-token","expires_in":300}"#.into_response(),
            (false, false) => (StatusCode::UNAUTHORIZED, r#"{"details":"incorrect username or password"}"#).into_response(),
        }
    };
    let by_post = async move |State(asked): State<Asked>, Form(form): Form<Fields>| {
        let ok = form.get("password").is_some_and(|p| p == "right") || form.get("refresh_token").is_some_and(|t| t == "old-refresh");
        asked.lock().unwrap().push(("POST", form));
        if ok {
            token.into_response()
        } else {
            (StatusCode::UNAUTHORIZED, r#"{"errors":[{"code":"UNAUTHORIZED","message":"token expired"}]}"#).into_response()
        }
    };
    let app = Router::new().route("/token", get(by_get).post(by_post)).with_state(asked.clone());
    (serve(app).await, asked)
}

async fn with_tokens(oauth: bool) -> (SocketAddr, Asked) {
    let (server, asked) = token_server(oauth).await;
    let challenge = format!(r#"Negotiate, Bearer realm="http://{server}/token?x=y",service="reg",scope="repository:a/b:pull""#);
    (serve(registry(challenge, "Bearer the-token")).await, asked)
}

fn fields(of: &[(&str, &str)]) -> Fields {
    of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[tokio::test]
async fn token_for_a_password() {
    let (address, asked) = with_tokens(false).await;
    assert_eq!(login(address, &ann("right")).await.unwrap(), "");
    let common = [("x", "y"), ("client_id", "docker"), ("offline_token", "true"), ("service", "reg")];
    let mut query = fields(&common);
    query.extend(fields(&[("account", "ann"), ("authorization", &basic("ann", "right"))]));
    assert_eq!(*asked.lock().unwrap(), [("GET", query)]);
    let text = r#"Get "http://HOST/v2/": unauthorized: incorrect username or password"#;
    assert_eq!(refused(address, &ann("wrong")).await, (ErrorKind::Unauthorized, text.to_owned()));
    // Nobody in particular may come in, too.
    asked.lock().unwrap().clear();
    assert_eq!(login(address, &Credentials::default()).await.unwrap(), "");
    assert_eq!(*asked.lock().unwrap(), [("GET", fields(&common))]);
}

#[tokio::test]
async fn token_by_oauth() {
    let (address, asked) = with_tokens(true).await;
    assert_eq!(login(address, &ann("right")).await.unwrap(), "new-refresh");
    let grant = [("grant_type", "password"), ("username", "ann"), ("password", "right"), ("access_type", "offline")];
    let mut form = fields(&grant);
    form.extend(fields(&[("client_id", "docker"), ("service", "reg")]));
    assert_eq!(asked.lock().unwrap()[1], ("POST", form));
}

#[tokio::test]
async fn token_by_identity_token() {
    let (address, asked) = with_tokens(false).await;
    let with = |token: &str| Credentials { identity_token: token.to_owned(), ..ann("") };
    assert_eq!(login(address, &with("old-refresh")).await.unwrap(), "new-refresh");
    let form = fields(&[("client_id", "docker"), ("service", "reg"), ("grant_type", "refresh_token"), ("refresh_token", "old-refresh")]);
    assert_eq!(*asked.lock().unwrap(), [("POST", form)]);
    let text = r#"Get "http://HOST/v2/": unauthorized: token expired"#;
    assert_eq!(refused(address, &with("stolen")).await, (ErrorKind::Unauthorized, text.to_owned()));
}

#[tokio::test]
async fn token_servers_that_fail() {
    const BUSY: &str = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
    let at = async |answer: fn() -> Response| {
        let server = serve(always(move || async move { answer() })).await;
        let (kind, text) = refused(serve(registry(format!(r#"Bearer realm="http://{server}/t""#), "-")).await, &ann("secret")).await;
        assert!(!text.contains("secret") && text.starts_with(r#"Get "http://HOST/v2/": "#), "{text}");
        (kind, text.split_once(": ").unwrap().1.to_owned())
    };
    let system = |text: &str| (ErrorKind::System, text.to_owned());
    assert_eq!(at(|| (StatusCode::TOO_MANY_REQUESTS, BUSY).into_response()).await, system("toomanyrequests: slow down"));
    let down = system("received unexpected HTTP status: 503 Service Unavailable");
    assert_eq!(at(|| (StatusCode::SERVICE_UNAVAILABLE, "<html>").into_response()).await, down);
    assert_eq!(at(|| "{}".into_response()).await, system("authorization server did not include a token in the response"));
    assert_eq!(at(|| r#"{"token":"#.into_response()).await, system("unable to decode token response: Eof"));
    let huge = system("unable to read token response: the answer is longer than 1048576 bytes");
    assert_eq!(at(|| vec![b' '; 2 << 20].into_response()).await, huge);
    let long = at(|| (StatusCode::BAD_REQUEST, vec![b'x'; 2 << 20]).into_response()).await.1;
    assert!(long.starts_with("error parsing HTTP 400 response body: \"xxx") && long.len() < 400, "{long}");
}

#[tokio::test]
async fn challenges_that_lead_nowhere() {
    let to = async |challenge: &str| refused(serve(registry(challenge, "-")).await, &ann("x")).await.1;
    assert!(to("Bearer").await.ends_with(r#"/v2/": no realm specified for token auth challenge"#));
    assert!(to(r#"Bearer realm="token""#).await.contains(r#"invalid token auth challenge realm "token""#));
    assert!(to(r#"Bearer realm="file:///etc/passwd""#).await.contains("no HTTP URL"));
    let gone = to(r#"Bearer realm="http://127.0.0.1:1/t""#).await;
    let asked = "http://127.0.0.1:1/t?account=ann&client_id=docker&offline_token=true";
    assert_eq!(gone, format!(r#"Get "http://HOST/v2/": Get "{asked}": dial tcp 127.0.0.1:1: connect: connection refused"#));
    // A challenge of another kind is not answered.
    assert!(to("Negotiate").await.ends_with("failed with status: 401 Unauthorized"));
}

#[tokio::test]
async fn credentials_do_not_follow_redirections() {
    let seen = Asked::default();
    let thief = async |State(seen): State<Asked>, headers: HeaderMap| {
        seen.lock().unwrap().push(("any", headers.keys().map(|name| (name.to_string(), String::new())).collect()));
        r#"{"token":"the-token"}"#
    };
    let thief = serve(Router::new().fallback(thief).with_state(seen.clone())).await;
    let away = serve(always(move || async move { Redirect::temporary(&format!("http://{thief}/")) })).await;
    let text = "login attempt to http://HOST/v2/ failed with status: 307 Temporary Redirect".to_owned();
    assert_eq!(refused(away, &ann("x")).await, (ErrorKind::System, text));
    let tokens = serve(registry(format!(r#"Bearer realm="http://{away}/t""#), "Bearer the-token")).await;
    assert!(refused(tokens, &ann("x")).await.1.ends_with("received unexpected HTTP status: 307 Temporary Redirect"));
    assert!(seen.lock().unwrap().is_empty());
    // Within one server they do.
    let moved = Router::new().route("/v2/", get(async || Redirect::temporary("/moved"))).route("/moved", get(async || "{}"));
    assert_eq!(login(serve(moved).await, &ann("x")).await.unwrap(), "");
    let around = serve(always(|| async { Redirect::temporary("/v2/") })).await;
    assert!(refused(around, &ann("x")).await.1.contains("307"));
}

#[tokio::test]
async fn registry_that_does_not_answer() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let text = format!(r#"Get "http://HOST/v2/": dial tcp {gone}: connect: connection refused"#).replace(&gone.to_string(), "HOST");
    assert_eq!(refused(gone, &ann("x")).await, (ErrorKind::System, text));
    let nowhere = login("no-such-host.invalid", &ann("x")).await.unwrap_err();
    assert!(
        nowhere.message().starts_with(r#"Get "https://no-such-host.invalid/v2/": dial tcp: lookup no-such-host.invalid: "#),
        "{nowhere}"
    );
}

#[tokio::test]
async fn registry_that_is_slow() {
    let never = always(|| async { Body::from_stream(tokio_stream::pending::<std::io::Result<&str>>()) });
    let address = serve(never).await;
    // The answer's head is enough.
    assert_eq!(login(address, &ann("x")).await.unwrap(), "");
    let slow = serve(always(|| async { std::future::pending::<()>().await })).await;
    let start = Instant::now();
    let (kind, text) = refused(slow, &ann("x")).await;
    assert_eq!((kind, text.contains("Client.Timeout exceeded")), (ErrorKind::System, true), "{text}");
    assert!(start.elapsed() < Duration::from_secs(6));
}

/// A certificate for an address, signed by nobody, and its key; in files as `certs.d` has them.
fn certificate(host: &str) -> (rcgen::Certificate, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().unwrap();
    (rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap().self_signed(&key).unwrap(), key)
}

/// A registry with TLS that asks for nothing, and tells whether there was a client certificate.
async fn serve_tls(host: &str) -> (SocketAddr, rcgen::Certificate, Arc<Mutex<Vec<bool>>>) {
    _ = rustls::crypto::ring::default_provider().install_default();
    let (certificate, key) = certificate(host);
    let mut clients = rustls::RootCertStore::empty();
    clients.add(certificate.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(clients.into()).allow_unauthenticated().build().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, known) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let seen = known.clone();
    tokio::spawn(async move {
        loop {
            let Ok(mut stream) = acceptor.accept(listener.accept().await.unwrap().0).await else { continue };
            seen.lock().unwrap().push(stream.get_ref().1.peer_certificates().is_some());
            _ = stream.read(&mut [0; 4096]).await;
            _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            _ = stream.shutdown().await;
        }
    });
    (address, certificate, known)
}

#[tokio::test]
async fn certificates_of_local_registries_are_not_looked_at() {
    let (address, ..) = serve_tls("other.example").await;
    assert_eq!(login(address, &ann("x")).await.unwrap(), "");
}

#[tokio::test]
async fn authorities_and_client_certificates_of_a_registry() {
    // This address is this host, too, but nobody calls it local.
    let (address, certificate, known) = serve_tls("0.0.0.0").await;
    let name = format!("0.0.0.0:{}", address.port());
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let client = client_with(dirs.iter().map(|d| d.path().to_owned()).collect());
    let (registry, secure) = (Address::parse(&name).unwrap(), Insecure::parse(Vec::new()).unwrap());
    let login = async || client.login(&registry, &ann("x"), &secure, "").await.map_err(|e| (e.kind(), e.message().to_owned()));
    let unknown = format!(r#"Get "https://{name}/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority"#);
    assert_eq!(login().await, Err((ErrorKind::System, unknown)));

    let file = |dir: usize, file: &str| dirs[dir].path().join(&name).join(file);
    let write = |path: PathBuf, text: String| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(file(1, "ca.crt"), certificate.pem());
    assert_eq!(login().await, Ok(String::new()));
    assert!(!known.lock().unwrap().contains(&true));

    let refused = async |what: &str| {
        let (kind, text) = login().await.unwrap_err();
        assert!(kind == ErrorKind::InvalidParameter && text.contains(what), "{text}");
    };
    let (own, key) = self::certificate("client");
    write(file(0, "client.cert"), own.pem());
    refused("missing key for ").await;
    write(file(0, "client.key"), "no key".to_owned());
    refused("could not use ").await;
    write(file(0, "client.key"), key.serialize_pem());
    // Signed by nobody that the server knows, so it is refused; but it was sent.
    assert!(login().await.unwrap_err().1.contains("remote error: tls: "));
    std::fs::remove_file(file(0, "client.cert")).unwrap();
    refused("missing client certificate for ").await;
}
