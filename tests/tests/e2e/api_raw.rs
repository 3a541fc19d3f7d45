//! The wire: exact status lines, headers, framing and texts that clients depend on.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_tests::http::Stream;
use wharf_tests::{Case, poll, suite};

suite![
    ping,
    version,
    version_limits,
    plain_text_errors,
    page_not_found,
    error_content_type,
    json_bodies,
    query_booleans,
    filters_both_forms,
    not_modified,
    wait_early_headers,
    wait_conditions,
    attach_upgrade,
    attach_without_upgrade,
    attach_half_close,
    attach_logs_replay,
    attach_errors,
    terminal_is_raw,
    content_types_by_version,
    exec_api,
    exec_old_content_type,
    logs_api,
    resize,
    create_checks,
    create_reply,
    list_fields,
    inspect_zero_values,
    events_stream,
    names_and_slashes,
    pipelined_and_keep_alive,
    bad_requests,
    auto_remove_by_version,
    stop_order,
];

const JSON: (&str, &str) = ("Content-Type", "application/json");
const UPGRADE: [(&str, &str); 2] = [("Upgrade", "tcp"), ("Connection", "Upgrade")];

fn sh(script: &str) -> Value {
    json!({"Cmd": ["sh", "-c", script]})
}

fn start(case: &Case, id: &str) {
    case.http().post(&format!("/containers/{id}/start")).expect(204);
}

/// Creates and starts.
fn running(case: &Case, config: Value) -> String {
    let id = case.create(config);
    start(case, &id);
    id
}

fn state(case: &Case, id: &str) -> Value {
    case.http().get(&format!("/containers/{id}/json")).expect(200).json()["State"].clone()
}

fn wait_exit(case: &Case, id: &str) -> i64 {
    case.http().post(&format!("/containers/{id}/wait")).expect(200).json()["StatusCode"].as_i64().unwrap()
}

fn ping(case: &Case) {
    for method in ["GET", "HEAD"] {
        let reply = case.http().request(method, "/_ping", &[], b"").expect(200);
        assert_eq!(reply.text(), if method == "GET" { "OK" } else { "" });
        let max: f32 = reply.header("Api-Version").unwrap().parse().unwrap();
        assert!(max >= 1.24, "{max}");
        assert_eq!(reply.header("Ostype"), Some("linux"));
        assert_eq!(reply.header("Docker-Experimental"), Some("false"));
        assert!(matches!(reply.header("Builder-Version"), None | Some("" | "1" | "2")), "{}", reply.head.raw);
        assert_eq!(reply.header("Cache-Control"), Some("no-cache, no-store, must-revalidate"));
        assert_eq!(reply.header("Pragma"), Some("no-cache"));
        assert!(reply.header("Content-Type").unwrap().starts_with("text/plain"), "{}", reply.head.raw);
        assert!(reply.header("Server").unwrap().contains("(linux)"), "{}", reply.head.raw);
        assert!(reply.head.raw.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(case.http().get("/v1.24/_ping").expect(200).text(), "OK");
}

fn version(case: &Case) {
    let reply = case.http().get("/version").expect(200);
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    let version = reply.json();
    assert_eq!(version["Os"], "linux");
    assert_eq!(reply.header("Api-Version"), version["ApiVersion"].as_str());
    assert!(version["Components"].as_array().unwrap().iter().any(|c| c["Name"] == "Engine"), "{version}");
    for key in ["Version", "MinAPIVersion", "GitCommit", "GoVersion", "Arch", "KernelVersion", "BuildTime"] {
        assert!(version[key].is_string(), "{key}: {version}");
    }
    assert!(reply.text().ends_with('\n'));
    let info = case.http().get("/info").expect(200).json();
    for key in [
        "ID",
        "Containers",
        "Images",
        "Driver",
        "NCPU",
        "MemTotal",
        "KernelVersion",
        "ServerVersion",
        "Runtimes",
        "DefaultRuntime",
        "DockerRootDir",
        "SecurityOptions",
        "Plugins",
    ] {
        assert!(!info[key].is_null(), "{key}: {info}");
    }
}

fn version_limits(case: &Case) {
    let http = case.http();
    let version = http.get("/version").json();
    let (max, min) = (version["ApiVersion"].as_str().unwrap(), version["MinAPIVersion"].as_str().unwrap());
    let old = http.get("/v1.1/version").expect(400);
    // The oldest versions speak plain text.
    let text =
        format!("client version 1.1 is too old. Minimum supported API version is {min}, please upgrade your client to a newer version");
    assert!(old.text().contains(&text), "{}", old.text());
    let new = http.get("/v1.999/version").expect(400);
    assert_eq!(new.message(), format!("client version 1.999 is too new. Maximum supported API version is {max}"));
    assert_eq!(new.header("Api-Version"), Some(max));
    for path in [format!("/v{max}/version"), format!("/v{min}/version"), "/version".to_owned()] {
        http.get(&path).expect(200);
    }
    // A route that did not exist yet.
    let early = http.post("/v1.24/containers/prune?filters=%7B%22label%22%3A%5B%22no-such-label%22%5D%7D");
    assert!(early.status() == 400 || early.status() == 404 || case.engine().is_dockerd(), "{}", early.status());
}

fn plain_text_errors(case: &Case) {
    let old = case.http().get("/v1.19/containers/no-such/json").expect(404);
    assert_eq!(old.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(old.text().to_lowercase(), "no such container: no-such\n");
    let new = case.http().get("/v1.24/containers/no-such/json").expect(404);
    assert_eq!(new.json(), json!({"message": new.message()}));
    assert_eq!(new.message(), "No such container: no-such");
    // HostConfig at start is of that age too.
    let id = case.create(sh("exit 0"));
    let refused = case.http().request("POST", &format!("/v1.24/containers/{id}/start"), &[JSON], br#"{"Privileged":false}"#);
    assert_eq!(refused.status(), 400, "{}", refused.text());
    case.http().request("POST", &format!("/v1.19/containers/{id}/start"), &[JSON], b"{}").expect(204);
}

fn page_not_found(case: &Case) {
    for (method, path) in [
        ("GET", "/no/such/path"),
        ("PUT", "/version"),
        ("DELETE", "/info"),
        ("GET", "/containers/create"),
        ("GET", "/v1.41/nothing"),
        ("POST", "/_ping"),
    ] {
        let reply = case.http().request(method, path, &[], b"").expect(404);
        assert_eq!(reply.json(), json!({"message": "page not found"}), "{method} {path}");
        assert_eq!(reply.header("Content-Type"), Some("application/json"));
    }
}

fn error_content_type(case: &Case) {
    let errors = [
        ("GET", "/containers/no-such/json", 404),
        ("POST", "/containers/no-such/start", 404),
        ("DELETE", "/containers/no-such", 404),
        ("GET", "/images/no-such/json", 404),
        ("POST", "/exec/no-such/start", 404),
        ("GET", "/containers/json?filters=no-json", if case.engine().is_dockerd() { 500 } else { 400 }),
    ];
    for (method, path, status) in errors {
        // 20.10 has no status for malformed filters.
        let reply = case.http().request(method, path, &[JSON], b"{}").expect(status);
        assert_eq!(reply.header("Content-Type"), Some("application/json"), "{method} {path}");
        assert!(!reply.message().is_empty());
        assert!(reply.text().ends_with('\n'));
    }
}

fn json_bodies(case: &Case) {
    let http = case.http();
    let create = |headers: &[(&str, &str)], body: &str| http.request("POST", "/containers/create", headers, body.as_bytes());
    // 20.10 answers 500 or 400 and other words to some of these; Wharf is held to today's rules.
    let dockerd = case.engine().is_dockerd();
    let text = create(&[("Content-Type", "text/plain")], "{}");
    assert!(matches!(text.status(), 400 | 500), "{}", text.text());
    let malformed = create(&[JSON], "{\"Image\": ");
    assert!(malformed.status() == 400 || dockerd, "{}", malformed.text());
    let two = create(&[JSON], r#"{"Image":"busybox"}{"Image":"busybox"}"#);
    assert!(dockerd || two.status() == 400 && two.message().contains("unexpected content after JSON"), "{}", two.text());
    if dockerd {
        if let Some(id) = two.json()["Id"].as_str() {
            http.delete(&format!("/containers/{id}")).expect(204);
        }
        return;
    }
    assert_eq!(text.message(), "unsupported Content-Type header (text/plain): must be 'application/json'");
    assert!(malformed.message().starts_with("invalid JSON: "), "{}", malformed.text());
    create(&[("Content-Type", "application/json; charset=utf-8")], r#"{"Image":"no-such"}"#).expect(404);
    let missing = create(&[], r#"{"Image":"no-such"}"#);
    assert_eq!(missing.status(), 400, "{}", missing.text());
}

fn query_booleans(case: &Case) {
    let id = case.create(sh("exit 0"));
    let filter = format!("filters={}", json!({"id": [id]}).to_string().replace('"', "%22"));
    let count = |all: &str| case.http().get(&format!("/containers/json?{filter}{all}")).expect(200).json().as_array().unwrap().len();
    for no in ["", "&all=", "&all=0", "&all=no", "&all=false", "&all=none", "&all=False", "&all=%20no%20"] {
        assert_eq!(count(no), 0, "{no}");
    }
    for yes in ["&all=1", "&all=true", "&all=True", "&all=yes", "&all=whatever"] {
        assert_eq!(count(yes), 1, "{yes}");
    }
}

fn filters_both_forms(case: &Case) {
    let id = running(case, sh("sleep 100"));
    let list = |filters: Value| {
        let filters = filters.to_string().replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        case.http().get(&format!("/containers/json?filters={filters}"))
    };
    for form in [json!({"id": [id]}), json!({"id": {id.as_str(): true}})] {
        let found = list(form.clone()).expect(200).json();
        assert_eq!(found.as_array().unwrap().len(), 1, "{form}");
    }
    let unknown = list(json!({"colour": ["red"]})).expect(400);
    assert!(unknown.message().to_lowercase().contains("invalid filter 'colour'"), "{}", unknown.text());
    assert_eq!(list(json!({})).expect(200).json().as_array().map(Vec::is_empty), Some(false));
}

fn not_modified(case: &Case) {
    let http = case.http();
    let id = running(case, sh("sleep 100"));
    for (action, first) in [("start", 304), ("stop?t=0", 204), ("stop?t=0", 304)] {
        let reply = http.post(&format!("/containers/{id}/{action}")).expect(first);
        assert_eq!(reply.text(), "");
        assert!(reply.header("Content-Length").is_none_or(|l| l == "0"), "{}", reply.head.raw);
    }
    let created = case.create(sh("exit 0"));
    http.post(&format!("/containers/{created}/stop")).expect(304);
}

fn wait_early_headers(case: &Case) {
    let id = case.create(sh("exit 5"));
    // Not started yet: the head must come at once, the body only after the exit.
    let mut wait = case.http().open("POST", &format!("/containers/{id}/wait?condition=next-exit"), &[], b"").unwrap();
    assert_eq!(wait.head.status, 200);
    assert_eq!(wait.head.header("Content-Type"), Some("application/json"));
    wait.patience(Duration::from_millis(200));
    assert!(wait.read(&mut [0; 1]).is_err(), "a body before the exit");
    wait.patience(poll::PATIENCE);
    start(case, &id);
    let body: Value = serde_json::from_str(&wait.rest()).unwrap();
    assert_eq!(body["StatusCode"], 5);
}

fn wait_conditions(case: &Case) {
    let http = case.http();
    let id = case.create(sh("exit 4"));
    // not-running is satisfied by a container that never ran.
    assert_eq!(http.post(&format!("/containers/{id}/wait")).expect(200).json()["StatusCode"], 0);
    start(case, &id);
    assert_eq!(wait_exit(case, &id), 4);
    assert_eq!(http.post(&format!("/containers/{id}/wait?condition=not-running")).expect(200).json()["StatusCode"], 4);
    let mut removed = http.open("POST", &format!("/containers/{id}/wait?condition=removed"), &[], b"").unwrap();
    http.delete(&format!("/containers/{id}")).expect(204);
    assert_eq!(serde_json::from_str::<Value>(&removed.rest()).unwrap()["StatusCode"], 4);
    http.post(&format!("/containers/{id}/wait")).expect(404);
    let other = case.create(sh("exit 0"));
    let bad = http.post(&format!("/containers/{other}/wait?condition=never"));
    // Before 1.42 an unknown condition was the default.
    assert!(bad.status() == 400 || case.engine().is_dockerd(), "{}", bad.text());
}

/// Opens an attach with an upgrade.
fn attach(case: &Case, id: &str, query: &str) -> Stream {
    let stream = case.http().open("POST", &format!("/v1.41/containers/{id}/attach?{query}"), &UPGRADE, b"").unwrap();
    assert_eq!(stream.head.status, 101, "{}", stream.head.raw);
    stream
}

fn attach_upgrade(case: &Case) {
    let id = case.create(sh("echo out; echo err >&2; exit 3"));
    let mut stream = attach(case, &id, "stream=1&stdout=1&stderr=1");
    let expected =
        "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
    assert_eq!(stream.head.raw, expected);
    start(case, &id);
    assert_eq!(stream.demultiplex(), ("out\n".into(), "err\n".into()));
    assert_eq!(wait_exit(case, &id), 3);
    // Only what was asked for.
    let id = case.create(sh("echo out; echo err >&2"));
    let mut stream = attach(case, &id, "stream=1&stderr=1");
    start(case, &id);
    assert_eq!(stream.demultiplex(), (String::new(), "err\n".into()));
}

fn attach_without_upgrade(case: &Case) {
    let id = case.create(sh("echo out; echo err >&2"));
    let mut stream = case.http().open("POST", &format!("/v1.41/containers/{id}/attach?stream=1&stdout=1&stderr=1"), &[], b"").unwrap();
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("Content-Type"), Some("application/vnd.docker.raw-stream"));
    start(case, &id);
    assert_eq!(stream.demultiplex(), ("out\n".into(), "err\n".into()));
}

fn attach_half_close(case: &Case) {
    let id = case.create(json!({"Cmd": ["sh", "-c", "cat; echo after the end"], "OpenStdin": true, "StdinOnce": true}));
    let mut stream = attach(case, &id, "stream=1&stdin=1&stdout=1");
    start(case, &id);
    stream.send(b"one\n");
    assert_eq!(stream.frame(), Some((1, b"one\n".to_vec())));
    stream.send(b"two\n");
    stream.close_write();
    // The end of our side is the end of its input, not of the stream.
    assert_eq!(stream.demultiplex().0, "two\nafter the end\n");
    assert_eq!(wait_exit(case, &id), 0);
    if case.engine().is_dockerd() {
        // It throws away what it had read together with the head.
        return;
    }
    let id = case.create(json!({"Cmd": ["cat"], "OpenStdin": true, "StdinOnce": true}));
    let request = format!(
        "POST /v1.41/containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\nearly\n"
    );
    let mut stream = case.http().open_bytes(request.as_bytes(), false).unwrap();
    start(case, &id);
    stream.close_write();
    assert_eq!(stream.demultiplex().0, "early\n");
}

fn attach_logs_replay(case: &Case) {
    let id = running(case, sh("echo first; while [ ! -e /go ]; do sleep 0.05; done; echo second"));
    poll::until("the first line", || case.docker(&["logs", &id]).stdout.contains("first").then_some(()));
    let mut stream = attach(case, &id, "logs=1&stream=1&stdout=1&stderr=1");
    assert_eq!(stream.frame(), Some((1, b"first\n".to_vec())));
    // A dump of the past ends by itself while the container runs on.
    assert_eq!(attach(case, &id, "logs=1&stream=0&stdout=1").demultiplex().0, "first\n");
    case.docker(&["exec", &id, "touch", "/go"]).ok();
    assert_eq!(stream.demultiplex().0, "second\n");
}

fn attach_errors(case: &Case) {
    let missing = case.http().request("POST", "/containers/no-such/attach?stream=1&stdout=1", &UPGRADE, b"");
    assert_eq!(missing.status(), 404);
    assert!(missing.text().contains("No such container: no-such"), "{}", missing.text());
    let id = case.create(sh("exit 0"));
    let keys = case.http().request("POST", &format!("/containers/{id}/attach?stream=1&stdin=1&detachKeys=nokey"), &UPGRADE, b"");
    assert_eq!(keys.status(), 400, "{}", keys.text());
    assert!(keys.text().contains("Invalid detach keys (nokey) provided"), "{}", keys.text());
}

fn terminal_is_raw(case: &Case) {
    let id = case.create(json!({"Cmd": ["sh", "-c", "echo out; echo err >&2; tty"], "Tty": true}));
    let mut stream = attach(case, &id, "stream=1&stdout=1&stderr=1");
    start(case, &id);
    assert_eq!(stream.rest(), "out\r\nerr\r\n/dev/pts/0\r\n");
    let logs = case.http().get(&format!("/containers/{id}/logs?stdout=1")).expect(200);
    assert_eq!(logs.text(), "out\r\nerr\r\n/dev/pts/0\r\n");
}

fn content_types_by_version(case: &Case) {
    let plain = running(case, sh("echo x"));
    let terminal = running(case, json!({"Cmd": ["echo", "x"], "Tty": true}));
    wait_exit(case, &plain);
    wait_exit(case, &terminal);
    let logs = |version: &str, id: &str| {
        let reply = case.http().get(&format!("{version}/containers/{id}/logs?stdout=1")).expect(200);
        reply.header("Content-Type").map(str::to_owned)
    };
    if case.engine().is_dockerd() {
        return case.skip("20.10 knows neither 1.42 nor a type for logs");
    }
    let (raw, multiplexed) =
        (Some("application/vnd.docker.raw-stream".to_owned()), Some("application/vnd.docker.multiplexed-stream".to_owned()));
    assert_eq!(logs("/v1.41", &plain), raw);
    assert_eq!(logs("/v1.42", &plain), multiplexed);
    assert_eq!(logs("", &plain), multiplexed);
    assert_eq!(logs("", &terminal), raw);
    let id = case.create(sh("exit 0"));
    let stream = case.http().open("POST", &format!("/v1.42/containers/{id}/attach?stream=1&stdout=1"), &UPGRADE, b"").unwrap();
    assert_eq!(stream.head.header("Content-Type"), Some("application/vnd.docker.multiplexed-stream"));
}

fn exec_api(case: &Case) {
    let http = case.http();
    let id = running(case, sh("sleep 100"));
    let create = |body: Value| http.post_json(&format!("/containers/{id}/exec"), &body);
    let exec =
        create(json!({"Cmd": ["sh", "-c", "cat; echo err >&2; exit 9"], "AttachStdin": true, "AttachStdout": true, "AttachStderr": true}))
            .expect(201)
            .json()["Id"]
            .as_str()
            .unwrap()
            .to_owned();
    let before = http.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!((&before["Running"], &before["ExitCode"]), (&json!(false), &Value::Null), "{before}");
    assert_eq!(before["ContainerID"], id);
    let mut stream = http
        .open("POST", &format!("/v1.41/exec/{exec}/start"), &[UPGRADE[0], UPGRADE[1], JSON], b"{\"Detach\":false,\"Tty\":false}")
        .unwrap();
    assert!(stream.head.raw.starts_with("HTTP/1.1 101 UPGRADED\r\n"), "{}", stream.head.raw);
    assert_eq!(stream.head.header("Content-Type"), Some("application/vnd.docker.raw-stream"));
    stream.send(b"to exec\n");
    stream.close_write();
    assert_eq!(stream.demultiplex(), ("to exec\n".into(), "err\n".into()));
    // The stream is closed, so the code is final.
    let after = http.get(&format!("/exec/{exec}/json")).expect(200).json();
    assert_eq!((&after["Running"], &after["ExitCode"]), (&json!(false), &json!(9)), "{after}");
    assert_eq!(after["ProcessConfig"]["entrypoint"], "sh");
    assert_eq!(after["ProcessConfig"]["arguments"], json!(["-c", "cat; echo err >&2; exit 9"]));
    // Attached, this failure would be a word in the stream.
    let again = http.request("POST", &format!("/exec/{exec}/start"), &[JSON], br#"{"Detach":true}"#).expect(409).message();
    assert!(again.to_lowercase().contains(&format!("exec command {exec} has already run")), "{again}");
    assert!(create(json!({"Cmd": []})).expect(400).message().contains("No exec command specified"));
    let missing = http.request("POST", "/exec/no-such/start", &[JSON], b"{}").expect(404).message();
    assert!(missing.contains("No such exec instance: no-such"), "{missing}");
    let detached = create(json!({"Cmd": ["true"]})).expect(201).json()["Id"].as_str().unwrap().to_owned();
    http.request("POST", &format!("/exec/{detached}/start"), &[JSON], br#"{"Detach":true}"#).expect(200);
    poll::until("its exit", || (http.get(&format!("/exec/{detached}/json")).json()["ExitCode"] == 0).then_some(()));
    let stopped = case.create(sh("exit 0"));
    let refused = http.post_json(&format!("/containers/{stopped}/exec"), &json!({"Cmd": ["true"]})).expect(409).message();
    assert!(refused.to_lowercase().contains(&format!("container {stopped} is not running")), "{refused}");
}

fn exec_old_content_type(case: &Case) {
    let http = case.http();
    let id = running(case, sh("sleep 100"));
    let body = json!({"Cmd": ["echo", "old"], "AttachStdout": true});
    let exec = http.post_json(&format!("/v1.19/containers/{id}/exec"), &body).expect(201).json()["Id"].as_str().unwrap().to_owned();
    let headers = [("Content-Type", "text/plain"), UPGRADE[0], UPGRADE[1]];
    let mut stream = http.open("POST", &format!("/v1.19/exec/{exec}/start"), &headers, br#"{"Detach":false,"Tty":false}"#).unwrap();
    assert!(matches!(stream.head.status, 101 | 200), "{}", stream.head.raw);
    assert_eq!(stream.demultiplex().0, "old\n");
}

fn logs_api(case: &Case) {
    let http = case.http();
    let id = running(case, sh("echo out; echo err >&2"));
    wait_exit(case, &id);
    let mut both = http.open("GET", &format!("/containers/{id}/logs?stdout=1&stderr=1"), &[], b"").unwrap();
    assert_eq!(both.head.header("Transfer-Encoding"), Some("chunked"), "{}", both.head.raw);
    assert_eq!(both.demultiplex(), ("out\n".into(), "err\n".into()));
    let neither = http.get(&format!("/containers/{id}/logs")).expect(400).message();
    assert!(
        neither.to_lowercase().contains("you must choose at least one stream")
            || neither.contains("must specify at least one of 'stdout' or 'stderr'"),
        "{neither}"
    );
    let bad = http.get(&format!("/containers/{id}/logs?stdout=1&since=nonsense"));
    assert_eq!(bad.status(), if case.engine().is_dockerd() { 500 } else { 400 }, "{}", bad.text());
    // A created container has no logs, which is no error.
    let created = case.create(sh("exit 0"));
    assert_eq!(http.get(&format!("/containers/{created}/logs?stdout=1")).expect(200).text(), "");
    // Headers of a follow come before the first line.
    let quiet = running(case, sh("sleep 100"));
    let stream = http.open("GET", &format!("/containers/{quiet}/logs?stdout=1&follow=1"), &[], b"").unwrap();
    assert_eq!(stream.head.status, 200);
}

fn resize(case: &Case) {
    let http = case.http();
    let id = case.create(json!({"Cmd": ["sleep", "100"], "Tty": true}));
    let path = |query: &str| format!("/containers/{id}/resize?{query}");
    let early = http.post(&path("h=10&w=20"));
    assert!(matches!(early.status(), 409 | 500), "{}", early.text());
    start(case, &id);
    http.post(&path("h=33&w=99")).expect(200);
    let size = case.docker(&["exec", &id, "sh", "-c", "stty size -F /dev/pts/0 2>/dev/null || stty size < /dev/pts/0"]).ok();
    assert_eq!(size, "33 99");
    for query in ["h=x&w=1", "h=1", ""] {
        let bad = http.post(&path(query));
        assert!(bad.status() >= 400, "{query}");
        assert!(case.engine().is_dockerd() || bad.status() == 400, "{query}: {}", bad.status());
    }
}

fn create_checks(case: &Case) {
    let refused = |body: Value, status: u16, text: &str| {
        let mut body = body;
        if body.get("Image").is_none() {
            body["Image"] = json!("busybox");
        }
        let reply = case.http().post_json("/containers/create", &body);
        assert_eq!(reply.status(), status, "{body}: {}", reply.text());
        assert!(reply.message().to_lowercase().contains(&text.to_lowercase()), "{body}: {}", reply.message());
    };
    let host = |config: Value| json!({"HostConfig": config});
    // 20.10 has no status for these.
    let unmapped = if case.engine().is_dockerd() { 500 } else { 400 };
    refused(json!({"Image": "no-such:tag"}), 404, "No such image: no-such:tag");
    refused(host(json!({"Memory": 1024})), 400, "Minimum memory limit allowed is 6MB");
    refused(
        host(json!({"Memory": 33_554_432, "MemorySwap": 16_777_216})),
        400,
        "Minimum memoryswap limit should be larger than memory limit, see usage",
    );
    refused(host(json!({"MemorySwap": 33_554_432})), 400, "You should always set the Memory limit when using Memoryswap limit, see usage");
    refused(
        host(json!({"NanoCpus": 1_000_000_000, "CpuPeriod": 10_000})),
        400,
        "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    );
    refused(host(json!({"CpusetCpus": "900"})), 400, "Requested CPUs are not available - requested 900");
    refused(host(json!({"OomScoreAdj": 2000})), 400, "Invalid value 2000, range for oom score adj is [-1000, 1000]");
    refused(host(json!({"RestartPolicy": {"Name": "sometimes"}})), 400, "invalid restart policy");
    refused(host(json!({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}})), 400, "maximum retry count");
    refused(
        host(json!({"AutoRemove": true, "RestartPolicy": {"Name": "always"}})),
        400,
        "can't create 'AutoRemove' container with restart policy",
    );
    refused(host(json!({"CapAdd": ["NO_SUCH"]})), 400, "invalid CapAdd: unknown capability: \"CAP_NO_SUCH\"");
    refused(host(json!({"Binds": ["/a:/b:/c:/d"]})), unmapped, "invalid");
    refused(host(json!({"Binds": ["/tmp:relative"]})), unmapped, "invalid mount path: 'relative' mount path must be absolute");
    refused(
        host(json!({"Mounts": [{"Type": "bind", "Source": "/no/such/dir", "Target": "/x"}]})),
        400,
        "bind source path does not exist: /no/such/dir",
    );
    refused(host(json!({"Mounts": [{"Type": "nonsense", "Target": "/x"}]})), 400, "mount type unknown");
    refused(host(json!({"Runtime": "no-such-runtime"})), 400, "no-such-runtime");
    refused(host(json!({"LogConfig": {"Type": "no-such-driver"}})), 400, "no-such-driver");
    refused(
        host(json!({"LogConfig": {"Type": "json-file", "Config": {"colour": "red"}}})),
        400,
        "unknown log opt 'colour' for json-file log driver",
    );
    if !case.engine().is_dockerd() {
        // 20.10 notices these at start.
        refused(host(json!({"PidMode": "nonsense"})), 400, "invalid PID mode");
        refused(json!({"Hostname": "x".repeat(65)}), 400, "hostname");
        refused(host(json!({"IpcMode": "nonsense"})), 400, "invalid IPC mode");
    }
    refused(host(json!({"Isolation": "hyperv"})), unmapped, "isolation");
    refused(json!({"WorkingDir": "relative"}), 400, "it needs to be an absolute path");
    refused(json!({"StopSignal": "NOSUCH"}), 400, "invalid signal: NOSUCH");
    refused(json!({"Env": ["=x"]}), 400, "invalid environment variable: =x");
    let unnamed = case.http().post_json("/containers/create?name=_bad", &json!({"Image": "busybox"})).expect(400);
    assert!(unnamed.message().contains("Invalid container name (_bad), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"), "{}", unnamed.text());
}

fn create_reply(case: &Case) {
    let body = json!({"Image": "busybox", "Labels": {"wharf.test": "create_reply"}});
    let reply = case.http().post_json("/containers/create", &body).expect(201);
    let created = reply.json();
    assert_eq!(created, json!({"Id": created["Id"], "Warnings": []}));
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    // Names may come with a slash.
    let name = case.name("slash");
    let id = case.create_named(&format!("/{name}"), json!({}));
    assert_eq!(case.http().get(&format!("/containers/{name}/json")).json()["Id"], id);
    let conflict = case.http().post_json(&format!("/containers/create?name={name}"), &body).expect(409);
    assert_eq!(
        conflict.message(),
        format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
        )
    );
}

fn list_fields(case: &Case) {
    let name = case.name("listed");
    let id = case.create_named(&name, json!({"Cmd": ["sh", "-c", "sleep 100"], "Labels": {"k": "v"}}));
    start(case, &id);
    let list = case.http().get("/containers/json").expect(200).json();
    let row = list.as_array().unwrap().iter().find(|c| c["Id"] == id.as_str()).unwrap();
    assert_eq!(row["Names"], json!([format!("/{name}")]));
    assert_eq!((&row["Image"], &row["Command"], &row["State"]), (&json!("busybox"), &json!("sh -c 'sleep 100'"), &json!("running")));
    assert!(row["ImageID"].as_str().unwrap().starts_with("sha256:") && row["Created"].is_i64());
    assert_eq!((&row["Ports"], &row["Mounts"]), (&json!([]), &json!([])));
    assert_eq!(row["Labels"]["k"], "v");
    assert!(row["Status"].as_str().unwrap().starts_with("Up "));
    assert!(row["HostConfig"]["NetworkMode"].is_string());
    assert!(row["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str().is_some_and(|a| !a.is_empty()), "{row}");
    assert!(row.get("SizeRw").is_none());
    let sized = case.http().get("/containers/json?size=1").expect(200).json();
    assert!(sized.as_array().unwrap().iter().find(|c| c["Id"] == id.as_str()).unwrap()["SizeRootFs"].as_u64().unwrap() > 1_000_000);
}

fn inspect_zero_values(case: &Case) {
    let id = case.create(json!({"Cmd": ["true"]}));
    let inspect = case.http().get(&format!("/v1.41/containers/{id}/json")).expect(200).json();
    let state = &inspect["State"];
    assert_eq!(state["Status"], "created");
    for key in ["Running", "Paused", "Restarting", "OOMKilled", "Dead"] {
        assert_eq!(state[key], false, "{key}");
    }
    assert_eq!((&state["Pid"], &state["ExitCode"], &state["Error"]), (&json!(0), &json!(0), &json!("")));
    for key in ["StartedAt", "FinishedAt"] {
        assert_eq!(state[key], "0001-01-01T00:00:00Z", "{key}");
    }
    assert_eq!((&inspect["RestartCount"], &inspect["ExecIDs"], &inspect["Platform"]), (&json!(0), &Value::Null, &json!("linux")));
    assert_eq!((&inspect["Path"], &inspect["Args"]), (&json!("true"), &json!([])));
    let host = &inspect["HostConfig"];
    for (key, value) in [
        ("Binds", Value::Null),
        ("ContainerIDFile", json!("")),
        ("LogConfig", json!({"Type": "json-file", "Config": {}})),
        ("RestartPolicy", json!({"Name": host["RestartPolicy"]["Name"], "MaximumRetryCount": 0})),
        ("AutoRemove", json!(false)),
        ("CapAdd", Value::Null),
        ("Privileged", json!(false)),
        ("ReadonlyRootfs", json!(false)),
        ("ShmSize", json!(67_108_864)),
        ("IpcMode", json!("private")),
        ("PidMode", json!("")),
        ("Memory", json!(0)),
        ("NanoCpus", json!(0)),
        ("Isolation", json!("")),
        ("CgroupParent", json!("")),
    ] {
        assert_eq!(host[key], value, "HostConfig.{key}");
    }
    for key in ["MaskedPaths", "ReadonlyPaths"] {
        assert!(host[key].as_array().is_some_and(|p| !p.is_empty()), "{key}");
    }
    let config = &inspect["Config"];
    assert_eq!((&config["Hostname"], &config["Domainname"], &config["User"]), (&json!(id[..12]), &json!(""), &json!("")));
    assert_eq!((&config["Cmd"], &config["Entrypoint"], &config["Volumes"]), (&json!(["true"]), &Value::Null, &Value::Null));
    assert_eq!(config["Env"], json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]));
    let bridge = &inspect["NetworkSettings"]["Networks"]["bridge"];
    assert_eq!((&bridge["IPAddress"], &bridge["Gateway"], &bridge["IPPrefixLen"]), (&json!(""), &json!(""), &json!(0)));
    assert_eq!(inspect["NetworkSettings"]["Ports"], json!({}));
    assert_eq!(inspect["Mounts"], json!([]));
    // Before 1.40 the IPC namespace of a new container could be shared.
    let old = case
        .http()
        .post_json(
            "/v1.39/containers/create",
            &json!({"Image": "busybox", "HostConfig": {}, "Labels": {"wharf.test": "inspect_zero_values"}}),
        )
        .expect(201)
        .json();
    let old = case.http().get(&format!("/containers/{}/json", old["Id"].as_str().unwrap())).json();
    assert_eq!(old["HostConfig"]["IpcMode"], "shareable");
}

fn events_stream(case: &Case) {
    let filters = json!({"label": [case.label()], "no-such-key-is-ignored": ["x"]}).to_string().replace('"', "%22").replace(' ', "%20");
    let mut events = case.http().open("GET", &format!("/v1.41/events?filters={filters}"), &[], b"").unwrap();
    assert_eq!((events.head.status, events.head.header("Content-Type")), (200, Some("application/json")));
    assert_eq!(events.head.header("Transfer-Encoding"), Some("chunked"));
    let id = running(case, sh("exit 3"));
    let actions: Vec<Value> = (0..3).map(|_| serde_json::from_str(&events.line().unwrap()).unwrap()).collect();
    assert_eq!(actions.iter().map(|e| e["Action"].as_str().unwrap()).collect::<Vec<_>>(), ["create", "start", "die"]);
    for event in &actions {
        assert_eq!((&event["Type"], &event["Actor"]["ID"], &event["scope"]), (&json!("container"), &json!(id), &json!("local")));
        // The flat fields of the first days.
        assert_eq!((&event["status"], &event["id"], &event["from"]), (&event["Action"], &json!(id), &json!("busybox")));
        assert_eq!(event["time"].as_i64().unwrap(), event["timeNano"].as_i64().unwrap() / 1_000_000_000);
        assert_eq!(event["Actor"]["Attributes"]["wharf.test"], "events_stream");
    }
    assert_eq!(actions[2]["Actor"]["Attributes"]["exitCode"], "3");
}

fn names_and_slashes(case: &Case) {
    let http = case.http();
    case.docker(&["tag", "busybox", "example.org:5000/a/b/c:tag"]).ok();
    assert!(http.get("/images/example.org:5000/a/b/c:tag/json").expect(200).json()["Id"].is_string());
    http.post("/v1.41/images/example.org:5000/a/b/c:tag/tag?repo=example.org:5000/a/d&tag=e").expect(201);
    http.delete("/v1.41/images/example.org:5000/a/d:e").expect(200);
    http.get("/images/example.org%3A5000%2Fa%2Fb%2Fc%3Atag/json").expect(200);
    http.get("/images/docker.io/library/busybox/json").expect(200);
    http.delete("/images/example.org:5000/a/b/c:tag").expect(200);
    let missing = http.get("/images/a/b/c/json").expect(404);
    assert!(missing.message().to_lowercase().contains("no such image: a/b/c"), "{}", missing.text());
}

fn pipelined_and_keep_alive(case: &Case) {
    let request = "GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n";
    let mut stream = case.http().open_bytes(format!("{request}{request}").as_bytes(), false).unwrap();
    assert_eq!(stream.exactly(2), b"OK");
    stream.send(b"");
    // HTTP/1.0 clients get a body that ends with the connection.
    let mut old = case.http().open_bytes(b"GET /_ping HTTP/1.0\r\n\r\n", false).unwrap();
    assert_eq!(old.rest(), "OK");
}

fn bad_requests(case: &Case) {
    let id = case.create(sh("exit 0"));
    let http = case.http();
    let signal = http.post(&format!("/containers/{id}/kill?signal=NOSUCH"));
    assert!(matches!(signal.status(), 400 | 409 | 500), "{}", signal.text());
    assert!(case.engine().is_dockerd() || signal.status() == 400, "{}", signal.text());
    http.post(&format!("/containers/{id}/rename")).expect(400);
    let stopped = http.post(&format!("/containers/{id}/kill")).expect(409);
    assert!(stopped.message().to_lowercase().contains(&format!("container {id} is not running")), "{}", stopped.text());
    // In the old days killing the dead was no error.
    http.post(&format!("/v1.19/containers/{id}/kill")).expect(204);
    let top = http.get(&format!("/containers/{id}/top")).expect(409);
    assert!(top.message().to_lowercase().contains("is not running"), "{}", top.text());
    let limit = http.get("/containers/json?limit=many");
    assert!(limit.status() >= 400, "{}", limit.text());
}

fn auto_remove_by_version(case: &Case) {
    // Below 1.25 it is the client who removes.
    let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"AutoRemove": true}, "Labels": {"wharf.test": "auto_remove_by_version"}});
    let create = |version: &str| {
        case.http().post_json(&format!("{version}/containers/create"), &body).expect(201).json()["Id"].as_str().unwrap().to_owned()
    };
    let (old, new) = (create("/v1.24"), create("/v1.25"));
    let removal = |id: &str| case.http().open("POST", &format!("/containers/{id}/wait?condition=removed"), &[], b"").unwrap();
    let mut removed = removal(&new);
    start(case, &old);
    start(case, &new);
    assert_eq!(wait_exit(case, &old), 0);
    assert_eq!(serde_json::from_str::<Value>(&removed.rest()).unwrap()["StatusCode"], 0);
    case.http().get(&format!("/containers/{new}/json")).expect(404);
    assert_eq!(state(case, &old)["Status"], "exited");
}

fn stop_order(case: &Case) {
    let id = running(case, sh("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"));
    poll::until("ready", || case.docker(&["logs", &id]).stdout.contains("ready").then_some(()));
    let mut wait = case.http().open("POST", &format!("/containers/{id}/wait"), &[], b"").unwrap();
    case.http().post(&format!("/containers/{id}/stop?t=20")).expect(204);
    // The stop has answered, so state and waiters know already.
    let after = state(case, &id);
    assert_eq!((&after["Status"], &after["ExitCode"], &after["Pid"]), (&json!("exited"), &json!(7), &json!(0)));
    assert_eq!(serde_json::from_str::<Value>(&wait.rest()).unwrap()["StatusCode"], 7);
}
