//! Plugins that mean harm, in a real daemon: what they do is denied in words that tell why, and everybody else is answered meanwhile.
//!
//! That each act of theirs ends, and how, is proved in `core/plugin-host`; here is what users and operators see of it. No time is
//! measured: a hostile call lasts until its deadline, and what is answered before its answer did not wait for it.

mod guest;

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_tests::http::Reply;
use wharf_tests::{Case, Daemon, Footprint, poll, run, suite};

use crate::plugins::{configure, decisions, told};
use guest::Guest;

suite![
    endless_calls_keep_nobody_waiting,
    what_fails_at_once_is_quarantined,
    floods_have_an_end,
    there_is_no_way_out,
    a_start_without_end,
    one_that_is_monitored_hinders_nobody,
    killed_during_a_hostile_call,
    nothing_stays_in_memory,
];

const LOOP: &str = "(loop $l (br $l))";
/// What it writes into its log at the beginning of a hostile act.
const BEGINS: &str = "now for the worst";

/// A daemon for components.
fn start(case: &Case, config: &Value) -> Option<Daemon> {
    if case.engine().is_dockerd() {
        case.skip("components are Wharf's own");
        return None;
    }
    Some(Daemon::start(Some(config.clone())))
}

/// Makes the plugin `evil`; its directory.
fn create(daemon: &Daemon, guest: &Guest, permissions: &[&str]) -> TempDir {
    let package = guest.package(permissions);
    daemon.docker(&["plugin", "create", "evil", package.path().to_str().unwrap()]).ok();
    package
}

/// Has the plugin judge every request; `config` is the rest of the daemon's.
fn guard(daemon: &Daemon, mut guest: Guest, permissions: &[&str], config: &Value) -> TempDir {
    let denies = guest.denies("it judges");
    let package = create(daemon, &guest.at("volume.list", &denies), permissions);
    daemon.docker(&["plugin", "enable", "evil"]).ok();
    let mut config = config.clone();
    config["authorization-plugins"] = json!(["evil"]);
    configure(daemon, &config);
    poll::until("it judges", || judges(daemon).then_some(()));
    package
}

fn judges(daemon: &Daemon) -> bool {
    daemon.http().get("/volumes").status() == 403
}

/// What others want, all day long.
fn serves(daemon: &Daemon) {
    for _ in 0..10 {
        daemon.http().get("/containers/json").expect(200);
        daemon.http().get("/_ping").expect(200);
    }
    daemon.docker(&["ps"]).ok();
}

/// How many hostile acts have begun.
fn begun(daemon: &Daemon) -> usize {
    fs::read_to_string(daemon.dir().join("log")).unwrap().matches(BEGINS).count()
}

/// Does so many hostile things at once. Others are served between the beginning of the last one and the end of the first.
fn beside<T: Send>(daemon: &Daemon, count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let act = &act;
        let acts: Vec<_> = (0..count).map(|n| scope.spawn(move || act(n))).collect();
        poll::until("all of them have begun", || (begun(daemon) >= count).then_some(()));
        serves(daemon);
        assert!(acts.iter().all(|act| !act.is_finished()), "others waited for a hostile call");
        acts.into_iter().map(|act| act.join().unwrap()).collect()
    })
}

/// `docker plugin inspect -f`.
fn show(daemon: &Daemon, format: &str) -> String {
    daemon.docker(&["plugin", "inspect", "-f", format, "evil"]).ok()
}

/// Why the plugin failed to judge, for the client.
#[track_caller]
fn failure(reply: Reply) -> String {
    let said = reply.expect(500).message();
    let why = said.strip_prefix("plugin evil failed with error: ");
    why.unwrap_or_else(|| panic!("{said}")).to_owned()
}

fn endless_calls_keep_nobody_waiting(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    let mut guest = Guest::default();
    let (begins, sends) = (guest.says(BEGINS), guest.sends("http://example.org/"));
    let call = |call: &str| format!("(loop $l (global.set $next (i32.const 8192)) {call} (br $l))");
    let denied = format!("(loop $l (global.set $next (i32.const 8192)) {sends} (br_if $l (i32.eqz (i32.load8_u (i32.const 708)))))");
    let acts = [
        ("system.version", LOOP.to_owned()),
        ("system.info", call("(drop (call $clock-now))")),
        ("system.df", call("(call $random-bytes (i32.const 1000) (i32.const 128))")),
        ("image.list", denied),
    ];
    for (action, act) in &acts {
        guest = guest.at(action, &format!("{begins} {act}"));
    }
    guard(&daemon, guest, &["http:192.0.2.1"], &json!({}));
    let paths = ["/version", "/info", "/system/df", "/images/json"];
    for answer in beside(&daemon, acts.len(), |n| daemon.http().get(paths[n])) {
        assert_eq!(failure(answer), "it did not answer within 5s");
    }
    serves(&daemon);
    assert_eq!(show(&daemon, "{{.Wharf.Status}}"), "healthy");
}

fn what_fails_at_once_is_quarantined(case: &Case) {
    let config = json!({"metrics-addr": "127.0.0.1:9323"});
    let Some(daemon) = start(case, &config) else { return };
    let acts = [
        ("system.version", "unreachable", "/version", "it panicked (see its log)"),
        ("system.info", "(drop (call $deep))", "/info", "it ran out of stack"),
        (
            "system.df",
            "(loop $l (drop (memory.grow (i32.const 16))) (br $l))",
            "/system/df",
            "it needed more than its 67108864 bytes of memory",
        ),
        ("image.list", "(return (i32.const -4))", "/images/json", "it crashed: "),
        ("plugin.list", "(i32.store8 (i32.const 516) (i32.const 9)) (return (i32.const 512))", "/plugins", "it crashed: "),
    ];
    let mut guest = Guest::default().at("container.inspect", LOOP);
    for (action, act, ..) in acts {
        guest = guest.at(action, act);
    }
    guard(&daemon, guest, &[], &config);
    let http = daemon.http();
    for (n, (.., path, why)) in acts.into_iter().enumerate() {
        if n > 0 {
            serves(&daemon);
            assert_eq!(show(&daemon, "{{.Wharf.Status}}"), "healthy", "others are judged well");
        }
        let said = failure(http.get(path));
        assert!(said.starts_with(why), "{said}");
    }
    // That was once too often. Now it is not even asked: it would take its time about the last one.
    for path in ["/_ping", "/containers/json", "/containers/some/json"] {
        let said = failure(http.get(path));
        assert!(said.starts_with("it is quarantined after 5 failures; the last: judge: it crashed: "), "{said}");
    }
    let (samples, _) = crate::metrics::scrape(&daemon);
    assert_eq!(samples["wharf_plugin_state{plugin=\"evil:latest\",state=\"quarantined\"}"], 1.0);
    assert_eq!(samples["wharf_plugin_traps_total{plugin=\"evil:latest\",function=\"judge\"}"], 5.0);

    // Root's way out.
    configure(&daemon, &config);
    poll::until("nobody judges", || (http.get("/_ping").status() == 200).then_some(()));
    serves(&daemon);
    assert_eq!(show(&daemon, "{{.Wharf.Status}}"), "quarantined");
    let reason = show(&daemon, "{{.Wharf.Reason}}");
    assert!(reason.starts_with("judge: it crashed: "), "{reason}");
    let events = told(&daemon);
    let quarantined: Vec<_> = events.iter().filter(|(action, ..)| action == "quarantine").collect();
    assert_eq!(quarantined, [&("quarantine".to_owned(), "evil:latest".to_owned(), reason)]);
    assert!(events.iter().any(|(action, _, why)| action == "degrade" && why == "judge: it ran out of stack"), "{events:?}");
    daemon.docker(&["plugin", "disable", "-f", "evil"]).ok();
    daemon.docker(&["plugin", "rm", "evil"]).ok();
    assert_eq!(http.get("/plugins").expect(200).json(), json!([]));
    assert_eq!(fs::read_dir(daemon.dir().join("data/plugins")).unwrap().count(), 0);
}

fn floods_have_an_end(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    let mut guest = Guest::default();
    let (full, line) = (guest.denies("full"), guest.says("one more"));
    // 180 MB of lines, and an answer as if nothing had been.
    let flood = "(memory.fill (i32.const 20000) (i32.const 120) (i32.const 9000))
        (loop $l
          (call $log-write (i32.const 1) (i32.const 20000) (i32.const 9000))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $n) (i32.const 20000))))";
    // A MiB under each key, until that is refused; the refusal must be the quota (case 0).
    let hoard = format!(
        "(drop (memory.grow (i32.const 16)))
         (i32.store (i32.const 644) (i32.const 620)) (i32.store (i32.const 648) (i32.const 4)) (i32.store (i32.const 656) (i32.const 1048576))
         (loop $l
           (i32.store (i32.const 620) (i32.add (i32.const 0x61616161) (local.get $n)))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (call $state-commit (i32.const 640) (i32.const 1) (i32.const 704))
           (br_if $l (i32.eqz (i32.load8_u (i32.const 704)))))
         (if (i32.load8_u (i32.const 712)) (then unreachable))
         (if (i32.ne (local.get $n) (i32.const 16)) (then unreachable))
         {full}"
    );
    let guest = guest.at("system.version", flood).at("system.info", &line).at("system.df", &hoard);
    guard(&daemon, guest, &["state"], &json!({}));
    let http = daemon.http();
    http.get("/version").expect(200);
    serves(&daemon);
    let lines = || show(&daemon, "{{range .Wharf.Log}}{{println .}}{{end}}").lines().map(str::to_owned).collect::<Vec<_>>();
    let kept = lines();
    assert!((100..=1000).contains(&kept.len()) && kept.iter().all(|line| line.len() < 9000), "{} lines", kept.len());
    // At most the lines of the five seconds that it had.
    let logged = fs::metadata(daemon.dir().join("log")).unwrap().len();
    assert!(logged < 600 * 9000, "{logged} bytes");
    poll::until("a line that tells of the others", || {
        http.get("/info").expect(200);
        lines().iter().any(|line| line.contains("one more (") && line.contains(" lines before this one were dropped)")).then_some(())
    });

    let stored = daemon.dir().join("data/plugin-state/evil/state");
    assert_eq!(http.get("/system/df").expect(403).message(), "authorization denied by plugin evil: full");
    let length = fs::metadata(&stored).unwrap().len();
    assert!((15 << 20..16 << 20).contains(&length), "{length} bytes");
    serves(&daemon);
    assert_eq!(show(&daemon, "{{.Wharf.Status}}"), "healthy");
    configure(&daemon, &json!({}));
    poll::until("nobody judges", || (!judges(&daemon)).then_some(()));
    daemon.docker(&["plugin", "rm", "-f", "evil"]).ok();
    assert!(!stored.parent().unwrap().exists(), "what it stored goes with it");
}

/// A name server, which answers the name `rebound.test` with one address after another, and a web server, which writes down the
/// addresses at which it was reached.
const OUTSIDE: &str = r#"
import http.server, socket, sys, threading
addresses, seen = sys.argv[2].split(","), open(sys.argv[1], "a", buffering=1)

def names(server):
    while True:
        query, client = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        question, answers = query[12:end], b""
        if question.startswith(b"\7rebound\4test\0\0\1"):
            address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
            answers = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(address)
        server.sendto(query[:2] + b"\x81\x80\0\1\0" + (b"\1" if answers else b"\0") + b"\0\0\0\0" + question + answers, client)

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        print(self.connection.getsockname()[0], file=seen)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
threading.Thread(target=names, args=[server], daemon=True).start()
web = http.server.ThreadingHTTPServer(("0.0.0.0", 80), Handler)
print("ready", file=seen)
web.serve_forever()
"#;

/// The servers, until this is dropped.
struct Outside(Child);

impl Outside {
    /// In a daemon's network, where this machine's name server is then.
    fn start(daemon: &Daemon, addresses: &str) -> Outside {
        let configured = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let named = configured.lines().find_map(|line| line.strip_prefix("nameserver")?.trim().parse::<Ipv4Addr>().ok());
        for address in named.into_iter().filter(|address| !address.is_loopback()).chain([Ipv4Addr::new(192, 0, 2, 80)]) {
            daemon.net.sh(&format!("ip addr add {address} dev lo"));
        }
        let mut command = daemon.net.command("python3");
        command.args(["-c", OUTSIDE]).arg(daemon.dir().join("seen")).arg(addresses);
        let outside = Outside(command.stdin(Stdio::null()).spawn().unwrap());
        poll::until("the servers are there", || Outside::seen(daemon).contains("ready").then_some(()));
        outside
    }

    fn seen(daemon: &Daemon) -> String {
        fs::read_to_string(daemon.dir().join("seen")).unwrap_or_default()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn there_is_no_way_out(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    // The first is for the look below.
    let _outside = Outside::start(&daemon, "192.0.2.80,192.0.2.80,127.0.0.1");
    if !run(daemon.net.command("getent").args(["ahostsv4", "rebound.test"])).stdout.contains("192.0.2.80") {
        return case.skip("this machine does not ask the name server of /etc/resolv.conf");
    }
    let mut guest = Guest::default();
    for (action, url) in [
        ("system.version", "http://rebound.test/"),
        ("system.info", "http://127.0.0.1/"),
        ("system.df", "http://localhost/"),
        ("image.list", "http://[::ffff:127.0.0.1]/"),
        ("plugin.list", "http://192.0.2.80/"),
    ] {
        let gets = guest.gets(url);
        guest = guest.at(action, &gets);
    }
    guard(&daemon, guest, &["http:rebound.test", "http:localhost"], &json!({}));
    let http = daemon.http();
    // What the operator allowed, as long as it is what the operator meant.
    http.get("/version").expect(200);
    let near = "an address of this host or its containers";
    for (path, why) in [
        ("/version", format!("rebound.test is 127.0.0.1, {near}")),
        ("/info", "no permission http:127.0.0.1:80".to_owned()),
        ("/system/df", near.to_owned()),
        ("/images/json", "no permission http:".to_owned()),
        ("/plugins", "no permission http:192.0.2.80:80".to_owned()),
    ] {
        let said = http.get(path).expect(403).message();
        assert!(said.starts_with("authorization denied by plugin evil: ") && said.contains(&why), "{path}: {said}");
        serves(&daemon);
    }
    assert_eq!(Outside::seen(&daemon), "ready\n192.0.2.80\n");
    assert_eq!(show(&daemon, "{{.Wharf.Status}}"), "healthy");
}

fn a_start_without_end(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    let mut guest = Guest::default();
    let begins = guest.says(BEGINS);
    create(&daemon, &guest.start(&format!("{begins} {LOOP}")), &["state"]);
    let before = Footprint::of(&daemon);
    for refused in beside(&daemon, 1, |_| daemon.docker(&["plugin", "enable", "evil"])) {
        let said = refused.fails(1);
        assert!(said.contains("plugin \"evil\": it did not answer within 5s"), "{said}");
    }
    assert_eq!((show(&daemon, "{{.Enabled}}"), show(&daemon, "{{.Wharf.Status}}")), ("false".to_owned(), "disabled".to_owned()));
    // The directory of what it would have stored is its own, and goes with it.
    let left = Footprint::of(&daemon).beyond(&before);
    assert!(left.iter().all(|dir| dir.ends_with("plugin-state/evil")), "{left:?}");
    daemon.docker(&["plugin", "rm", "evil"]).ok();
    assert_eq!(Footprint::of(&daemon).beyond(&before), Vec::<std::path::PathBuf>::new());
    assert_eq!(daemon.http().get("/plugins").expect(200).json(), json!([]));
}

fn one_that_is_monitored_hinders_nobody(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    let path = daemon.dir().join("decisions");
    let log = json!({"authorization-log": path, "authorization-log-level": "all"});
    let mut guest = Guest::default();
    let denies = guest.denies("no facts");
    let guest = guest.at("system.version", LOOP).at("system.info", &denies).at("system.df", "unreachable");
    guard(&daemon, guest, &[], &log);
    let mut config = log.clone();
    (config["authorization-plugins"], config["authorization-monitor"]) = (json!(["evil"]), json!(["evil"]));
    configure(&daemon, &config);
    poll::until("it is monitored", || (!judges(&daemon)).then_some(()));

    let would = |action: &str, outcome: &str| {
        let all = decisions(&path).into_iter().filter(|d| d["mode"] == "monitor" && d["action"] == action && d["outcome"] == outcome);
        all.map(|d| d["reason"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let http = daemon.http();
    for _ in 0..3 {
        http.get("/version").expect(200);
    }
    http.get("/info").expect(200);
    serves(&daemon);
    assert_eq!(would("system.version", "failed"), Vec::<String>::new(), "somebody waited for it");
    assert_eq!(poll::until("its denial", || would("system.info", "denied").pop()), "no facts");
    for n in 1..=2 {
        http.get("/system/df").expect(200);
        poll::until("a crash", || (would("system.df", "failed").len() == n).then_some(()));
    }
    let late = poll::until("the end of its calls", || Some(would("system.version", "failed")).filter(|all| all.len() == 3));
    assert_eq!(late, ["it did not answer within 5s"; 3]);
    // Five failures: it is left alone, and nobody notices.
    assert_eq!(show(&daemon, "{{.Wharf.Status}}"), "quarantined");
    serves(&daemon);
    http.get("/version").expect(200);
    let refused = poll::until("it is not asked", || would("system.version", "failed").into_iter().nth(3));
    assert!(refused.contains("quarantined"), "{refused}");
}

fn killed_during_a_hostile_call(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    let mut guest = Guest::default();
    let begins = guest.says(BEGINS);
    guard(&daemon, guest.at("system.version", &format!("{begins} {LOOP}")), &["state"], &json!({}));
    let http = daemon.http();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| daemon.http().open("GET", "/version", &[], b"").is_ok())).collect();
        poll::until("they have begun", || (begun(&daemon) == calls.len()).then_some(()));
        daemon.kill9();
        assert!(calls.into_iter().all(|call| !call.join().unwrap()), "an answer of the dead");
    });
    // From its first answer on, everything is judged.
    daemon.boot();
    assert!(judges(&daemon));
    serves(&daemon);
    assert_eq!((show(&daemon, "{{.Enabled}}"), show(&daemon, "{{.Wharf.Status}}")), ("true".to_owned(), "healthy".to_owned()));
    assert_eq!(failure(http.get("/version")), "it did not answer within 5s");
}

/// Bytes of a daemon that are in no file.
fn anonymous(daemon: &Daemon) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", daemon.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

fn nothing_stays_in_memory(case: &Case) {
    let Some(daemon) = start(case, &json!({})) else { return };
    // 32 MiB that were written to.
    let bomb = "(drop (memory.grow (i32.const 512))) (memory.fill (i32.const 65536) (i32.const 1) (i32.const 33554432)) unreachable";
    let package = guard(&daemon, Guest::default().at("system.version", bomb), &[], &json!({}));
    daemon.docker(&["plugin", "create", "evil:next", package.path().to_str().unwrap()]).ok();
    let http = daemon.http();
    // Once more, and it would be quarantined. Another version begins with a clean slate.
    let round = || {
        for _ in 0..4 {
            assert_eq!(failure(http.get("/version")), "it panicked (see its log)");
        }
        http.post_json("/plugins/evil/upgrade?remote=evil:next", &json!([])).expect(204);
    };
    (0..10).for_each(|_| round());
    let before = anonymous(&daemon);
    (0..60).for_each(|_| round());
    let grown = anonymous(&daemon).saturating_sub(before);
    // Two of the 240 would be noticed.
    assert!(grown < 64 << 20, "{grown} bytes more");
    serves(&daemon);
}
