//! Ways around authorization that others had: what is executed is what was judged, however a request is written. Each test says
//! who fell for it, and dockerd 20.10 shows that the attempts are real.

use std::collections::BTreeSet;
use std::io::Read as _;

use serde_json::{Value, json};
use wharf_tests::image::{self, Image};
use wharf_tests::{Case, Daemon, poll, suite};

use crate::plugins::{Plugin, configure, decisions, guarded};

suite![
    bodies_in_disguise,
    bodies_of_any_size,
    two_requests_in_one,
    paths_in_disguise,
    options_at_the_start,
    others_at_the_start,
    links_that_move,
    names_that_move,
    tags_that_move,
    links_that_move_before_a_restart,
    links_that_move_while_the_daemon_is_away,
    links_that_move_before_a_copy,
    streams_are_judged,
    what_is_not_served,
    callers_in_containers,
];

/// The plugin takes everything but this.
fn no_privileges() -> Value {
    json!([{"in": "\"Privileged\":true", "say": {"Allow": false, "Msg": "no privileges"}}])
}

/// What there is afterwards: whether any container has privileges.
fn someone_is_privileged(daemon: &Daemon) -> bool {
    let all = daemon.http().get("/containers/json?all=1").expect(200).json();
    let privileged = |c: &Value| {
        let id = c["Id"].as_str().unwrap();
        daemon.http().get(&format!("/containers/{id}/json")).expect(200).json()["HostConfig"]["Privileged"] == json!(true)
    };
    all.as_array().unwrap().iter().any(privileged)
}

/// Sends these bytes; the status of the first answer, or 0 when the engine hangs up without one.
fn send(daemon: &Daemon, request: &[u8]) -> (u16, String) {
    match daemon.http().open_bytes(request, false) {
        Ok(mut stream) => {
            let mut text = Vec::new();
            stream.read_to_end(&mut text).ok();
            (stream.head.status, String::from_utf8_lossy(&text).into_owned())
        }
        Err(_) => (0, String::new()),
    }
}

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

const JSON: &str = "Content-Type: application/json\r\n";

/// CVE-2024-41110 and its kin: the plugin reads a body otherwise than the engine, or does not get it.
fn bodies_in_disguise(case: &Case) {
    let (plugin, daemon) = guarded(case);
    plugin.rules(&no_privileges());
    let plain = r#"{"Image":"busybox","HostConfig":{"Privileged":true}}"#;
    let chunked = |headers: &str, body: &str| {
        let mut request =
            format!("POST /containers/create HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n{headers}Transfer-Encoding: chunked\r\n\r\n");
        for piece in body.as_bytes().chunks(7) {
            request += &format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap());
        }
        (request + "0\r\n\r\n").into_bytes()
    };
    let create = |headers: &str, body: &str| post("/containers/create", headers, body);
    // The last field: whether dockerd 20.10 lets it through.
    let attempts = [
        ("plain", create(JSON, plain), false),
        ("in chunks", chunked(JSON, plain), false),
        ("in chunks, with another length", chunked(&format!("{JSON}Content-Length: 0\r\n"), plain), false),
        ("a charset", create("Content-Type: application/json; charset=utf-8\r\n", plain), false),
        ("a type in capitals", create("Content-Type: APPLICATION/JSON\r\n", plain), false),
        ("another type", create("Content-Type: text/plain\r\n", plain), false),
        ("no type", create("", plain), false),
        ("keys in lower case", create(JSON, r#"{"image":"busybox","hostconfig":{"privileged":true}}"#), true),
        ("keys in capitals", create(JSON, r#"{"IMAGE":"busybox","HOSTCONFIG":{"PRIVILEGED":true}}"#), true),
        ("escaped keys", create(JSON, r#"{"Image":"busybox","HostConfig":{"Privi\u006ceged":true}}"#), true),
        ("blanks", create(JSON, r#"{"Image":"busybox","HostConfig":{"Privileged" : true}}"#), true),
        ("a key twice", create(JSON, r#"{"Image":"busybox","HostConfig":{"Privileged":false,"privileged":true}}"#), true),
        (
            "an object twice",
            create(JSON, r#"{"Image":"busybox","HostConfig":{"Privileged":false},"hostConfig":{"privileged":true}}"#),
            true,
        ),
        ("two documents", create(JSON, &format!(r#"{{"Image":"busybox"}} {plain}"#)), false),
        ("a mark of byte order", create(JSON, &format!("\u{feff}{plain}")), false),
    ];
    for (what, request, falls) in attempts {
        let (status, text) = send(&daemon, &request);
        let went_through = someone_is_privileged(&daemon);
        if case.engine().is_dockerd() {
            assert_eq!(went_through, falls, "{what}: {status} {text}");
        } else {
            // It was no request, or meant no privileges, or the plugin has seen what it means.
            assert!(!went_through && (status != 403 || text.contains("no privileges")), "{what}: {status} {text}");
        }
        for id in daemon.docker(&["ps", "-aq"]).ok().lines() {
            daemon.docker(&["rm", id]).ok();
        }
    }
}

/// CVE-2026-34040: what is too long to be shown to a plugin was executed all the same.
fn bodies_of_any_size(case: &Case) {
    let (plugin, daemon) = guarded(case);
    plugin.rules(&no_privileges());
    for kilobytes in [900, 1100, 5000] {
        let config = json!({
            "Image": "busybox", "Labels": {"padding": "x".repeat(kilobytes << 10)}, "HostConfig": {"Privileged": true},
        });
        let (status, text) = send(&daemon, &post("/containers/create", JSON, &config.to_string()));
        if case.engine().is_dockerd() {
            // Here it counts on the plugin's reading of half a document.
            assert!(status == 403 || kilobytes > 1000, "{status} {text}");
        } else {
            assert!([400, 403, 413, 500].contains(&status), "{kilobytes} KiB: {status} {text}");
            assert!(!someone_is_privileged(&daemon));
        }
    }
}

/// A body that belongs to nobody is no request.
fn two_requests_in_one(case: &Case) {
    let (plugin, daemon) = guarded(case);
    let secret = "POST /containers/create?name=smuggled HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{\"Image\":\"busybox\"}";
    plugin.rules(&json!([{"in": "smuggled", "of": "RequestUri", "say": {"Allow": false, "Msg": "no"}}]));
    for head in [
        "POST /containers/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n",
        "POST /containers/create HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: +0\r\n\r\n",
        "GET /_ping HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n",
        "GET /_ping HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "GET /_ping HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ] {
        send(&daemon, format!("{head}{secret}").as_bytes());
    }
    // Whichever of them was read as a request of its own was judged as one.
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
}

/// What a pattern for paths overlooks.
fn paths_in_disguise(case: &Case) {
    let (plugin, daemon) = guarded(case);
    plugin.rules(&no_privileges());
    let body = r#"{"Image":"busybox","HostConfig":{"Privileged":true}}"#;
    for path in [
        "/v1.41/containers/create",
        "/v1.24/containers/create",
        "//containers/create",
        "/./containers/create",
        "/info/../containers/create",
        "/containers//create",
        "/containers/create/",
        "/%63ontainers/create",
        "/v1.41/v1.41/containers/create",
        "/v1.041/containers/create",
        "http://elsewhere/containers/create",
        "/containers/create?name=a&name=b",
        "/containers/create#fragment",
        "/containers/create?",
        "/containers/create;x=y",
    ] {
        let (status, text) = send(&daemon, &post(path, JSON, body));
        assert!(status >= 300 || status == 0, "{path}: {status} {text}");
    }
    for header in
        ["X-HTTP-Method-Override: GET\r\n", "X-Original-URL: /_ping\r\n", "X-Forwarded-Prefix: /info\r\n", "Expect: 100-continue\r\n"]
    {
        let (status, text) = send(&daemon, &post("/containers/create", &format!("{JSON}{header}"), body));
        assert!([100, 403].contains(&status), "{header}{status} {text}");
    }
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
    // What stands before the path says nothing; here plugins do not see it.
    send(&daemon, b"GET http://elsewhere/info?a=b HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n");
    let shown =
        plugin.asked().iter().rev().find_map(|rq| rq["RequestUri"].as_str().filter(|uri| uri.ends_with("/info?a=b")).map(str::to_owned));
    let host = if case.engine().is_dockerd() { "http://elsewhere" } else { "" };
    assert_eq!(shown, Some(format!("{host}/info?a=b")));
}

/// Options of the host could be given when a container was started, once.
fn options_at_the_start(case: &Case) {
    let (plugin, daemon) = guarded(case);
    plugin.rules(&no_privileges());
    let id = daemon.docker(&["create", "--network", "none", "busybox", "true"]).ok();
    let start = |version: &str, body: &str| send(&daemon, &post(&format!("/v{version}/containers/{id}/start"), JSON, body)).0;
    assert_eq!(start("1.23", r#"{"Privileged":true}"#), 403);
    assert_eq!(start("1.41", r#"{"Privileged":true}"#), if case.engine().is_dockerd() { 403 } else { 400 });
    assert!(case.engine().is_dockerd() || start("1.23", r#"{"privileged":true}"#) == 403);
    assert!(!someone_is_privileged(&daemon));
    // A process in a container may have more than the container.
    let runs = daemon.docker(&["run", "-d", "--network", "none", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["exec", &runs, "true"]).ok();
    assert!(daemon.docker(&["exec", "--privileged", &runs, "true"]).fails(1).contains("no privileges"));
}

/// What a start brings along is judged as what a create brings: the containers that it would join are objects of the request.
fn others_at_the_start(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd tells no plugin what a request names");
    }
    let (plugin, daemon) = guarded(case);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("decisions.jsonl");
    configure(&daemon, &json!({"authorization-plugins": [plugin.name], "authorization-log": path, "authorization-log-level": "all"}));
    poll::until("decisions are logged", || path.exists().then_some(()));
    let made = |name: &str| daemon.docker(&["create", "--name", name, "--network", "none", "busybox", "true"]).ok();
    let (mine, victim) = (made("mine"), made("victim"));
    for mode in ["NetworkMode", "PidMode", "IpcMode"] {
        std::fs::write(&path, "").unwrap();
        let body = json!({(mode): "container:victim"}).to_string();
        let (status, text) = send(&daemon, &post("/v1.23/containers/mine/start", JSON, &body));
        assert_eq!(status, 409, "{text}");
        let start = poll::until("its decision", || decisions(&path).into_iter().find(|d| d["action"] == "container.start"));
        assert_eq!((&start["targets"][0]["id"], &start["targets"][1]["id"]), (&json!(mine), &json!(victim)), "{mode}");
    }
}

/// Two directories with a file that says which one it is, and a link that leads to one of them.
struct Places(tempfile::TempDir);

impl Places {
    fn new() -> Places {
        let places = Places(tempfile::tempdir().unwrap());
        for name in ["mine", "secret"] {
            std::fs::create_dir(places.path(name)).unwrap();
            std::fs::write(format!("{}/file", places.path(name)), format!("{name}\n")).unwrap();
        }
        places.lead("mine");
        places
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn lead(&self, to: &str) {
        std::os::unix::fs::symlink(self.path(to), self.path("new")).unwrap();
        std::fs::rename(self.path("new"), self.path("link")).unwrap();
    }

    /// What `-v` takes to have the link at `/x`.
    fn bind(&self) -> String {
        format!("{}:/x", self.path("link"))
    }
}

/// Waits until the container could not be started, because its bind leads elsewhere.
fn refused(daemon: &Daemon, name: &str) {
    let state = || daemon.http().get(&format!("/containers/{name}/json")).expect(200).json()["State"].clone();
    poll::until("the start is refused", || state()["Error"].as_str().unwrap().contains("was not allowed to lead to").then_some(()));
}

const SHOW: &str = "cat /x/file; while [ ! -e /x/go ]; do sleep 0.1; done";

/// What a bind leads to is settled when it is allowed: a link that its user can move does not lead a restart elsewhere.
fn links_that_move(case: &Case) {
    let (_plugin, daemon) = guarded(case);
    let places = Places::new();
    let bind = places.bind();
    daemon
        .docker(&["run", "-d", "--name", "lingers", "--restart", "always", "--network", "none", "-v", &bind, "busybox", "sh", "-c", SHOW])
        .ok();
    poll::until("the file is read", || (daemon.docker(&["logs", "lingers"]).stdout == "mine\n").then_some(()));
    places.lead("secret");
    std::fs::write(format!("{}/go", places.path("mine")), "").unwrap();
    if case.engine().is_dockerd() {
        poll::until("the other file is read", || daemon.docker(&["logs", "lingers"]).stdout.ends_with("secret\n").then_some(()));
    } else {
        refused(&daemon, "lingers");
        assert_eq!(daemon.docker(&["logs", "lingers"]).stdout, "mine\n");
        // Asked anew, it is judged anew.
        daemon.docker(&["stop", "-t", "1", "lingers"]);
        daemon.docker(&["start", "lingers"]).ok();
        poll::until("the other file is read", || daemon.docker(&["logs", "lingers"]).stdout.ends_with("secret\n").then_some(()));
    }
    daemon.docker(&["rm", "-f", "lingers"]).ok();
}

/// What `ask` gets, when `act` happens while the plugin thinks about the request for `path`.
fn while_it_thinks<T: Send>(plugin: &Plugin, path: &str, ask: impl FnOnce() -> T + Send, act: impl FnOnce()) -> T {
    let dir = tempfile::tempdir().unwrap();
    let wait = dir.path().join("wait");
    std::fs::write(&wait, "").unwrap();
    plugin.rules(&json!([{"in": path, "of": "RequestUri", "wait": wait, "say": {"Allow": true}}]));
    std::thread::scope(|scope| {
        let ask = scope.spawn(ask);
        let asked = || plugin.asked().iter().any(|rq| rq["RequestUri"].as_str().unwrap().ends_with(path)).then_some(());
        poll::until("the plugin thinks about it", asked);
        act();
        std::fs::remove_file(&wait).unwrap();
        ask.join().unwrap()
    })
}

/// A name that means another container once it was judged.
fn names_that_move(case: &Case) {
    let (plugin, daemon) = guarded(case);
    let create = |name: &str| daemon.docker(&["create", "--name", name, "--network", "none", "busybox", "true"]).ok();
    let secret = create("secret");
    let name = &secret[..12];
    let mine = create(name);
    let path = format!("/containers/{name}/json");
    let rename = || drop(daemon.docker(&["rename", &mine, "other"]).ok());
    let inspected = while_it_thinks(&plugin, &path, || daemon.http().get(&path), rename);
    let shown = inspected.expect(200).json()["Id"].as_str().unwrap().to_owned();
    assert_eq!(shown, if case.engine().is_dockerd() { secret } else { mine });
}

/// A name that another image has once it was judged who loses it.
fn tags_that_move(case: &Case) {
    let (plugin, daemon) = guarded(case);
    daemon.load(&Image::docker_archive(&[image::labelled("other", "other:1")]));
    daemon.docker(&["create", "--name", "made", "--network", "none", "busybox", "true"]).ok();
    let holder = |name: &str| daemon.docker(&["inspect", "-f", "{{.Id}}", name]).ok();
    let images = || daemon.docker(&["images", "-aq"]).ok().lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let before = images();
    for (n, path) in ["/images/busybox/tag?repo=shared&tag=0", "/commit?container=made&repo=shared&tag=1"].into_iter().enumerate() {
        let (name, taken) = (format!("shared:{n}"), || drop(daemon.docker(&["tag", "other:1", &format!("shared:{n}")]).ok()));
        let asked = while_it_thinks(&plugin, path, || daemon.http().post(path), taken);
        if case.engine().is_dockerd() {
            asked.expect(201);
            assert_ne!(holder(&name), holder("other:1"));
        } else {
            let refused = asked.expect(409).text();
            assert!(refused.contains(&format!("the name {name} was given to another image meanwhile")), "{refused}");
            assert_eq!((holder(&name), images()), (holder("other:1"), before.clone()));
        }
    }
}

/// A restart is a start like others: judged anew, and held to that.
fn links_that_move_before_a_restart(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd follows links at each start");
    }
    let (_plugin, daemon) = guarded(case);
    let places = Places::new();
    let bind = places.bind();
    let create = ["create", "--name", "late", "--restart", "always", "--network", "none", "-v", &bind, "busybox", "sh", "-c", SHOW];
    daemon.docker(&create).ok();
    places.lead("secret");
    daemon.http().post("/containers/late/restart").expect(204);
    poll::until("the file is read", || (daemon.docker(&["logs", "late"]).stdout == "secret\n").then_some(()));
    places.lead("mine");
    std::fs::write(format!("{}/go", places.path("secret")), "").unwrap();
    refused(&daemon, "late");
    daemon.docker(&["rm", "-f", "late"]).ok();
}

/// A daemon that starts has nobody to ask: what joins another container's network waits for that one and is held to its binds, too.
fn links_that_move_while_the_daemon_is_away(case: &Case) {
    let (_plugin, daemon) = guarded(case);
    let places = Places::new();
    let bind = places.bind();
    let always = ["run", "-d", "--restart", "always", "--stop-timeout", "1"];
    daemon.docker(&[&always[..], &["--name", "donor", "--network", "none", "busybox", "sleep", "1000"]].concat()).ok();
    let joins = ["--name", "joins", "--network", "container:donor", "-v", &bind, "busybox", "sh", "-c", SHOW];
    daemon.docker(&[&always[..], &joins].concat()).ok();
    poll::until("the file is read", || (daemon.docker(&["logs", "joins"]).stdout == "mine\n").then_some(()));
    assert_eq!(daemon.stop(), 0);
    places.lead("secret");
    daemon.boot();
    if case.engine().is_dockerd() {
        poll::until("the other file is read", || daemon.docker(&["logs", "joins"]).stdout.ends_with("secret\n").then_some(()));
    } else {
        refused(&daemon, "joins");
        assert_eq!(daemon.docker(&["logs", "joins"]).stdout, "mine\n");
    }
    daemon.docker(&["rm", "-f", "joins", "donor"]).ok();
}

/// Copies see what was judged when the container was made, whether it has ever run or not, and whoever follows a link: nobody judges
/// the path in it.
fn links_that_move_before_a_copy(case: &Case) {
    let (_plugin, daemon) = guarded(case);
    let places = Places::new();
    daemon.docker(&["create", "--name", "shows", "--network", "none", "-v", &places.bind(), "busybox", "true"]).ok();
    let get = || daemon.http().get("/containers/shows/archive?path=/x/file");
    let text = |tar: &[u8]| String::from_utf8_lossy(tar).into_owned();
    assert!(text(&get().expect(200).body).contains("mine\n"));
    places.lead("secret");
    if case.engine().is_dockerd() {
        assert!(text(&get().expect(200).body).contains("secret\n"));
        return;
    }
    let moved = || {
        let put = daemon.http().request("PUT", "/containers/shows/archive?path=/x", &[("Content-Type", "application/x-tar")], &[0; 1024]);
        for reply in [get(), put] {
            assert!(reply.expect(403).message().contains("was not allowed to lead to"));
        }
    };
    moved();
    daemon.crash();
    moved();
    // A start is judged anew.
    daemon.docker(&["start", "shows"]).ok();
    assert!(text(&get().expect(200).body).contains("secret\n"));
}

/// Streams that take over the connection are judged before they do (envoy, docker/cli#7086).
fn streams_are_judged(case: &Case) {
    let (plugin, daemon) = guarded(case);
    let id = daemon.docker(&["run", "-d", "-i", "--network", "none", "busybox", "cat"]).ok();
    let exec = daemon.http().post_json(&format!("/containers/{id}/exec"), &json!({"Cmd": ["true"], "AttachStdout": true})).expect(201);
    let exec = exec.json()["Id"].as_str().unwrap().to_owned();
    plugin.rules(&json!([{"in": "/", "of": "RequestUri", "say": {"Allow": false, "Msg": "nothing"}}]));
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    let socket =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    for (method, path, headers, body) in [
        ("POST", format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1"), upgrade, ""),
        ("GET", format!("/containers/{id}/attach/ws?stream=1"), socket, ""),
        ("POST", format!("/exec/{exec}/start"), upgrade, r#"{"Detach":false,"Tty":false}"#),
        ("GET", format!("/containers/{id}/logs?follow=1&stdout=1"), "", ""),
        ("GET", "/events".to_owned(), "", ""),
        ("GET", format!("/containers/{id}/stats"), "", ""),
        ("GET", format!("/containers/{id}/export"), "", ""),
        ("GET", "/images/busybox/get".to_owned(), "", ""),
    ] {
        let length = if body.is_empty() { String::new() } else { format!("{JSON}Content-Length: {}\r\n", body.len()) };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n{headers}{length}\r\n{body}");
        let (status, text) = {
            let mut stream = daemon.http().open_bytes(request.as_bytes(), false).unwrap();
            let text = if stream.head.status == 403 { stream.rest() } else { String::new() };
            (stream.head.status, text)
        };
        assert!(status == 403 && text.contains("nothing"), "{path}: {status} {text}");
    }
    plugin.rules(&json!([]));
}

/// What is not there is judged, too: a door that a later version opens was never open.
fn what_is_not_served(case: &Case) {
    let (plugin, daemon) = guarded(case);
    plugin.rules(&json!([{"in": "/", "of": "RequestUri", "say": {"Allow": false, "Msg": "nothing"}}]));
    for path in ["/session", "/grpc", "/build", "/swarm/init", "/plugins/pull?remote=x", "/volumes/create", "/networks/create"] {
        let (status, _) = send(&daemon, &post(path, JSON, "{}"));
        // Some of these cannot be read without more.
        assert!([400, 403].contains(&status), "{path}: {status}");
    }
    plugin.rules(&json!([]));
}

/// A process in a container is known for what it is, whatever its user. (No plugin of Docker's protocol is told; the log is.)
fn callers_in_containers(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd does not tell who asks on a unix socket");
    }
    let (plugin, daemon) = guarded(case);
    plugin.rules(&json!([{"in": "/version", "of": "RequestUri", "say": {"Allow": false, "Msg": "found"}}]));
    // The host's programs, from inside.
    let ask = "import socket,sys\ns = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b'GET /version HTTP/1.0\\r\\n\\r\\n'); print(s.recv(999))";
    let socket = daemon.socket();
    let run = ["run", "--name", "caller", "--network", "none", "-v", "/:/host", "busybox", "chroot", "/host", "python3", "-c", ask];
    let said = daemon.docker(&[&run[..], &[socket.to_str().unwrap()]].concat()).ok();
    assert!(said.contains("403"), "{said}");
    let log = std::fs::read_to_string(daemon.dir().join("log")).unwrap();
    let line = log.lines().find(|l| l.contains("denied: found")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains(r#"\"name\":\"caller\""#) || line.contains(r#""name":"caller""#), "{line}");
    configure(&daemon, &json!({}));
}
