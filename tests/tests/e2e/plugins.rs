//! `docker plugin` and the authorization chain: managed plugins as objects, and Docker's own plugin protocol with a plugin as users
//! write them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_tests::{Case, Daemon, poll, suite};

suite![
    life_of_a_plugin,
    what_is_no_plugin,
    settings_of_a_plugin,
    chain_denies,
    chain_fails_closed,
    answers_are_judged,
    decisions_are_counted_and_logged,
    health_makes_events,
    one_that_comes_late,
    a_directory_in_the_configuration,
    a_component_and_its_upgrade,
    native_libraries,
];

/// A directory for `docker plugin create`.
fn package(config: &Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rootfs")).unwrap();
    // dockerd takes no two plugins of the same content at once.
    fs::write(dir.path().join("rootfs/file"), dir.path().to_str().unwrap()).unwrap();
    fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    dir
}

fn config() -> Value {
    json!({
        "description": "A plugin for tests", "documentation": "",
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "plugin.sock"},
        "entrypoint": ["/plugin"], "workdir": "", "network": {"type": "none"},
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "allowAllDevices": false, "devices": null},
        "mounts": [{"name": "data", "description": "", "source": "/srv", "destination": "/data", "type": "bind", "options": ["rbind"], "settable": ["source"]}],
        "env": [
            {"name": "DEBUG", "description": "", "settable": ["value"], "value": "0"},
            {"name": "FIXED", "description": "", "settable": null, "value": "1"},
        ],
        "args": {"name": "args", "description": "", "settable": ["value"], "value": ["-v"]},
    })
}

fn life_of_a_plugin(case: &Case) {
    let dir = package(&config());
    let name = case.name("p");
    assert_eq!(case.docker(&["plugin", "create", &name, dir.path().to_str().unwrap()]).ok(), name);
    let http = case.http();
    let shown = http.get(&format!("/plugins/{name}/json")).expect(200).json();
    assert_eq!((shown["Name"].as_str().unwrap(), &shown["Enabled"]), (format!("{name}:latest").as_str(), &json!(false)));
    assert_eq!(shown["Settings"]["Env"], json!(["DEBUG=0", "FIXED=1"]));
    assert_eq!(shown["Config"]["Interface"]["Types"], json!(["docker.volumedriver/1.0"]));
    assert_eq!(shown["Config"]["Linux"]["Capabilities"], json!(["CAP_SYS_ADMIN"]));
    let id = shown["Id"].as_str().unwrap();
    for key in [&name, &format!("{name}:latest"), id, &id[..12]] {
        assert_eq!(case.docker(&["plugin", "inspect", "-f", "{{.ID}}", key]).ok(), id);
    }
    let listed = |filters: &str| {
        let encoded: String = filters.bytes().map(|b| format!("%{b:02x}")).collect();
        let all = http.get(&format!("/plugins?filters={encoded}")).expect(200).json();
        all.as_array().unwrap().iter().any(|p| p["Id"] == id)
    };
    assert!(listed("{}") && listed(r#"{"enabled":["false"]}"#) && listed(r#"{"capability":["volumedriver"]}"#));
    assert!(!listed(r#"{"enabled":["true"]}"#) && !listed(r#"{"capability":["authz"]}"#));

    // The name is taken, with and without the tag.
    let taken = case.docker(&["plugin", "create", &format!("{name}:latest"), dir.path().to_str().unwrap()]).fails(1);
    assert!(taken.contains("already exists"), "{taken}");
    let disabled = case.docker(&["plugin", "disable", &name]).fails(1);
    assert!(disabled.contains("is already disabled"), "{disabled}");
    // Its program is not there: it stays disabled.
    assert_ne!(case.docker(&["plugin", "enable", &name]).code, 0);
    assert_eq!(case.docker(&["plugin", "inspect", "-f", "{{.Enabled}}", &name]).ok(), "false");
    assert_eq!(case.docker(&["plugin", "rm", &name]).ok(), name);
    http.get(&format!("/plugins/{name}/json")).expect(404);
    let gone = case.docker(&["plugin", "rm", &name]).fails(1);
    assert!(gone.contains("not found"), "{gone}");
}

fn what_is_no_plugin(case: &Case) {
    let dir = package(&config());
    let create = |name: &str| case.docker(&["plugin", "create", name, dir.path().to_str().unwrap()]);
    assert_ne!(create("Not/A/Name").code, 0);
    let http = case.http();
    http.request("POST", "/plugins/create?name=broken", &[("Content-Type", "application/x-tar")], b"this is no archive");
    http.get("/plugins/broken/json").expect(404);
    fs::write(dir.path().join("config.json"), "{").unwrap();
    assert_ne!(create("broken").code, 0);
    http.get("/plugins/broken/json").expect(404);
    if !case.engine().is_dockerd() {
        let component = json!({"Interface": {"Types": ["docker.authz/1.0"], "ProtocolScheme": "wasm.component/1"}});
        fs::write(dir.path().join("config.json"), component.to_string()).unwrap();
        assert!(create("broken").fails(1).contains("rootfs/plugin.wasm not found"));
        fs::write(dir.path().join("rootfs/plugin.wasm"), "\0asm, but not really").unwrap();
        assert_ne!(create("broken").code, 0);
        // It has no part of a plugin.
        fs::write(dir.path().join("rootfs/plugin.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        assert_ne!(create("broken").code, 0);
        http.get("/plugins/broken/json").expect(404);
        let left = fs::read_dir(case.daemon().dir().join("data/plugins")).unwrap().flatten();
        let left: Vec<_> = left.filter(|e| !e.path().join("plugin.json").exists()).map(|e| e.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn settings_of_a_plugin(case: &Case) {
    let dir = package(&config());
    let name = case.name("s");
    case.docker(&["plugin", "create", &name, dir.path().to_str().unwrap()]).ok();
    case.docker(&["plugin", "set", &name, "DEBUG=2", "data.source=/tmp", "args=a b"]).ok();
    let settings = case.http().get(&format!("/plugins/{name}/json")).expect(200).json()["Settings"].clone();
    let env: Vec<_> = settings["Env"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    assert!(env.contains(&"DEBUG=2") && env.contains(&"FIXED=1") && env.len() == 2, "{env:?}");
    assert_eq!((&settings["Mounts"][0]["Source"], &settings["Args"]), (&json!("/tmp"), &json!(["a", "b"])));
    for (change, why) in [("FIXED=2", "is not settable"), ("NONE=1", "not found in the plugin configuration")] {
        let refused = case.docker(&["plugin", "set", &name, change]).fails(1);
        assert!(refused.contains(why), "{refused}");
    }
    case.docker(&["plugin", "rm", &name]).ok();
}

/// An authorization plugin as they are written: a small web server on a socket. It denies what `rules` says and writes down what it
/// was asked.
const PLUGIN: &str = r#"
import base64, http.server, json, os, socketserver, sys, time
path, rules, asked = sys.argv[1:]

class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "engine"

    def log_message(self, *args):
        pass

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/Plugin.Activate":
            return self.reply({"Implements": ["authz"]})
        request = json.loads(text)
        request["Method"] = self.path
        for key in ["RequestBody", "ResponseBody"]:
            request[key] = base64.b64decode(request.get(key) or "").decode()
        with open(asked, "a") as log:
            print(json.dumps(request), file=log)
        for rule in json.load(open(rules)):
            if rule["in"] in request["RequestUri"] + request[rule.get("of", "RequestBody")] and self.path.endswith(rule.get("when", "Req")):
                if rule.get("hang"):
                    time.sleep(100)
                while rule.get("wait") and os.path.exists(rule["wait"]):
                    time.sleep(0.02)
                return self.reply(rule["say"])
        self.reply({"Allow": True})

    def reply(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

Server(path, Handler).serve_forever()
"#;

/// The plugin, known to every engine of this machine by its file in the plugins' directory while this lives.
pub(crate) struct Plugin {
    process: Child,
    dir: TempDir,
    pub(crate) name: String,
}

impl Plugin {
    /// A name that no other daemon's plugin has.
    fn name(daemon: &Daemon) -> String {
        format!("whe2e-{}", daemon.dir().file_name().unwrap().to_str().unwrap().trim_start_matches("whe2e-"))
    }

    fn listen(daemon: &Daemon, dir: &TempDir) -> Child {
        let file = |name: &str| dir.path().join(name);
        let _ = fs::remove_file(file("socket"));
        let mut command = daemon.net.command("python3");
        command.args(["-c", PLUGIN]).args([file("socket"), file("rules"), file("asked")]);
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        let open = || std::os::unix::net::UnixStream::connect(file("socket")).is_ok().then_some(());
        poll::until("the plugin listens", open);
        process
    }

    fn end(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start(daemon: &Daemon) -> Plugin {
        let (dir, name) = (tempfile::tempdir().unwrap(), Plugin::name(daemon));
        let file = |name: &str| dir.path().join(name);
        fs::write(file("rules"), "[]").unwrap();
        let process = Plugin::listen(daemon, &dir);
        fs::create_dir_all("/etc/docker/plugins").unwrap();
        fs::write(spec(&name), format!("unix://{}", file("socket").display())).unwrap();
        Plugin { process, dir, name }
    }

    pub(crate) fn rules(&self, rules: &Value) {
        let path = self.dir.path().join("rules");
        fs::write(path.with_extension("new"), rules.to_string()).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    pub(crate) fn asked(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join("asked")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        fs::remove_file(spec(&self.name)).unwrap();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn spec(name: &str) -> String {
    format!("/etc/docker/plugins/{name}.spec")
}

/// A daemon whose chain is the plugin, which must outlive it.
pub(crate) fn guarded(case: &Case) -> (Plugin, Daemon) {
    let daemon = case.own_daemon(None);
    let plugin = Plugin::start(&daemon);
    configure(&daemon, &json!({"authorization-plugins": [plugin.name]}));
    poll::until("the plugin is asked", || {
        daemon.http().get("/_ping");
        (!plugin.asked().is_empty()).then_some(())
    });
    (plugin, daemon)
}

pub(crate) fn configure(daemon: &Daemon, config: &Value) {
    fs::write(daemon.dir().join("daemon.json"), config.to_string()).unwrap();
    let pid = fs::read_to_string(daemon.dir().join("pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGHUP).unwrap();
}

fn chain_denies(case: &Case) {
    let (plugin, daemon) = guarded(case);
    plugin.rules(&json!([{"in": "\"Privileged\":true", "say": {"Allow": false, "Msg": "no privileges"}}]));
    daemon.docker(&["run", "--rm", "--network", "none", "busybox", "true"]).ok();
    let denied = daemon.docker(&["run", "--rm", "--privileged", "--network", "none", "busybox", "true"]).fails(125);
    assert!(denied.contains(&format!("authorization denied by plugin {}: no privileges", plugin.name)), "{denied}");
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
    // Whatever the body looks like, the plugin sees what would be executed. dockerd shows it what was sent.
    let body = json!({"image": "busybox", "hostconfig": {"privileged": true}}).to_string();
    for headers in [vec![("Content-Type", "application/json")], vec![("Content-Type", "application/json; charset=utf-8")]] {
        let reply = daemon.http().request("POST", "/containers/create?name=sly", &headers, body.as_bytes());
        // Read by other rules it is refused, too: nothing is executed that was not judged.
        if !case.engine().is_dockerd() {
            assert!([400, 403].contains(&reply.status()), "{}", reply.text());
        }
    }
    // Who asks, and what it keeps to itself.
    let secret = [("Content-Type", "application/json"), ("X-Registry-Auth", "c2VjcmV0")];
    daemon.http().request("POST", "/images/create?fromImage=nowhere.invalid/x", &secret, b"");
    let asked = plugin.asked();
    assert!(asked.iter().all(|a| a["RequestHeaders"].as_object().is_none_or(|h| h.keys().all(|k| k != "X-Registry-Auth"))));
    assert!(asked.iter().any(|a| a["Method"] == "/AuthZPlugin.AuthZReq" && a["RequestMethod"] == "POST"));
}

fn chain_fails_closed(case: &Case) {
    let (mut plugin, daemon) = guarded(case);
    let http = daemon.http();
    plugin.rules(&json!([{"in": "/version", "say": {"Allow": false, "Err": "confused"}}]));
    let reply = http.get("/version");
    // dockerd takes it for a denial without a reason.
    let (status, text) = if case.engine().is_dockerd() { (403, "denied") } else { (500, "confused") };
    assert_eq!(reply.status(), status);
    assert!(reply.text().contains(text), "{}", reply.text());
    http.get("/_ping").expect(200);
    plugin.process.kill().unwrap();
    plugin.process.wait().unwrap();
    assert!(http.get("/info").status() >= 400, "nobody judged it");
    // The way out: root takes the name out of the file.
    configure(&daemon, &json!({}));
    poll::until("the engine answers again", || (http.get("/info").status() == 200).then_some(()));
    if !case.engine().is_dockerd() {
        // dockerd ends at a name that it does not know.
        configure(&daemon, &json!({"authorization-plugins": ["there-is-none"]}));
        poll::until("everything is denied", || (http.get("/_ping").status() == 500).then_some(()));
        configure(&daemon, &json!({"authorization-plugins": 7}));
        configure(&daemon, &json!({}));
        poll::until("the engine answers again", || (http.get("/_ping").status() == 200).then_some(()));
    }
    plugin.process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
}

fn answers_are_judged(case: &Case) {
    let (plugin, daemon) = guarded(case);
    let http = daemon.http();
    plugin.rules(&json!([{"in": "\"Containers\":", "of": "ResponseBody", "when": "Res", "say": {"Allow": false, "Msg": "not for you"}}]));
    let reply = http.get("/info");
    assert_eq!(reply.status(), 403, "{}", reply.text());
    assert!(reply.text().contains("not for you"), "{}", reply.text());
    http.get("/version").expect(200);
    // Streams flow.
    assert_eq!(daemon.docker(&["run", "--rm", "--network", "none", "busybox", "echo", "hi"]).ok(), "hi");
    let archive = daemon.docker(&["save", "busybox", "-o", daemon.dir().join("x.tar").to_str().unwrap()]);
    archive.ok();
}

/// The lines of the decision log.
pub(crate) fn decisions(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn decisions_are_counted_and_logged(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd has neither");
    }
    let log = tempfile::tempdir().unwrap();
    let path = log.path().join("deep/decisions.jsonl");
    let daemon = case.own_daemon(Some(json!({"metrics-addr": "127.0.0.1:9323"})));
    let plugin = Plugin::start(&daemon);
    let configured = |level: &str| {
        let config = json!({
            "metrics-addr": "127.0.0.1:9323", "authorization-plugins": [plugin.name],
            "authorization-log": path, "authorization-log-level": level,
        });
        configure(&daemon, &config);
    };
    configured("denied");
    plugin.rules(&json!([{"in": "/info", "of": "RequestUri", "say": {"Allow": false, "Msg": "no facts"}}]));
    let http = daemon.http();
    poll::until("the plugin decides", || (http.get("/info").status() == 403).then_some(()));
    http.get("/_ping").expect(200);
    let denied = poll::until("the denial", || decisions(&path).pop());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let own = (&denied["plugin"], &denied["action"], &denied["outcome"], &denied["reason"], &denied["mode"], &denied["phase"]);
    let expected = ["system.info", "denied", "no facts", "enforce", "request"].map(Value::from);
    let [action, outcome, reason, mode, phase] = &expected;
    assert_eq!(own, (&Value::from(plugin.name.as_str()), action, outcome, reason, mode, phase));
    assert_eq!((&denied["caller"]["unix"]["uid"], &denied["targets"]), (&json!(0), &json!([])));
    assert!(denied["micros"].as_u64().unwrap() > 0 && denied["time"].as_str().unwrap().ends_with('Z'), "{denied}");
    assert!(denied["caller"]["unix"]["pid"].as_i64().unwrap() > 0 && denied["api_version"].is_string(), "{denied}");
    assert!(decisions(&path).iter().all(|d| d["outcome"] == "denied"));

    // As logrotate does it: the old file is moved away, and the signal opens a new one.
    let old = path.with_extension("1");
    fs::rename(&path, &old).unwrap();
    configured("all");
    poll::until("a new file", || path.exists().then_some(()));
    daemon.docker(&["run", "--rm", "--network", "none", "-e", "SECRET=swordfish", "--name", "traced", "busybox", "true"]).ok();
    let all = poll::until("its removal", || {
        let all = decisions(&path);
        all.iter().any(|d| d["action"] == "container.start" && d["targets"][0]["name"] == "traced").then_some(all)
    });
    assert!(all.iter().any(|d| d["phase"] == "answer") && all.iter().all(|d| d["outcome"] == "allowed"), "{all:?}");
    assert!(!fs::read_to_string(&path).unwrap().contains("swordfish"));
    let before = decisions(&old).len();

    let (samples, types) = crate::metrics::scrape(&daemon);
    let name = &plugin.name;
    let count = |action: &str, outcome: &str| {
        let series = format!("wharf_authz_decisions_total{{plugin=\"{name}\",mode=\"enforce\",action=\"{action}\",outcome=\"{outcome}\"}}");
        samples.get(&series).copied()
    };
    assert_eq!((count("system.info", "denied"), count("container.start", "allowed")), (Some(before as f64), Some(2.0)), "{samples:?}");
    assert_eq!(samples["wharf_authz_log_lost_total"], 0.0);
    assert_eq!(samples[&format!("wharf_plugin_state{{plugin=\"{name}\",state=\"healthy\"}}")], 1.0);
    assert_eq!(samples[&format!("wharf_plugin_state{{plugin=\"{name}\",state=\"failed\"}}")], 0.0);
    let calls = format!("{{plugin=\"{name}\",function=\"AuthZPlugin.AuthZReq\"}}");
    let made = samples[&format!("wharf_plugin_calls_total{calls}")];
    assert_eq!(samples[&format!("wharf_plugin_call_duration_seconds_count{calls}")], made);
    assert!(made >= 5.0 && samples[&format!("wharf_plugin_timeouts_total{calls}")] == 0.0);
    assert_eq!(types["wharf_plugin_call_duration_seconds"], "histogram");

    // A configuration that is refused still opens the log anew.
    fs::rename(&path, path.with_extension("2")).unwrap();
    configure(&daemon, &json!({"authorization-log-level": "some"}));
    poll::until("a new file", || path.exists().then_some(()));
    // What waits is written at the end.
    http.get("/version").expect(200);
    configure(&daemon, &json!({"authorization-log": path}));
    poll::until("nobody judges", || (http.get("/info").status() == 200).then_some(()));
    assert!(decisions(&path).iter().any(|d| d["action"] == "system.version"), "{:?}", decisions(&path));
}

/// What was told of plugins, as action, name and reason.
pub(crate) fn told(daemon: &Daemon) -> Vec<(String, String, String)> {
    let filters = "%7B%22type%22%3A%5B%22plugin%22%5D%7D";
    let text = daemon.http().get(&format!("/events?{}&filters={filters}", poll::until_now())).expect(200).text();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events
        .map(|e| (text_of(&e["Action"]), text_of(&e["Actor"]["Attributes"]["name"]), text_of(&e["Actor"]["Attributes"]["reason"])))
        .collect()
}

fn health_makes_events(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd does not look after plugins");
    }
    let (mut plugin, daemon) = guarded(case);
    plugin.end();
    assert_eq!(daemon.http().get("/info").status(), 500);
    plugin.process = Plugin::listen(&daemon, &plugin.dir);
    daemon.http().get("/info").expect(200);
    let told = told(&daemon);
    let [degraded, recovered] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((degraded.0.as_str(), degraded.1.as_str()), ("degrade", plugin.name.as_str()));
    assert!(degraded.2.contains("connection refused"), "{degraded:?}");
    assert_eq!((recovered.0.as_str(), recovered.2.as_str()), ("recover", ""));
}

fn one_that_comes_late(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd ends at a name that it does not know");
    }
    let daemon = case.own_daemon(None);
    configure(&daemon, &json!({"authorization-plugins": [Plugin::name(&daemon)]}));
    let http = daemon.http();
    poll::until("everything is denied", || (http.get("/_ping").status() == 500).then_some(()));
    assert!(http.get("/_ping").text().contains("not found"));
    // A service of its own, which starts after the engine: nobody has to tell it.
    let plugin = Plugin::start(&daemon);
    http.get("/_ping").expect(200);
    plugin.rules(&json!([{"in": "\"Image\":\"busybox\"", "say": {"Allow": false, "Msg": "no boxes"}}]));
    assert!(daemon.docker(&["create", "busybox"]).fails(1).contains("no boxes"));
    configure(&daemon, &json!({}));
    poll::until("nobody judges", || (daemon.docker(&["create", "busybox"]).code == 0).then_some(()));
}

/// The first-party plugin, when it was built.
fn casbin(case: &Case) -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/plugins/authz-casbin");
    if case.engine().is_dockerd() {
        case.skip("dockerd runs no components");
    } else if built.join("rootfs/plugin.wasm").exists() {
        return Some(built);
    } else {
        case.skip("`make plugins` was not run");
    }
    None
}

/// A copy of a plugin's directory, with another `config.json`.
fn variant(of: &Path, to: &Path, change: impl FnOnce(&mut Value)) {
    fs::create_dir_all(to.join("rootfs")).unwrap();
    for file in fs::read_dir(of.join("rootfs")).unwrap().flatten() {
        fs::copy(file.path(), to.join("rootfs").join(file.file_name())).unwrap();
    }
    let mut config: Value = serde_json::from_str(&fs::read_to_string(of.join("config.json")).unwrap()).unwrap();
    change(&mut config);
    fs::write(to.join("config.json"), config.to_string()).unwrap();
}

const MODEL: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n[policy_effect]\n\
                     e = some(where (p.eft == allow))\n[matchers]\nm = keyMatch(r.obj, p.obj) && regexMatch(r.act, p.act)\n";

/// Everybody may do everything but remove images.
fn policy(dir: &Path) -> [String; 2] {
    fs::write(dir.join("model.conf"), MODEL).unwrap();
    fs::write(dir.join("policy.csv"), "p, *, *, \"^(container|system|plugin|exec)\\.|^image\\.[^r]\"\n").unwrap();
    ["model.conf", "policy.csv"].map(|file| dir.join(file).display().to_string())
}

fn a_directory_in_the_configuration(case: &Case) {
    let Some(built) = casbin(case) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (good, broken) = (dir.path().join("good"), dir.path().join("broken"));
    variant(&built, &good, |_| ());
    fs::create_dir(&broken).unwrap();
    let [model, rules] = policy(dir.path());
    let config = |chain: &[&str]| {
        json!({
            "authorization-plugins": chain,
            "plugins": [
                {"name": "guard", "path": good, "settings": {"MODEL": model, "POLICY": rules}},
                {"name": "broken", "path": broken},
            ],
        })
    };
    let daemon = case.own_daemon(Some(config(&["guard"])));
    let show = |name: &str, format: &str| daemon.docker(&["plugin", "inspect", "-f", format, name]).ok();
    assert_eq!((show("guard", "{{.Enabled}}"), show("guard", "{{.Wharf.Status}}")), ("true".to_owned(), "healthy".to_owned()));
    assert_eq!((show("guard", "{{.Wharf.Path}}"), show("broken", "{{.Wharf.Status}}")), (good.display().to_string(), "failed".to_owned()));
    assert_eq!(show("broken", "{{.Wharf.Reason}}"), "config.json not found");
    let denied = daemon.docker(&["rmi", "busybox"]).fails(1);
    assert!(denied.contains("authorization denied by plugin guard"), "{denied}");
    for change in [&["disable", "-f"][..], &["rm", "-f"], &["enable"], &["set"]] {
        let [verb, flags @ ..] = change else { unreachable!() };
        let mut args = vec!["plugin", verb];
        args.extend(flags);
        args.push("guard");
        args.extend((*verb == "set").then_some("HIDE=true"));
        let refused = daemon.docker(&args).fails(1);
        assert!(refused.contains("is named in the daemon's configuration with its directory"), "{args:?}: {refused}");
    }
    // It is there before anybody is served, also after a crash.
    daemon.crash();
    daemon.docker(&["rmi", "busybox"]).fails(1);
    // A broken one that is named denies everything, and the daemon runs.
    configure(&daemon, &config(&["guard", "broken"]));
    let http = daemon.http();
    poll::until("everything is denied", || (http.get("/_ping").status() == 500).then_some(()));
    assert!(http.get("/_ping").text().contains("does not start: config.json not found"), "{}", http.get("/_ping").text());
    configure(&daemon, &config(&[]));
    poll::until("nobody judges", || (http.get("/_ping").status() == 200).then_some(()));
    // Said before it is too late, too.
    let file = daemon.dir().join("daemon.json");
    let mut wharfd = daemon.engine.command(daemon.dir(), &daemon.net);
    let invalid = wharf_tests::run(wharfd.arg("--validate")).fails(1);
    assert!(invalid.contains("broken") && invalid.contains("config.json not found"), "{invalid}");
    fs::write(&file, json!({"plugins": [{"name": "guard", "path": good}]}).to_string()).unwrap();
    wharf_tests::run(daemon.engine.command(daemon.dir(), &daemon.net).arg("--validate")).ok();
    fs::set_permissions(good.join("config.json"), fs::Permissions::from_mode(0o666)).unwrap();
    let invalid = wharf_tests::run(daemon.engine.command(daemon.dir(), &daemon.net).arg("--validate")).fails(1);
    assert!(invalid.contains("can be changed by others than root"), "{invalid}");
}

fn a_component_and_its_upgrade(case: &Case) {
    let Some(built) = casbin(case) else { return };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let [model, rules] = policy(dir.path());
    let daemon = case.own_daemon(Some(json!({"metrics-addr": "127.0.0.1:9323"})));
    let create = |name: &str, dir: &Path| daemon.docker(&["plugin", "create", name, dir.to_str().unwrap()]).ok();
    create("guard", &built);
    daemon.docker(&["plugin", "set", "guard", &format!("MODEL={model}"), &format!("POLICY={rules}")]).ok();
    daemon.docker(&["plugin", "enable", "guard"]).ok();
    configure(&daemon, &json!({"metrics-addr": "127.0.0.1:9323", "authorization-plugins": ["guard"]}));
    let refused =
        || daemon.docker(&["rmi", "busybox"]).code == 1 && daemon.docker(&["rmi", "busybox"]).stderr.contains("denied by plugin guard");
    poll::until("it decides", || refused().then_some(()));

    // What an operator looks at, through the stock client: its log, and how it is.
    let show = |format: &str| daemon.docker(&["plugin", "inspect", "-f", format, "guard"]).ok();
    fs::write(dir.path().join("policy.csv"), "p, nonsense").unwrap();
    let log =
        poll::until("its log", || Some(show("{{range .Wharf.Log}}{{println .}}{{end}}")).filter(|log| log.contains("files have changed")));
    assert!(log.lines().all(|line| line.split(' ').count() > 2), "{log}");
    assert_eq!((show("{{.Wharf.Status}}"), show("{{.Wharf.Reason}}")), ("healthy".to_owned(), String::new()));
    assert!(refused(), "the last good policy");
    policy(dir.path());
    let (samples, _) = crate::metrics::scrape(&daemon);
    let judged = "{plugin=\"guard:latest\",function=\"judge\"}";
    assert!(samples[&format!("wharf_plugin_calls_total{judged}")] >= 2.0 && samples[&format!("wharf_plugin_traps_total{judged}")] == 0.0);
    assert!(samples["wharf_plugin_memory_bytes{plugin=\"guard:latest\"}"] >= 65_536.0);
    assert_eq!(samples["wharf_plugin_state{plugin=\"guard:latest\",state=\"healthy\"}"], 1.0);

    // A version that wants more than the old one, and one that cannot start.
    variant(&built, &at("wider"), |config| config["Wharf"]["Permissions"].as_array_mut().unwrap().push(json!("state")));
    variant(&built, &at("bad"), |_| ());
    fs::write(at("bad/rootfs/settings.schema.json"), r#"{"type": "object", "required": ["NONE"]}"#).unwrap();
    create("guard:wider", &at("wider"));
    create("guard:bad", &at("bad"));
    let http = daemon.http();
    let upgrade = |to: &str, agreed: &Value| http.post_json(&format!("/plugins/guard/upgrade?remote=guard:{to}"), agreed);
    let content = || fs::read_dir(daemon.dir().join("data/plugins").join(show("{{.Id}}"))).unwrap().count();
    let (digest, before) = (show("{{.Wharf.Digest}}"), content());
    let failed = upgrade("bad", &json!([]));
    assert_eq!(failed.status(), 400, "{}", failed.text());
    assert!(failed.text().contains("NONE"), "{}", failed.text());
    assert!(refused() && show("{{.Wharf.Status}}") == "healthy" && content() == before, "the old version goes on");
    let wider = upgrade("wider", &json!([]));
    assert_eq!(wider.status(), 500);
    assert!(wider.text().contains("incorrect privileges: state=true"), "{}", wider.text());
    assert!(refused());

    // With what the operator agrees to it is replaced, while requests are judged by the one or the other.
    let asked = http.get("/plugins/privileges?remote=guard:wider").expect(200).json();
    assert!(asked.as_array().unwrap().iter().any(|p| p["Name"] == "state"), "{asked}");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut times = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                daemon.http().get("/info").expect(200);
                daemon.http().delete("/images/busybox").expect(403);
                times += 1;
            }
            times
        });
        upgrade("wider", &asked).expect(204);
        std::thread::sleep(std::time::Duration::from_millis(200));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(watch.join().unwrap() > 0);
    });
    assert_eq!((show("{{.Wharf.Status}}"), show("{{.Wharf.Digest}}"), content()), ("healthy".to_owned(), digest, before));
    assert!(show("{{.Wharf.Permissions}}").contains("state") && show("{{.Settings.Env}}").contains(&rules));
    daemon.crash();
    assert!(refused() && show("{{.Wharf.Permissions}}").contains("state"));
    // The versions that it was made of are not needed any more, and what it stored stays.
    daemon.docker(&["plugin", "rm", "guard:wider", "guard:bad"]).ok();
    let stored = daemon.dir().join("data/plugin-state/guard");
    assert!(stored.exists() && refused());
    configure(&daemon, &json!({"metrics-addr": "127.0.0.1:9323"}));
    poll::until("nobody judges", || (daemon.docker(&["tag", "busybox", "spare"]).code == 0).then_some(()));
    // The stock client's own way, for one that is disabled.
    daemon.docker(&["plugin", "disable", "guard"]).ok();
    create("guard:next", &built);
    daemon.docker(&["plugin", "upgrade", "--grant-all-permissions", "--skip-remote-check", "guard", "guard:next"]).ok();
    assert!(!show("{{.Wharf.Permissions}}").contains("state"));
    daemon.docker(&["plugin", "rm", "guard", "guard:next"]).ok();
    assert!(!stored.exists(), "what it stored goes with it");
}

fn native_libraries(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd loads no libraries");
    }
    let daemon = case.own_daemon(None);
    let name = Plugin::name(&daemon);
    struct File(String);
    impl Drop for File {
        fn drop(&mut self) {
            fs::remove_file(&self.0).unwrap();
        }
    }
    fs::create_dir_all("/etc/docker/plugins").unwrap();
    let file = File(spec(&name));
    fs::write(&file.0, "native:///nowhere/guard.so").unwrap();
    let chain = json!({"authorization-plugins": [name]});
    configure(&daemon, &chain);
    let http = daemon.http();
    let refused = poll::until("it is asked", || Some(http.get("/_ping").text()).filter(|text| text != "OK"));
    assert!(refused.contains("native plugins are not allowed: /nowhere/guard.so"), "{refused}");
    let allowed = json!({"authorization-plugins": [name], "allow-native-plugins": true});
    daemon.stop();
    fs::write(daemon.dir().join("daemon.json"), json!({"allow-native-plugins": true}).to_string()).unwrap();
    daemon.boot();
    configure(&daemon, &allowed);
    let refused = poll::until("it is asked", || Some(http.get("/_ping").text()).filter(|text| text != "OK"));
    assert!(refused.contains("refusing to load plugin /nowhere/guard.so"), "{refused}");
    configure(&daemon, &json!({}));
    poll::until("nobody judges", || (http.get("/_ping").status() == 200).then_some(()));
}
