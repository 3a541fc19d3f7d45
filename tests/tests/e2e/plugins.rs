//! `docker plugin` and the authorization chain: managed plugins as objects, and Docker's own plugin protocol with a plugin as users
//! write them.

use std::fs;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_tests::{Case, Daemon, poll, suite};

suite![life_of_a_plugin, what_is_no_plugin, settings_of_a_plugin, chain_denies, chain_fails_closed, answers_are_judged];

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
import base64, http.server, json, os, socketserver, sys
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
                    import time
                    time.sleep(100)
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
    fn start(daemon: &Daemon) -> Plugin {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("whe2e-{}", daemon.dir().file_name().unwrap().to_str().unwrap().trim_start_matches("whe2e-"));
        let file = |name: &str| dir.path().join(name);
        fs::write(file("rules"), "[]").unwrap();
        let mut command = daemon.net.command("python3");
        command.args(["-c", PLUGIN]).args([file("socket"), file("rules"), file("asked")]);
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        poll::until("the plugin listens", || file("socket").exists().then_some(()));
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
