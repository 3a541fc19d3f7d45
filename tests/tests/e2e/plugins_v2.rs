//! Plugins that are processes (Docker's managed plugins): what one gets, what becomes of it, and that it judges requests.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use wharf_tests::{Case, Daemon, Footprint, poll, run, run_with_stdin, suite};

suite![
    process_gets_what_it_asks_for,
    process_judges_and_comes_back,
    process_outlives_no_daemon,
    process_that_does_not_start,
    process_that_does_not_go,
    process_of_another_user,
    process_is_upgraded,
];

/// Where a plugin's process tells what it sees, then runs the plugin itself.
const START: &str = r#"#!/bin/sh
while [ -e /data/hold ]; do sleep 0.1; done
{
    echo "args $*"; echo "cwd $PWD"; echo "user $(id -u):$(id -g)"
    env | sed 's/^/env /'
    grep -E '^(CapEff|Seccomp):' /proc/self/status
    for ns in net pid ipc; do echo "$ns $(readlink /proc/self/ns/$ns)"; done
    [ -c /dev/kmsg ] && echo "device kmsg"
    echo more >> /written; echo "written $(grep -c more /written)"
} > /data/facts.new
mv /data/facts.new /data/facts
[ -z "$VOLUME" ] || { mkdir -p /state/$VOLUME && mount -t tmpfs none /state/$VOLUME && echo here > /state/$VOLUME/file; }
exec /plugin "$@"
"#;

/// The argument that says where to listen.
const SOCKET: &str = "/run/docker/plugins/p.sock";

fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let (source, program) = (dir.path().join("authz.c"), dir.path().join("authz"));
        fs::write(&source, include_str!("plugins_v2/authz.c")).unwrap();
        run(Command::new("gcc").args(["-static", "-O1", "-o"]).args([&program, &source])).ok();
        fs::read(program).unwrap()
    })
}

/// A plugin of a test: its package, and the directory that its process sees as `/data`.
struct Package {
    dir: TempDir,
    name: String,
}

impl Package {
    /// Creates it in `daemon`; `change` is merged into its `config.json`.
    fn create(daemon: &Daemon, name: &str, change: &Value) -> Package {
        let dir = tempfile::tempdir().unwrap();
        let rootfs = dir.path().join("package/rootfs");
        fs::create_dir_all(rootfs.join("bin")).unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        fs::set_permissions(dir.path().join("data"), fs::Permissions::from_mode(0o777)).unwrap();
        for (path, content) in [("bin/busybox", &*fs::read("/bin/busybox").unwrap()), ("plugin", program()), ("start", START.as_bytes())] {
            fs::write(rootfs.join(path), content).unwrap();
            fs::set_permissions(rootfs.join(path), fs::Permissions::from_mode(0o755)).unwrap();
        }
        for applet in ["sh", "id", "env", "sed", "grep", "readlink", "sleep", "mkdir", "mount", "mv"] {
            symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
        }
        // dockerd takes no two plugins of the same content at once.
        fs::write(rootfs.join("unique"), dir.path().to_str().unwrap()).unwrap();
        let mut config = json!({
            "description": "A plugin for tests", "documentation": "",
            "interface": {"types": ["docker.authz/1.0"], "socket": "p.sock"},
            "entrypoint": ["/start"], "workdir": "", "network": {"type": "none"},
            "linux": {"capabilities": [], "allowAllDevices": false, "devices": null},
            "mounts": [{"name": "data", "source": dir.path().join("data"), "destination": "/data", "type": "bind", "options": ["rbind"], "settable": ["source"]}],
            "env": [{"name": "MODE", "settable": ["value"], "value": ""}, {"name": "MARK", "value": dir.path()}],
            "args": {"name": "args", "settable": ["value"], "value": [SOCKET]},
        });
        for (key, value) in change.as_object().unwrap() {
            config[key] = value.clone();
        }
        fs::write(dir.path().join("package/config.json"), config.to_string()).unwrap();
        daemon.docker(&["plugin", "create", name, dir.path().join("package").to_str().unwrap()]).ok();
        Package { dir, name: name.to_owned() }
    }

    fn data(&self, file: &str) -> PathBuf {
        self.dir.path().join("data").join(file)
    }

    fn facts(&self) -> String {
        fs::read_to_string(self.data("facts")).unwrap()
    }

    /// The first process of the plugin, when there is one.
    fn process(&self) -> Option<i32> {
        self.processes().into_iter().find(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|l| l.starts_with("NSpid:") && l.ends_with("\t1"))
        })
    }

    fn processes(&self) -> Vec<i32> {
        let marker = format!("MARK={}\0", self.dir.path().display());
        let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        all.filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&marker)
        })
        .collect()
    }

    /// Nothing of it runs, nothing is mounted, and it has no socket.
    #[track_caller]
    fn is_gone(&self, daemon: &Daemon) {
        assert_eq!(self.processes(), Vec::<i32>::new(), "processes of {}", self.name);
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let plugins = daemon.dir().join("data/plugins");
        assert!(!mounts.contains(&format!(" {}/", plugins.display())), "{mounts}");
        if !daemon.engine.is_dockerd() {
            assert_eq!(fs::read_dir(daemon.dir().join("exec/plugins")).unwrap().count(), 0);
            assert_eq!(fs::read_dir(daemon.dir().join("exec/plugin-tasks")).unwrap().count(), 0);
        }
    }
}

fn plugin(daemon: &Daemon, args: &[&str]) -> String {
    daemon.docker(&[&["plugin"], args].concat()).ok()
}

fn inspect(daemon: &Daemon, name: &str) -> Value {
    daemon.http().get(&format!("/plugins/{name}/json")).expect(200).json()
}

fn configure(daemon: &Daemon, config: &Value) {
    fs::write(daemon.dir().join("daemon.json"), config.to_string()).unwrap();
    kill(Pid::from_raw(daemon.pid().try_into().unwrap()), Signal::SIGHUP).unwrap();
}

fn status(daemon: &Daemon, path: &str) -> u16 {
    daemon.http().open("GET", path, &[], b"").map_or(0, |reply| reply.head.status)
}

fn process_gets_what_it_asks_for(case: &Case) {
    let daemon = case.own_daemon(None);
    // The runtime's directory is made for the first process.
    daemon.docker(&["run", "--rm", "--network", "none", "busybox", "true"]).ok();
    let before = Footprint::of(&daemon);
    let asked = json!({
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "p.sock"},
        "workdir": "/srv/here", "network": {"type": "host"}, "ipchost": true, "propagatedMount": "/state",
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "allowAllDevices": false, "devices": [{"name": "log", "path": "/dev/null", "settable": ["path"]}]},
        "mounts": [
            {"name": "data", "source": "", "destination": "/data", "type": "bind", "options": ["rbind"], "settable": ["source"]},
            {"name": "scratch", "source": "tmpfs", "destination": "/scratch", "type": "tmpfs", "options": ["nosuid"]},
        ],
        "env": [{"name": "VOLUME", "settable": ["value"], "value": ""}, {"name": "UNSET", "settable": ["value"]}],
    });
    let p = Package::create(&daemon, &case.name("p"), &asked);
    if !case.engine().is_dockerd() {
        // dockerd mounts its own directory of the plugin.
        let refused = daemon.docker(&["plugin", "enable", &p.name]).fails(1);
        assert!(refused.contains("mount source is not specified"), "{refused}");
        assert_eq!(inspect(&daemon, &p.name)["Enabled"], json!(false));
    }
    let source = format!("data.source={}", p.dir.path().join("data").display());
    plugin(&daemon, &["set", &p.name, &source, "VOLUME=one", "log.path=/dev/kmsg", &format!("args={SOCKET} nothing")]);
    plugin(&daemon, &["enable", &p.name]);

    let id = inspect(&daemon, &p.name)["Id"].as_str().unwrap().to_owned();
    let facts = poll::until("the plugin tells", || fs::read_to_string(p.data("facts")).ok());
    let has = |line: &str| assert!(facts.lines().any(|l| l == line), "{line}\n{facts}");
    has(&format!("args {SOCKET} nothing"));
    has("cwd /srv/here");
    has("user 0:0");
    has("env VOLUME=one");
    has("env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    has("device kmsg");
    assert!(!facts.contains("env UNSET") && !facts.contains("env HOSTNAME"), "{facts}");
    let capabilities = facts.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap().trim();
    let capabilities = u64::from_str_radix(capabilities, 16).unwrap();
    assert_eq!(
        (capabilities >> 21 & 1, capabilities >> 16 & 1, capabilities >> 10 & 1),
        (1, 0, 1),
        "sys_admin, sys_module, net_bind_service"
    );
    let own = |ns: &str| format!("{ns} {}", fs::read_link(format!("/proc/{}/ns/{ns}", daemon.pid())).unwrap().display());
    has(&own("net"));
    has(&own("ipc"));
    assert!(!facts.contains(&own("pid")), "{facts}");
    let volume = daemon.dir().join("data/plugins").join(&id).join("propagated-mount/one/file");
    poll::until("the host sees what the plugin mounted", || fs::read_to_string(&volume).ok().filter(|t| t == "here\n"));
    // It is no container.
    assert_eq!(daemon.docker(&["ps", "-aq"]).ok(), "");
    let events = daemon.http().get(&format!("/events?{}", poll::until_now())).text();
    assert!(!events.contains(&format!("\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{{\"ID\":\"{id}")), "{events}");
    let twice = daemon.docker(&["plugin", "enable", &p.name]).fails(1);
    assert!(twice.contains("already enabled"), "{twice}");
    if !case.engine().is_dockerd() {
        let shown = inspect(&daemon, &p.name)["Wharf"].clone();
        assert_eq!((&shown["Status"], &shown["Kinds"]), (&json!("healthy"), &json!(["volumedriver"])));
        let log = shown["Log"].as_array().unwrap();
        assert!(log.iter().any(|l| l.as_str().unwrap().ends_with(" plugin: denies \"nothing\"")), "{log:?}");
        // What no driver of plugins is used for yet still says so.
        let refused = daemon.docker(&["run", "--rm", "-v", "data:/data", "--volume-driver", &p.name, "busybox", "true"]);
        assert_ne!(refused.code, 0, "{}", refused.stdout);
    }
    let said = fs::read_to_string(daemon.dir().join("log")).unwrap();
    assert!(said.lines().any(|l| l.contains("plugin: denies") && (l.contains(&p.name) || l.contains(&id))), "{said}");

    // What it has written into its root stays; its process, its mounts and its socket go.
    plugin(&daemon, &["disable", &p.name]);
    p.is_gone(&daemon);
    assert!(!volume.exists());
    fs::remove_file(p.data("facts")).unwrap();
    plugin(&daemon, &["enable", &p.name]);
    poll::until("the plugin tells again", || p.data("facts").exists().then_some(()));
    assert!(p.facts().contains("written 2"), "{}", p.facts());
    let refused = daemon.docker(&["plugin", "rm", &p.name]).fails(1);
    assert!(refused.contains("is enabled"), "{refused}");
    plugin(&daemon, &["rm", "-f", &p.name]);
    p.is_gone(&daemon);
    if !case.engine().is_dockerd() {
        let left = Footprint::of(&daemon).beyond(&before);
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A daemon that asks the plugin; it denies what holds the word `version`.
fn judged(case: &Case) -> (Package, Daemon) {
    let daemon = case.own_daemon(None);
    let p = Package::create(&daemon, &case.name("p"), &json!({}));
    plugin(&daemon, &["set", &p.name, &format!("args={SOCKET} version")]);
    plugin(&daemon, &["enable", &p.name]);
    configure(&daemon, &json!({"authorization-plugins": [p.name]}));
    poll::until("the plugin is asked", || (status(&daemon, "/version") == 403).then_some(()));
    (p, daemon)
}

fn process_judges_and_comes_back(case: &Case) {
    let (p, daemon) = judged(case);
    let denied = daemon.http().get("/version").expect(403).text();
    assert!(denied.contains(&format!("authorization denied by plugin {}", p.name)) && denied.contains("no version here"), "{denied}");
    assert_eq!(daemon.docker(&["run", "--rm", "--network", "none", "busybox", "echo", "hi"]).ok(), "hi");

    // It dies, and does not come back for a while: nothing is allowed. Then it does.
    fs::write(p.data("hold"), "").unwrap();
    let first = p.process().unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    poll::until("its end is known", || (status(&daemon, "/info") >= 400).then_some(()));
    if !case.engine().is_dockerd() {
        let refused = poll::until("the reason is told", || Some(daemon.http().get("/info").text()).filter(|t| t.contains("signal 9")));
        assert!(refused.contains("it does not run, and is started again"), "{refused}");
    }
    fs::remove_file(p.data("hold")).unwrap();
    poll::until("it is back", || (status(&daemon, "/info") == 200).then_some(()));
    assert_eq!(daemon.http().get("/version").status(), 403);
    assert_ne!(p.process(), Some(first));
    if case.engine().is_dockerd() {
        // dockerd takes a plugin that is disabled out of the chain, and forgets a process that it has started again.
        plugin(&daemon, &["disable", "-f", &p.name]);
        return daemon.kill9();
    }
    let refused = daemon.docker(&["plugin", "disable", &p.name]).fails(1);
    assert!(refused.contains("is in use by authorization-plugins"), "{refused}");
    plugin(&daemon, &["disable", "-f", &p.name]);
    assert_eq!(status(&daemon, "/info"), 500);
    p.is_gone(&daemon);
    configure(&daemon, &json!({}));
    poll::until("the engine answers again", || (status(&daemon, "/version") == 200).then_some(()));
}

fn process_outlives_no_daemon(case: &Case) {
    let (p, daemon) = judged(case);
    // However the daemon ends: one process, and it is asked from the first request on.
    daemon.kill9();
    daemon.boot();
    assert_eq!(status(&daemon, "/version"), 403);
    poll::until("one process", || (p.process().is_some() && firsts(&p) == 1).then_some(()));
    assert_eq!(daemon.stop(), 0);
    assert_eq!(p.processes(), Vec::<i32>::new());
    daemon.boot();
    assert_eq!(status(&daemon, "/version"), 403);
    if case.engine().is_dockerd() {
        return;
    }
    // Killed together with everything of it: the next start brings it back.
    daemon.kill9();
    for pid in p.processes() {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    daemon.boot();
    assert_eq!(status(&daemon, "/version"), 403);
    // It cannot be started: nothing is allowed until it can, and then without anybody's help.
    daemon.kill9();
    let program = daemon.dir().join("data/plugins").join(id_of(&daemon)).join("aside");
    let original = content(&daemon).join("rootfs/plugin");
    fs::rename(&original, &program).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            poll::until("everything is denied", || (status(&daemon, "/info") == 500).then_some(()));
            fs::rename(&program, &original).unwrap();
        });
        daemon.boot();
    });
    poll::until("it is back", || (status(&daemon, "/info") == 200).then_some(()));
    configure(&daemon, &json!({}));
    poll::until("the engine answers everything", || (status(&daemon, "/version") == 200).then_some(()));
    plugin(&daemon, &["rm", "-f", &p.name]);
    p.is_gone(&daemon);
}

/// How many first processes a plugin has.
fn firsts(p: &Package) -> usize {
    let first = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|l| l.starts_with("NSpid:") && l.ends_with("\t1"))
    };
    p.processes().iter().filter(|pid| first(pid)).count()
}

/// The id of the only plugin.
fn id_of(daemon: &Daemon) -> String {
    let plugins = fs::read_dir(daemon.dir().join("data/plugins")).unwrap().flatten();
    plugins.map(|e| e.file_name().into_string().unwrap()).next().unwrap()
}

/// The content of the only plugin.
fn content(daemon: &Daemon) -> PathBuf {
    let files = fs::read_dir(daemon.dir().join("data/plugins").join(id_of(daemon))).unwrap().flatten();
    files.map(|e| e.path()).find(|p| p.file_name().unwrap().to_str().unwrap().starts_with("content-")).unwrap()
}

fn process_that_does_not_start(case: &Case) {
    let daemon = case.own_daemon(None);
    let p = Package::create(&daemon, &case.name("p"), &json!({}));
    let enable = |mode: &str| {
        plugin(&daemon, &["set", &p.name, &format!("MODE={mode}")]);
        let begun = Instant::now();
        let refused = daemon.docker(&["plugin", "enable", "--timeout", "2", &p.name]).fails(1);
        assert_eq!(inspect(&daemon, &p.name)["Enabled"], json!(false));
        p.is_gone(&daemon);
        (refused, begun.elapsed())
    };
    let (exited, _) = enable("exit");
    let (silent, took) = enable("deaf");
    assert!(took < Duration::from_secs(25), "{took:?}");
    if !case.engine().is_dockerd() {
        // dockerd does not look why it cannot be reached.
        assert!(exited.contains("the process exited with code 3; its last words: plugin: there is no licence"), "{exited}");
        assert!(silent.contains("no such file or directory"), "{silent}");
    }
    // Its program is not there.
    let q = Package::create(&daemon, &case.name("q"), &json!({"entrypoint": ["/nothing"]}));
    let refused = daemon.docker(&["plugin", "enable", &q.name]).fails(1);
    assert!(refused.contains("no such file or directory") || refused.contains("not found"), "{refused}");
    q.is_gone(&daemon);
    // Without a source in config.json a mount cannot be set either: it is in no list of privileges.
    let bare = json!({
        "mounts": [{"name": "m", "source": null, "destination": "/m", "type": "bind", "options": ["rbind"], "settable": ["source"]}],
        "linux": {"devices": [{"name": "d", "path": null, "settable": ["path"]}]},
    });
    let n = Package::create(&daemon, &case.name("n"), &bare);
    assert!(daemon.docker(&["plugin", "set", &n.name, "m.source=/tmp"]).fails(1).contains("Plugin config has no mount source"));
    assert!(daemon.docker(&["plugin", "set", &n.name, "d.path=/dev/null"]).fails(1).contains("Plugin config has no device path"));
    assert!(daemon.docker(&["plugin", "enable", &n.name]).fails(1).contains("mount source is not specified"));
    for (case_of, change, why) in [
        (
            "r",
            json!({"mounts": [{"name": "m", "source": "/there/is/none", "destination": "/m", "type": "bind", "options": ["rbind"]}]}),
            "/there/is/none",
        ),
        ("s", json!({"linux": {"devices": [{"name": "d", "path": "/dev/there-is-none"}]}}), "no such file or directory"),
    ] {
        let broken = Package::create(&daemon, &case.name(case_of), &change);
        let refused = daemon.docker(&["plugin", "enable", &broken.name]).fails(1);
        assert!(refused.contains(why), "{refused}");
        broken.is_gone(&daemon);
    }
    if case.engine().is_dockerd() {
        // dockerd starts a process again that has ended before it answered, and forgets it.
        return daemon.kill9();
    }
    // dockerd would look for the socket there.
    let lost = Package::create(&daemon, &case.name("t"), &json!({"interface": {"types": ["docker.authz/1.0"], "socket": "../x/p.sock"}}));
    assert!(daemon.docker(&["plugin", "enable", &lost.name]).fails(1).contains("invalid socket"));
    let other = json!({"interface": {"types": ["docker.authz/1.0"], "socket": "p.sock", "protocolScheme": "grpc/1"}});
    let other = Package::create(&daemon, &case.name("u"), &other);
    let devices = json!({"mounts": [{"source": "/dev", "destination": "/dev", "type": "bind", "options": ["rbind"]}]});
    let devices = Package::create(&daemon, &case.name("v"), &devices);
    plugin(&daemon, &["enable", &devices.name]);
    plugin(&daemon, &["disable", "-f", &devices.name]);
    assert!(daemon.docker(&["plugin", "enable", &other.name]).fails(1).contains("speaks \"grpc/1\", and that is not supported"));
}

fn process_that_does_not_go(case: &Case) {
    let daemon = case.own_daemon(None);
    let p = Package::create(&daemon, &case.name("p"), &json!({}));
    plugin(&daemon, &["enable", &p.name]);
    let begun = Instant::now();
    plugin(&daemon, &["disable", &p.name]);
    assert!(begun.elapsed() < Duration::from_secs(8), "it is asked first");
    p.is_gone(&daemon);
    plugin(&daemon, &["set", &p.name, "MODE=stubborn"]);
    plugin(&daemon, &["enable", &p.name]);
    let begun = Instant::now();
    plugin(&daemon, &["disable", &p.name]);
    assert!(begun.elapsed() >= Duration::from_secs(10), "it has its time");
    p.is_gone(&daemon);
}

fn process_of_another_user(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd does not read User");
    }
    let daemon = case.own_daemon(None);
    let p = Package::create(&daemon, &case.name("p"), &json!({"user": {"uid": 1000, "gid": 1001}, "entrypoint": ["/plugin"]}));
    plugin(&daemon, &["enable", &p.name]);
    let status = fs::read_to_string(format!("/proc/{}/status", p.process().unwrap())).unwrap();
    assert!(status.contains("Uid:\t1000\t") && status.contains("Gid:\t1001\t") && status.contains("CapEff:\t0000000000000000"), "{status}");
}

fn process_is_upgraded(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd upgrades from registries only");
    }
    let daemon = case.own_daemon(None);
    let (old, new) =
        (Package::create(&daemon, &case.name("old"), &json!({"env": [{"name": "MODE", "settable": ["value"], "value": ""}]})), {
            let asks = json!({
                "network": {"type": "host"}, "pidhost": true, "ipchost": true,
                "linux": {"capabilities": ["CAP_NET_ADMIN"], "allowAllDevices": true, "devices": [{"name": "d", "path": "/dev/kmsg"}]},
            });
            Package::create(&daemon, &case.name("new"), &asks)
        });
    let privileges = daemon.http().get(&format!("/plugins/privileges?remote={}", new.name)).expect(200).json();
    let names: Vec<_> = privileges.as_array().unwrap().iter().map(|p| p["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["network", "host ipc namespace", "host pid namespace", "mount", "device", "allow-all-devices", "capabilities"]);

    plugin(&daemon, &["enable", &old.name]);
    let upgrade = ["plugin", "upgrade", "--skip-remote-check", &old.name, &new.name];
    let refused = daemon.docker(&upgrade).fails(1);
    assert!(refused.contains("must be disabled before upgrading"), "{refused}");
    plugin(&daemon, &["disable", &old.name]);
    let refused = run_with_stdin(&mut daemon.docker_command(&upgrade), b"n\n");
    assert_ne!(refused.code, 0);
    assert!(
        refused.stdout.contains("- network: [host]") && refused.stdout.contains("- capabilities: [CAP_NET_ADMIN]"),
        "{}",
        refused.stdout
    );
    assert_eq!(inspect(&daemon, &old.name)["Config"]["Network"]["Type"], "none");
    let id = inspect(&daemon, &old.name)["Id"].clone();
    run_with_stdin(&mut daemon.docker_command(&upgrade), b"y\n").ok();
    assert_eq!(inspect(&daemon, &old.name)["Id"], id);
    plugin(&daemon, &["enable", &old.name]);
    // Both have files of their own.
    plugin(&daemon, &["enable", &new.name]);
    let pids = format!("pid {}", fs::read_link("/proc/self/ns/pid").unwrap().display());
    assert!(new.facts().contains("written 1") && new.facts().contains(&pids), "{}", new.facts());
    plugin(&daemon, &["rm", "-f", &old.name]);
    plugin(&daemon, &["rm", "-f", &new.name]);
    new.is_gone(&daemon);
}
