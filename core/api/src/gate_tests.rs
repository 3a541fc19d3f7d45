//! The gate as clients meet it: a router of toy endpoints behind the real server, without an engine.

use crate::{
    authz::Sight,
    cx::{Context, Gate},
    endpoint::{Endpoint, Row, Table, Verb},
    hijack::{Client, Hijack, Input, Streams},
    reply::{Json, NoContent, Response, streaming},
    request::Request,
    serve::{App, serve_connection},
    stream::body,
    system::ping,
    testing, unserved,
};
use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wharf_spi::{
    Extensions,
    authz::{Authorizer, AuthzRequest, Caller, Decision, Denial, Interests, Object, ObjectKind, Patch, PeerCred, Verdict},
};
use wharf_types::{Error, Result};

struct TestCx {
    gate: Gate,
    executed: AtomicUsize,
}

impl Context for TestCx {
    fn gate(&self) -> &Gate {
        &self.gate
    }
}

/// Echoes its name; fails, panics or lingers on demand.
struct Echo;
impl Endpoint<TestCx> for Echo {
    const ROW: Row = Row::post("/images/{name}/tag", "image.tag").since(21).until(54).json::<Value>();
    type Input = Value;
    type Output = Json<Value>;

    async fn decode(_: &TestCx, rq: Request) -> Result<Value> {
        let (name, api) = (rq.path("name")?, rq.api());
        let body: Value = rq.json().await?;
        Ok(json!({ "name": name, "api": api, "body": body }))
    }
    fn targets(input: &Value, _: &TestCx) -> Vec<Object> {
        let name = input["name"].as_str().unwrap();
        vec![Object { id: name.to_owned(), ..Object::named(ObjectKind::Image, name) }]
    }
    async fn execute(cx: &TestCx, input: Value) -> Result<Json<Value>> {
        cx.executed.fetch_add(1, Ordering::SeqCst);
        match input["name"].as_str() {
            Some("missing") => Err(wharf_images::no_such_image("missing")),
            Some("same") => Err(Error::not_modified("nothing to do")),
            Some("panic") => panic!("on purpose"),
            _ => Ok(Json(input)),
        }
    }
}

struct Remove;
impl Endpoint<TestCx> for Remove {
    const ROW: Row = Row::delete("/images/{name}", "image.remove");
    type Input = String;
    type Output = NoContent;

    async fn decode(_: &TestCx, rq: Request) -> Result<String> {
        rq.path("name")
    }
    async fn execute(cx: &TestCx, _: String) -> Result<NoContent> {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        cx.executed.fetch_add(1, Ordering::SeqCst);
        Ok(NoContent)
    }
}

/// Upper-cases what the client says.
struct Shout;
#[derive(serde::Serialize)]
struct ShoutInput {
    #[serde(skip)]
    client: Client,
}
impl Endpoint<TestCx> for Shout {
    const ROW: Row = Row::post("/exec/{id}/start", "exec.start");
    type Input = ShoutInput;
    type Output = Hijack;

    async fn decode(_: &TestCx, mut rq: Request) -> Result<ShoutInput> {
        Ok(ShoutInput { client: rq.client() })
    }
    async fn execute(_: &TestCx, input: ShoutInput) -> Result<Hijack> {
        let open = Box::pin(async {
            let (live, mut process) = tokio::net::UnixStream::pair()?;
            tokio::spawn(async move {
                let mut heard = String::new();
                process.read_to_string(&mut heard).await.unwrap();
                process.write_all(format!("heard {}", heard.to_uppercase()).as_bytes()).await.unwrap();
            });
            Ok(Streams { replay: None, live: Some(live) })
        });
        Ok(Hijack { client: input.client, content_type: crate::stream::MULTIPLEXED, bare: true, tty: false, input: Input::Pass, open })
    }
}

/// Never says anything.
struct Silent;
impl Endpoint<TestCx> for Silent {
    const ROW: Row = Row::get("/events", "system.events");
    type Input = ();
    type Output = Response;

    async fn decode(_: &TestCx, _: Request) -> Result<()> {
        Ok(())
    }
    async fn execute(_: &TestCx, (): ()) -> Result<Response> {
        Ok(streaming("application/json", body(futures_util::stream::pending())))
    }
}

#[derive(Default)]
struct Judge {
    verdict: Option<Result<Verdict, &'static str>>,
    seen: Mutex<Vec<AuthzRequest>>,
}

#[async_trait::async_trait]
impl Authorizer for Judge {
    fn name(&self) -> &str {
        "judge"
    }
    fn interests(&self) -> Interests {
        Interests { input: true, filter: false }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        self.seen.lock().unwrap().push(rq.clone());
        match self.verdict.clone() {
            None => Ok(Verdict::Allow.into()),
            Some(Ok(verdict)) => Ok(verdict.into()),
            Some(Err(message)) => Err(Error::system(message)),
        }
    }
}

struct Chain(Arc<[Arc<dyn Authorizer>]>);
impl Extensions for Chain {
    fn authorizers(&self) -> Arc<[Arc<dyn Authorizer>]> {
        self.0.clone()
    }
}

fn app(chain: Vec<Arc<dyn Authorizer>>) -> (App, Arc<TestCx>) {
    let gate = Gate::new(Arc::new(Chain(chain.into())), &testing::settings());
    let cx = Arc::new(TestCx { gate, executed: AtomicUsize::new(0) });
    let mut table = Table::new(cx.clone())
        .route::<ping::Ping>()
        .route::<ping::Head>()
        .route::<Echo>()
        .route::<Remove>()
        .route::<Shout>()
        .route::<Silent>();
    let networks = unserved::ROWS.iter().find(|u| u.row.path == "/networks").unwrap();
    table = table.refuse(&networks.row, || networks.refusal());
    (App::new(table, &[Echo::ROW, Remove::ROW]), cx)
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: String,
}

async fn ask(app: &App, method: &str, uri: &str) -> Answer {
    let rq = http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let caller = Caller { unix: Some(PeerCred { uid: 7, gid: 8, pid: 9, ..PeerCred::default() }), ..Caller::default() };
    let (parts, body) = app.handle(rq, Arc::new(caller), None).await.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn answers_carry_the_engine_s_headers() {
    let (app, _) = app(vec![]);
    for (method, body) in [("GET", "OK"), ("HEAD", "")] {
        let pong = ask(&app, method, "/_ping").await;
        assert_eq!((pong.status, pong.body.as_str()), (StatusCode::OK, body));
        for (name, value) in [
            ("api-version", "1.55"),
            ("ostype", "linux"),
            ("docker-experimental", "false"),
            ("server", "Wharf/0.1.0 (linux)"),
            ("builder-version", "1"),
            ("swarm", "inactive"),
            ("cache-control", "no-cache, no-store, must-revalidate"),
            ("pragma", "no-cache"),
            ("content-type", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(pong.headers[name], value, "{method} {name}");
        }
    }
}

#[tokio::test]
async fn names_with_slashes_reach_their_endpoint() {
    let (app, _) = app(vec![]);
    let answer = ask(&app, "POST", "/v1.41/images/ghcr.io/a/b:c/tag?repo=x").await;
    assert_eq!(answer.body, "{\"name\":\"ghcr.io/a/b:c\",\"api\":\"1.41\",\"body\":null}\n");
    assert_eq!(ask(&app, "POST", "/v1.53/images/a%2Fb/tag").await.body, "{\"name\":\"a/b\",\"api\":\"1.53\",\"body\":null}\n");
    assert_eq!(ask(&app, "DELETE", "/images/a/tag").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn unknown_pages_and_methods() {
    let (app, _) = app(vec![]);
    for (method, uri) in
        [("GET", "/nope"), ("GET", "/v1.24/nope"), ("DELETE", "/_ping"), ("PATCH", "/_ping"), ("POST", "/v1.54/images/a/tag")]
    {
        let answer = ask(&app, method, uri).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_FOUND, "{\"message\":\"page not found\"}\n"), "{method} {uri}");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert_eq!(ask(&app, "GET", "/v1.20/nope").await.body, "page not found\n");
    assert_eq!(ask(&app, "HEAD", "/networks").await.status, StatusCode::NOT_FOUND);
    let options = ask(&app, "OPTIONS", "/anything").await;
    assert_eq!((options.status, options.body.as_str()), (StatusCode::OK, ""));
    let refused = ask(&app, "GET", "/v1.41/networks").await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (StatusCode::NOT_IMPLEMENTED, "{\"message\":\"networks are not supported yet (GET /networks)\"}\n")
    );
}

#[tokio::test]
async fn errors_have_their_shape_by_version() {
    let (app, cx) = app(vec![]);
    let json = ask(&app, "POST", "/v1.24/images/missing/tag").await;
    assert_eq!((json.status, json.body.as_str()), (StatusCode::NOT_FOUND, "{\"message\":\"No such image: missing:latest\"}\n"));
    let plain = ask(&app, "POST", "/v1.23/images/missing/tag").await;
    assert_eq!(
        (plain.body.as_str(), &plain.headers["content-type"]),
        ("No such image: missing:latest\n", &"text/plain; charset=utf-8".parse().unwrap())
    );
    let same = ask(&app, "POST", "/v1.41/images/same/tag").await;
    assert_eq!((same.status, same.body.as_str(), same.headers.get("content-type")), (StatusCode::NOT_MODIFIED, "", None));
    assert_eq!(cx.executed.load(Ordering::SeqCst), 3);
    for (version, words) in
        [("1.18", "too old"), ("1.56", "too new"), ("1.20", "POST /images/{name}/tag requires minimum API version 1.21")]
    {
        let refused = ask(&app, "POST", &format!("/v{version}/images/a/tag")).await;
        assert!(refused.status == StatusCode::BAD_REQUEST && refused.body.contains(words), "{}", refused.body);
        assert_eq!(refused.headers["api-version"], "1.55");
    }
    assert_eq!(cx.executed.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_panic_is_a_500() {
    let (app, _) = app(vec![]);
    let answer = ask(&app, "POST", "/v1.41/images/panic/tag").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, "{\"message\":\"internal error: POST /v1.41/images/panic/tag panicked\"}\n");
}

#[tokio::test]
async fn authorizers_judge_what_will_be_executed() {
    let judge = Arc::new(Judge::default());
    let (app, cx) = app(vec![judge.clone()]);
    assert_eq!(ask(&app, "POST", "/v1.41/images/a/b/tag?x=1").await.status, StatusCode::OK);
    let seen = judge.seen.lock().unwrap().pop().unwrap();
    assert_eq!((seen.action.0, seen.api_version.as_str(), seen.caller.unix.unwrap().uid), ("image.tag", "1.41", 7));
    let input: Value = serde_json::from_str(&seen.input).unwrap();
    assert_eq!(input, json!({ "name": "a/b", "api": "1.41", "body": null }));
    assert_eq!((seen.targets[0].named.as_str(), seen.http.uri.as_str()), ("a/b", "/v1.41/images/a/b/tag?x=1"));
    assert_eq!(cx.executed.load(Ordering::SeqCst), 1);
    assert_eq!(ask(&app, "GET", "/networks").await.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(judge.seen.lock().unwrap().pop().unwrap().action.0, "network.list");
}

#[tokio::test]
async fn denials_and_failures_stop_a_request() {
    for (verdict, status, message) in [
        (Ok(Verdict::deny("no")), StatusCode::FORBIDDEN, "authorization denied by plugin judge: no"),
        (Err("gone"), StatusCode::INTERNAL_SERVER_ERROR, "plugin judge failed with error: gone"),
    ] {
        let (app, cx) = app(vec![Arc::new(Judge { verdict: Some(verdict), ..Judge::default() })]);
        for uri in ["/v1.41/images/a/tag", "/v1.41/exec/a/start"] {
            let answer = ask(&app, "POST", uri).await;
            assert_eq!((answer.status, answer.body), (status, format!("{{\"message\":\"{message}\"}}\n")));
            assert!(answer.headers.get("api-version").is_none() && answer.headers.get("server").is_none());
        }
        assert_eq!(ask(&app, "GET", "/_ping").await.status, status);
        assert_eq!(cx.executed.load(Ordering::SeqCst), 0);
    }
}

/// Hides image `a`, wants changes of image `b`, and sees nothing when blind.
struct Keeper {
    blind: bool,
}

#[async_trait::async_trait]
impl Authorizer for Keeper {
    fn name(&self) -> &str {
        "keeper"
    }
    fn interests(&self) -> Interests {
        Interests { input: false, filter: true }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        assert!(rq.input.is_empty(), "not asked for");
        Ok(match rq.targets.first().map(|t| t.named.as_str()) {
            Some("a") => Verdict::Deny(Denial { reason: "hidden".to_owned(), hide: true }),
            Some("b") => Verdict::AllowWith(vec![Patch::ReadOnlyRootfs]),
            _ => Verdict::Allow,
        }
        .into())
    }
    async fn filter(&self, _: &Caller, objects: &[Object]) -> Result<Vec<bool>> {
        if self.blind { Err(Error::system("blind")) } else { Ok(objects.iter().map(|o| o.id != "secret").collect()) }
    }
}

#[tokio::test]
async fn what_is_hidden_does_not_exist_and_changes_need_somebody_to_make_them() {
    let (app, cx) = app(vec![Arc::new(Keeper { blind: false })]);
    let absent = ask(&app, "POST", "/v1.41/images/missing/tag").await;
    assert_eq!((absent.status, absent.body.as_str()), (StatusCode::NOT_FOUND, "{\"message\":\"No such image: missing:latest\"}\n"));
    // Denied as hidden, and filtered out: both look as if there were none, to the last header.
    for name in ["a", "secret"] {
        let answer = ask(&app, "POST", &format!("/v1.41/images/{name}/tag")).await;
        assert_eq!((answer.status, answer.body), (absent.status, absent.body.replace("missing", name)));
        assert!(answer.headers.keys().eq(absent.headers.keys()), "{:?}", answer.headers);
    }
    let answer = ask(&app, "POST", "/v1.41/images/b/tag").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("plugin keeper failed with error: image.tag takes no changes"), "{}", answer.body);
    assert_eq!(ask(&app, "POST", "/v1.41/images/c/tag").await.status, StatusCode::OK);
    assert_eq!(cx.executed.load(Ordering::SeqCst), 2, "the one that is missing, and this one");
}

#[tokio::test]
async fn who_cannot_tell_hides_everything() {
    let object = |id: &str| Object { id: id.to_owned(), ..Object::named(ObjectKind::Container, "") };
    for (blind, seen) in [(false, vec!["open"]), (true, vec![])] {
        let chain: [Arc<dyn Authorizer>; 1] = [Arc::new(Keeper { blind })];
        let sight = Sight::new(&chain, Caller::default);
        assert_eq!(sight.keep(vec!["open", "secret"], |id| object(id)).await, seen);
    }
    assert!(Sight::new(&[Arc::new(Judge::default())], Caller::default).is_open());
}

/// A connection to the real server; what is written is sent, and everything is read until the server closes.
async fn raw(app: App, request: &str, half_close: bool) -> String {
    let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
    tokio::spawn(serve_connection(server, Caller::default(), app));
    client.write_all(request.as_bytes()).await.unwrap();
    if half_close {
        client.shutdown().await.unwrap();
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_upgraded_client_ends_its_half_and_still_hears() {
    let rq = "POST /v1.41/exec/1/start HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello";
    let answer = raw(app(vec![]).0, rq, true).await;
    let (head, stream) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("HTTP/1.1 101 UPGRADED"));
    let lines: Vec<_> = lines.collect();
    assert!(lines.contains(&"Content-Type: application/vnd.docker.multiplexed-stream"), "{lines:?}");
    assert!(lines.contains(&"Connection: Upgrade") && lines.contains(&"Upgrade: tcp"), "{lines:?}");
    assert!(!head.contains("Api-Version"), "{head}");
    assert_eq!(stream, "heard HELLO");
}

#[tokio::test]
async fn a_client_without_upgrade_hears_only() {
    let rq = "POST /exec/1/start HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = raw(app(vec![]).0, rq, false).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Content-Type: application/vnd.docker.raw-stream\r\n"),
        "{answer}"
    );
    assert!(answer.contains("heard "), "{answer}");
}

#[tokio::test]
async fn changes_are_finished_for_clients_that_hang_up() {
    let (app, cx) = app(vec![]);
    let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
    let connection = tokio::spawn(serve_connection(server, Caller::default(), app));
    client.write_all(b"DELETE /images/a HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    drop(client);
    connection.await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        while cx.executed.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn draining_ends_resting_connections() {
    let (app, _) = app(vec![]);
    let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
    let connection = tokio::spawn(serve_connection(server, Caller::default(), app.clone()));
    client.write_all(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    client.read_exact(&mut [0; 17]).await.unwrap();
    app.drain();
    tokio::time::timeout(std::time::Duration::from_secs(5), connection).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_outlives_half_a_close_and_ends_with_its_client() {
    let (app, _) = app(vec![]);
    let (mut client, server) = tokio::net::UnixStream::pair().unwrap();
    let connection = tokio::spawn(serve_connection(server, Caller::default(), app));
    client.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    client.read_exact(&mut [0; 15]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(!connection.is_finished());
    drop(client);
    connection.await.unwrap();
}

#[test]
fn verbs_are_those_of_http() {
    for verb in Verb::ALL {
        assert_eq!(Verb::of(&verb.as_str().parse().unwrap()), Some(verb));
        assert_eq!(Verb::ALL[verb as usize], verb);
    }
}
