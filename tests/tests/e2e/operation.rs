//! What the operator does: TLS on a TCP port, sockets from the service manager, a reload, a look inside.

use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_tests::http::Http;
use wharf_tests::{Case, Daemon, Engine, NetNs, poll, run, run_with_stdin, suite};

suite![tls, reload, reload_of_a_broken_file, state_dump, sockets_of_the_service_manager];

const PORT: u16 = 23760;

/// `ca.pem`, `cert.pem` and `key.pem` of one who is both server and client.
fn certificates() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    for (name, text) in [("ca.pem", authority.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn tls(_: &Case) {
    let files = certificates();
    let file = |name: &str| files.path().join(name).display().to_string();
    let config = json!({"tls": true, "tlscacert": file("ca.pem"), "tlscert": file("cert.pem"), "tlskey": file("key.pem")});
    let address = format!("tcp://127.0.0.1:{PORT}");
    let daemon = Daemon::start_with(Some(config), &["-H", &address]);
    daemon.load(&wharf_tests::image::basic_archive());
    let docker = |tls: &[&str], args: &[&str]| {
        let mut docker = daemon.net.command("docker");
        docker.env("DOCKER_CONFIG", daemon.dir().join("cli")).env_remove("DOCKER_CONTEXT").env_remove("DOCKER_HOST");
        docker.args(["-H", &address]).args(tls).args(args);
        docker
    };
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let known = ["--tlsverify", "--tlscacert", &ca, "--tlscert", &cert, "--tlskey", &key];
    let version = run(&mut docker(&known, &["version", "-f", "{{.Server.Os}}"])).ok();
    assert_eq!(version, "linux");
    // The end of input is a message of TLS here; output still comes after it.
    let mut cat = docker(&known, &["run", "--rm", "-i", "busybox", "cat"]);
    assert_eq!(run_with_stdin(&mut cat, b"through and back").ok(), "through and back");
    let nobody = run(&mut docker(&["--tls", "--tlscacert", &ca], &["version"])).fails(1);
    assert!(nobody.contains("certificate"), "{nobody}");
    let plain = run(&mut docker(&[], &["version"])).fails(1);
    assert!(plain.contains("HTTP") || plain.contains("malformed"), "{plain}");
    // One who says nothing keeps nobody waiting.
    let script = format!("import socket; s = socket.create_connection(('127.0.0.1', {PORT})); print(1, flush=True); s.recv(1)");
    let mut silent = daemon.net.command("python3").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(silent.stdout.as_mut().unwrap().read(&mut [0]).unwrap(), 1);
    run(&mut docker(&known, &["version"])).ok();
    silent.kill().unwrap();
    silent.wait().unwrap();
    // A port that only known clients can use is nothing to warn of.
    let warnings = daemon.http().get("/info").expect(200).json()["Warnings"].to_string();
    assert!(!warnings.contains("API is accessible"), "{warnings}");
}

fn signal(daemon: &Daemon, signal: Signal) {
    let pid = fs::read_to_string(daemon.dir().join("pid")).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), signal).unwrap();
}

fn write_config(daemon: &Daemon, text: &str) {
    fs::write(daemon.dir().join("daemon.json"), text).unwrap();
}

fn info(daemon: &Daemon) -> Value {
    daemon.http().get("/info").expect(200).json()
}

/// In one order: dockerd changes it.
fn labels(daemon: &Daemon) -> Vec<String> {
    let mut labels: Vec<String> = serde_json::from_value(info(daemon)["Labels"].clone()).unwrap();
    labels.sort();
    labels
}

/// The reloads so far, as their attributes.
fn reloads(daemon: &Daemon) -> Vec<Value> {
    let filters = "%7B%22type%22%3A%5B%22daemon%22%5D%7D";
    let text = daemon.http().get(&format!("/events?{}&filters={filters}", poll::until_now())).expect(200).text();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|e| e["Action"] == "reload").map(|e| e["Actor"]["Attributes"].clone()).collect()
}

fn reload(_: &Case) {
    let daemon = Daemon::start(Some(json!({"labels": ["a=1"]})));
    assert_eq!((&info(&daemon)["Labels"], &info(&daemon)["LiveRestoreEnabled"]), (&json!(["a=1"]), &json!(false)));
    write_config(
        &daemon,
        &json!({"labels": ["a=2", "b="], "live-restore": true, "debug": true, "shutdown-timeout": 7, "runtimes": {"other": {"path": "/bin/other"}}})
            .to_string(),
    );
    signal(&daemon, Signal::SIGHUP);
    poll::until("the new labels", || (labels(&daemon) == ["a=2", "b="]).then_some(()));
    // dockerd sets one after the other, and this last.
    let now = poll::until("debug", || Some(info(&daemon)).filter(|now| now["Debug"] == json!(true)));
    assert_eq!(now["LiveRestoreEnabled"], json!(true));
    assert_eq!(now["Runtimes"]["other"]["path"], "/bin/other");
    let told = poll::until("the event", || reloads(&daemon).pop());
    for (key, value) in [("live-restore", "true"), ("debug", "true"), ("shutdown-timeout", "7")] {
        assert_eq!(told[key], value, "{key} in {told}");
    }
    assert!(told["labels"].as_str().unwrap().contains("\"a=2\""), "{told}");
    assert!(told["runtimes"].as_str().unwrap().contains("other:/bin/other"), "{told}");
}

fn reload_of_a_broken_file(_: &Case) {
    let daemon = Daemon::start(Some(json!({"labels": ["a=1"]})));
    // A flag of the command line must not come back in the file, either.
    let twice = json!({"labels": ["a=2"], "group": "root"}).to_string();
    for text in ["{", r#"{"labels": "a=2"}"#, r#"{"labels": ["a=2"], "colour": 1}"#, &twice] {
        let before = daemon.log_tail().matches("not reloaded").count();
        write_config(&daemon, text);
        signal(&daemon, Signal::SIGHUP);
        if daemon.engine.is_dockerd() {
            // dockerd words it differently for each.
            std::thread::sleep(std::time::Duration::from_millis(200));
        } else {
            poll::until("the refusal", || (daemon.log_tail().matches("not reloaded").count() > before).then_some(()));
        }
        assert_eq!(info(&daemon)["Labels"], json!(["a=1"]), "{text}");
    }
    assert_eq!(reloads(&daemon), Vec::<Value>::new());
}

fn state_dump(case: &Case) {
    let daemon = case.own_daemon(None);
    let name = daemon.docker(&["run", "-d", "--name", "sleeper", "busybox", "sleep", "600"]).ok();
    signal(&daemon, Signal::SIGUSR1);
    let prefix = if daemon.engine.is_dockerd() { "goroutine-stacks-" } else { "tasks-" };
    let text = poll::until("the file", || {
        let files = fs::read_dir(daemon.dir().join("exec")).unwrap().map(|e| e.unwrap().path());
        let path = files.into_iter().find(|p| p.file_name().unwrap().to_string_lossy().starts_with(prefix))?;
        fs::read_to_string(path).ok().filter(|text| !text.is_empty())
    });
    if !daemon.engine.is_dockerd() {
        assert!(text.contains(&format!("{name} sleeper running ")) && text.contains("\nconnections "), "{text}");
        assert!(text.contains(" wharfd "), "{text}");
    }
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Running}}", "sleeper"]).ok(), "true");
}

/// Plays the service manager: opens a socket, passes it as descriptor 3, becomes the daemon.
const ACTIVATE: &str = "
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.execvp(sys.argv[2], sys.argv[2:])";

fn activated(dir: &Path, net: &NetNs, manager: &Path) -> Child {
    let daemon = Engine::from_env().command(dir, net);
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let mut python: Command = net.command("python3");
    python.args(["-c", ACTIVATE]).arg(dir.join("passed")).arg(daemon.get_program()).args(daemon.get_args()).args(["-H", "fd://"]);
    python.env("NOTIFY_SOCKET", manager).env("WATCHDOG_USEC", "200000").stdout(log.try_clone().unwrap()).stderr(log).current_dir("/");
    python.spawn().unwrap()
}

fn sockets_of_the_service_manager(_: &Case) {
    let dir = tempfile::Builder::new().prefix("whe2e-").tempdir_in("/tmp").unwrap();
    let net = NetNs::new();
    fs::write(dir.path().join("daemon.json"), "{}").unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    let mut daemon = activated(dir.path(), &net, &dir.path().join("notify"));
    // Waits for a message that says this.
    let told = |what: &str| loop {
        let mut text = [0; 512];
        let length = manager.recv(&mut text).unwrap_or_else(|e| panic!("{e}\n{}", fs::read_to_string(dir.path().join("log")).unwrap()));
        let text = String::from_utf8_lossy(&text[..length]).into_owned();
        if text.contains(what) {
            return text;
        }
    };
    manager.set_read_timeout(Some(poll::PATIENCE)).unwrap();
    told("READY=1");
    for socket in ["passed", "sock"] {
        assert_eq!(Http::new(dir.path().join(socket)).get("/_ping").expect(200).text(), "OK");
    }
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    if !Engine::from_env().is_dockerd() {
        // dockerd 20.10 says nothing about reloads, and nothing to a watchdog.
        told("WATCHDOG=1");
        kill(pid, Signal::SIGHUP).unwrap();
        let reloading = told("RELOADING=1");
        assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
        told("READY=1");
    }
    kill(pid, Signal::SIGTERM).unwrap();
    told("STOPPING=1");
    assert!(daemon.wait().unwrap().success());
    // The socket stays for the next daemon; the one that this daemon made does not.
    assert!(dir.path().join("passed").exists() && !dir.path().join("sock").exists());
}
