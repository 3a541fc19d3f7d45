//! `docker login` and what the daemon asks registries for it: a real registry with a password file, a registry with a token server.

use std::fs;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_tests::{Case, Daemon, NetNs, Output, poll, run_with_stdin, suite};

suite![password_file, token_server, statuses, insecure_registries];

/// `ann:right horse`, for bcrypt.
const PASSWORDS: &str = "ann:$2a$05$IfEubu9nXqzNJrP5g4MTvuD0mCkyLxfN4c2.iHNLHfTd8WoQlnG4i\n";

/// A server beside the daemon, and its files.
struct Server {
    process: Child,
    dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Server {
    fn start(net: &NetNs, port: u16, dir: TempDir, mut command: Command) -> Server {
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut process = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        poll::until("the server listens", || {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: {}", fs::read_to_string(dir.path().join("log")).unwrap());
            net.sh("ss -Hltn").contains(&format!(":{port} ")).then_some(())
        });
        Server { process, dir }
    }

    /// A registry that knows ann.
    fn registry(net: &NetNs, port: u16) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        fs::write(file("passwords"), PASSWORDS).unwrap();
        let config = json!({
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": file("data")}},
            "http": {"addr": format!("0.0.0.0:{port}")},
            "auth": {"htpasswd": {"realm": "basic-realm", "path": file("passwords")}},
        });
        fs::write(file("config.yml"), config.to_string()).unwrap();
        let mut command = net.command("docker-registry");
        command.args(["serve", &file("config.yml")]);
        Server::start(net, port, dir, command)
    }

    /// A registry with its own token server, which gives ann a refresh token; it tells what it was asked.
    fn tokens(net: &NetNs, port: u16) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut command = net.command("python3");
        command.args(["-c", TOKENS, &port.to_string()]).arg(dir.path().join("asked"));
        Server::start(net, port, dir, command)
    }

    /// What the token server was asked since the last time.
    fn asked(&self) -> Vec<Value> {
        let path = self.dir.path().join("asked");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, "").unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const TOKENS: &str = r#"
import base64, http.server, json, sys
from urllib.parse import parse_qsl, urlsplit
port, asked = int(sys.argv[1]), sys.argv[2]
ANN = "Basic " + base64.b64encode(b"ann:right horse").decode()

class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def token(self, how, fields, known):
        with open(asked, "a") as log:
            print(json.dumps([how, fields]), file=log)
        if known:
            self.reply(200, {"token": "t", "access_token": "t", "refresh_token": "refresh"})
        else:
            self.reply(401, {"details": "incorrect username or password"})

    def do_GET(self):
        if self.path.startswith("/token"):
            self.token("GET", dict(parse_qsl(urlsplit(self.path).query)), self.headers["Authorization"] == ANN)
        elif self.headers["Authorization"] == "Bearer t":
            self.reply(200, {})
        else:
            self.reply(401, {}, WWW_Authenticate=f'Bearer realm="http://127.0.0.1:{port}/token",service="reg",scope="repository:a/b:pull"')

    def do_POST(self):
        form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        self.token("POST", form, form.get("refresh_token") == "refresh")

http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// A user's docker client, with a configuration of its own.
struct Client<'a> {
    daemon: &'a Daemon,
    config: TempDir,
}

impl Client<'_> {
    fn new(daemon: &Daemon) -> Client<'_> {
        Client { daemon, config: tempfile::tempdir().unwrap() }
    }

    fn docker(&self, args: &[&str], stdin: &str) -> Output {
        run_with_stdin(self.daemon.docker_command(args).env("DOCKER_CONFIG", self.config.path()), stdin.as_bytes())
    }

    fn login(&self, password: &str, server: &str) -> Output {
        self.docker(&["login", "-u", "ann", "--password-stdin", server], password)
    }

    /// What the client keeps for a registry.
    fn kept(&self, server: &str) -> Value {
        let text = fs::read_to_string(self.config.path().join("config.json")).unwrap_or_else(|_| "{}".to_owned());
        serde_json::from_str::<Value>(&text).unwrap()["auths"][server].clone()
    }
}

fn password_file(case: &Case) {
    const SERVER: &str = "127.0.0.1:5101";
    let registry = Server::registry(&case.daemon().net, 5101);
    let client = Client::new(case.daemon());
    let refused = client.login("wrong", SERVER).fails(1);
    assert!(refused.contains("login attempt to http://127.0.0.1:5101/v2/ failed with status: 401 Unauthorized"), "{refused}");
    assert!(client.kept(SERVER).is_null());
    assert!(client.login("right horse", SERVER).ok().contains("Login Succeeded"));
    assert_eq!(client.kept(SERVER)["auth"], "YW5uOnJpZ2h0IGhvcnNl");
    // What is kept is good for another time; by name, too.
    assert!(client.docker(&["login", SERVER], "").ok().contains("Login Succeeded"));
    assert!(client.login("right horse", "localhost:5101").ok().contains("Login Succeeded"));
    client.docker(&["logout", SERVER], "").ok();
    assert!(client.kept(SERVER).is_null());
    drop(registry);
    let gone = client.login("right horse", SERVER).fails(1);
    assert!(gone.contains(r#"Get "http://127.0.0.1:5101/v2/": dial tcp 127.0.0.1:5101: connect: connection refused"#), "{gone}");
}

fn token_server(case: &Case) {
    const SERVER: &str = "127.0.0.1:5102";
    let registry = Server::tokens(&case.daemon().net, 5102);
    let client = Client::new(case.daemon());
    let refused = client.login("wrong", SERVER).fails(1);
    assert!(refused.contains(r#"Get "http://127.0.0.1:5102/v2/": unauthorized: incorrect username or password"#), "{refused}");
    let query = json!({"account": "ann", "client_id": "docker", "offline_token": "true", "service": "reg"});
    assert_eq!(registry.asked(), [json!(["GET", query])]);
    assert!(client.login("right horse", SERVER).ok().contains("Login Succeeded"));
    assert_eq!(client.kept(SERVER)["identitytoken"], "refresh");
    assert_eq!(registry.asked(), [json!(["GET", query])]);
    // The token takes the place of the password, as pulls and pushes use it.
    let http = case.http();
    let with = |token: &str| http.post_json("/auth", &json!({"username": "ann", "identitytoken": token, "serveraddress": SERVER}));
    with("refresh").expect(200);
    let form = json!({"client_id": "docker", "grant_type": "refresh_token", "refresh_token": "refresh", "service": "reg"});
    assert_eq!(registry.asked(), [json!(["POST", form])]);
    with("stale").expect(if case.engine().is_dockerd() { 500 } else { 401 });
}

fn statuses(case: &Case) {
    let _registry = Server::registry(&case.daemon().net, 5103);
    let http = case.http();
    let login = |password: &str, server: &str| {
        http.post_json("/auth", &json!({"username": "ann", "password": password, "email": "a@b", "serveraddress": server}))
    };
    let accepted = login("right horse", "http://127.0.0.1:5103/v2/").expect(200).json();
    assert_eq!(accepted, json!({"Status": "Login Succeeded", "IdentityToken": ""}));
    // dockerd 20.10 answers 500 to everything that goes wrong.
    let status = |right: u16| if case.engine().is_dockerd() { 500 } else { right };
    login("wrong", "127.0.0.1:5103").expect(status(401));
    login("", "127.0.0.1:5103").expect(status(401));
    login("right horse", "127.0.0.1:5104").expect(500);
    login("right horse", "https://").expect(status(400));
    let with = |body: &'static [u8]| http.request("POST", "/auth", &[("Content-Type", "application/json")], body);
    with(b"").expect(status(400));
    with(b"{").expect(status(400));
    with(br#"{"username": 1}"#).expect(status(400));
    // Nobody asks for its type.
    let text = br#"{"username":"ann","password":"right horse","serveraddress":"127.0.0.1:5103"}"#;
    http.request("POST", "/auth", &[("Content-Type", "text/plain")], text).expect(200);
}

fn insecure_registries(_: &Case) {
    let daemon = Daemon::start(None);
    daemon.net.sh("ip addr add 10.99.0.1/32 dev lo");
    let _registry = Server::registry(&daemon.net, 5000);
    let config = || daemon.http().get("/info").expect(200).json()["RegistryConfig"].clone();
    let hub = json!({"Name": "docker.io", "Mirrors": [], "Secure": true, "Official": true});
    assert_eq!(config()["IndexConfigs"], json!({"docker.io": hub}));
    let client = Client::new(&daemon);
    let refused = client.login("right horse", "10.99.0.1:5000").fails(1);
    let text = r#"Get "https://10.99.0.1:5000/v2/": http: server gave HTTP response to HTTPS client"#;
    assert!(refused.contains(text), "{refused}");

    let file = daemon.dir().join("daemon.json");
    fs::write(&file, json!({"insecure-registries": ["10.99.0.1:5000", "10.98.0.0/16"]}).to_string()).unwrap();
    let pid = fs::read_to_string(daemon.dir().join("pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGHUP).unwrap();
    let now = poll::until("the new configuration", || Some(config()).filter(|c| c["IndexConfigs"].as_object().unwrap().len() > 1));
    let named = json!({"Name": "10.99.0.1:5000", "Mirrors": [], "Secure": false, "Official": false});
    assert_eq!(now["IndexConfigs"], json!({"docker.io": hub, "10.99.0.1:5000": named}));
    let networks: Vec<_> = now["InsecureRegistryCIDRs"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(networks.contains(&"10.98.0.0/16") && networks.contains(&"127.0.0.0/8"), "{networks:?}");
    assert!(client.login("right horse", "10.99.0.1:5000").ok().contains("Login Succeeded"));
    // A network covers all ports of its addresses.
    fs::write(&file, json!({"insecure-registries": ["10.99.0.0/16"]}).to_string()).unwrap();
    daemon.net.sh("ip addr add 10.99.0.2/32 dev lo");
    kill(Pid::from_raw(pid.trim().parse().unwrap()), Signal::SIGHUP).unwrap();
    poll::until("the second configuration", || config()["InsecureRegistryCIDRs"].to_string().contains("10.99.0.0/16").then_some(()));
    assert!(client.login("right horse", "10.99.0.2:5000").ok().contains("Login Succeeded"));
}
