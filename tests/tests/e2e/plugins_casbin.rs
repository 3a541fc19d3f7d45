//! A first-party plugin as an operator meets it: the casbin plugin that `make plugins` built, the stock docker CLI, and callers whom
//! the engine knows by the socket.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use wharf_tests::image::{self, Image};
use wharf_tests::{Case, Daemon, Output, poll, run, suite};

suite![
    who_asks_decides,
    policies_are_read_again,
    a_disabled_plugin_denies,
    what_a_caller_may_not_see,
    images_that_a_caller_may_not_see,
    labels_come_with_images,
    a_crash_leaves_it_enabled,
    nobody_becomes_root_of_the_host,
];

const MODEL: &str = r#"
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch(r.obj, p.obj) && regexMatch(r.act, p.act)
"#;

/// Root may do everything, user 4711 may look.
const POLICY: &str = "\
p, operator, *, .*
p, viewer, *, ^(container|image|network|volume|system)\\.(list|inspect|logs|ping|version|info)$
g, uid:0, operator
g, uid:4711, viewer
";
const VIEWER: u32 = 4711;
const STRANGER: u32 = 4712;
/// No policy here knows this one.
const NOBODY: u32 = 4713;

/// The directory that `make plugins` made; what a test does without it, it says.
fn built(case: &Case) -> Option<PathBuf> {
    if case.engine().is_dockerd() {
        case.skip("components are Wharf's own");
        return None;
    }
    let Some(plugins) = env::var_os("WHARF_PLUGINS") else {
        case.skip("WHARF_PLUGINS does not name the directory that `make plugins` makes");
        return None;
    };
    Some(Path::new(&plugins).join("authz-casbin"))
}

/// A daemon that is guarded by `policy`.
struct Guarded {
    daemon: Daemon,
}

impl Guarded {
    fn new(case: &Case, built: &Path, policy: &str, settings: &[&str]) -> Guarded {
        let guarded = Guarded { daemon: case.own_daemon(None) };
        let daemon = &guarded.daemon;
        guarded.write("model.conf", MODEL);
        guarded.write("policy.csv", policy);
        // Others reach the socket and nothing else.
        fs::set_permissions(daemon.dir(), fs::Permissions::from_mode(0o711)).unwrap();
        fs::set_permissions(daemon.socket(), fs::Permissions::from_mode(0o666)).unwrap();
        daemon.docker(&["plugin", "create", "casbin-authz", built.to_str().unwrap()]).ok();
        let (model, policy) =
            (format!("MODEL={}", guarded.path("model.conf").display()), format!("POLICY={}", guarded.path("policy.csv").display()));
        daemon.docker(&[&["plugin", "set", "casbin-authz", &model, &policy], settings].concat()).ok();
        daemon.docker(&["plugin", "enable", "casbin-authz"]).ok();
        guarded.configure(&json!({"authorization-plugins": ["casbin-authz"]}));
        poll::until("the plugin guards the engine", || (guarded.of(NOBODY, &["version"]).code != 0).then_some(()));
        guarded
    }

    fn path(&self, name: &str) -> PathBuf {
        self.daemon.dir().join(name)
    }

    /// As an editor writes it: at once.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(path.with_extension("new"), text).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn configure(&self, config: &Value) {
        self.write("daemon.json", &config.to_string());
        kill(Pid::from_raw(i32::try_from(self.daemon.pid()).unwrap()), Signal::SIGHUP).unwrap();
    }

    /// `docker ARGS` of another user.
    fn of(&self, uid: u32, args: &[&str]) -> Output {
        let id = uid.to_string();
        let docker = self.daemon.docker_command(args);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "docker"]).args(args);
        command.envs(docker.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(command.env("HOME", "/nonexistent").env("DOCKER_CONFIG", "/nonexistent").current_dir("/"))
    }

    fn health(&self) -> String {
        self.daemon.http().get("/plugins/casbin-authz/json").expect(200).text()
    }
}

fn who_asks_decides(case: &Case) {
    let Some(built) = built(case) else { return };
    let guarded = Guarded::new(case, &built, POLICY, &[]);
    let run = ["run", "--rm", "--network", "none", "busybox", "echo", "ran"];
    assert_eq!(guarded.daemon.docker(&run).ok(), "ran");
    assert!(guarded.of(VIEWER, &["images", "--format", "{{.Repository}}"]).ok().contains("busybox"));
    let denied = guarded.of(VIEWER, &run).fails(125);
    let expected = format!("authorization denied by plugin casbin-authz: uid:{VIEWER} may not container.create");
    assert!(denied.contains(&expected), "{denied}");
    for args in [&["ps"][..], &["plugin", "disable", "-f", "casbin-authz"], &["plugin", "rm", "-f", "casbin-authz"]] {
        let denied = guarded.of(STRANGER, args).fails(1);
        assert!(denied.contains("authorization denied by plugin casbin-authz"), "{denied}");
    }
    assert_eq!(guarded.daemon.docker(&["ps", "-aq"]).ok(), "");
    // The decision log names the caller and what was refused.
    let log = fs::read_to_string(guarded.path("log")).unwrap_or_else(|_| guarded.daemon.log_tail());
    assert!(log.contains("wharf::authz") && log.contains("4712"), "{log}");
}

fn policies_are_read_again(case: &Case) {
    let Some(built) = built(case) else { return };
    let guarded = Guarded::new(case, &built, POLICY, &[]);
    let may = |uid: u32| guarded.of(uid, &["ps"]).code == 0;
    assert!(may(VIEWER) && !may(STRANGER));
    guarded.write("policy.csv", &POLICY.replace("uid:4711", "uid:4712"));
    poll::until("the new policy", || (may(STRANGER) && !may(VIEWER)).then_some(()));

    // One with a mistake is reported, and the last good one stays.
    guarded.write("policy.csv", "p, operator\nthis is no rule");
    poll::until("the report", || guarded.health().contains("policy.csv:").then_some(()));
    assert!(may(STRANGER) && !may(VIEWER), "the last good policy");
    guarded.daemon.docker(&["version"]).ok();

    // So is one that is gone.
    fs::remove_file(guarded.path("policy.csv")).unwrap();
    poll::until("the report", || guarded.health().contains("No such file").then_some(()));
    assert!(may(STRANGER) && !may(VIEWER), "the last good policy");
    guarded.write("policy.csv", POLICY);
    poll::until("the policy that is good again", || (may(VIEWER) && !may(STRANGER)).then_some(()));
}

fn a_disabled_plugin_denies(case: &Case) {
    let Some(built) = built(case) else { return };
    let guarded = Guarded::new(case, &built, POLICY, &[]);
    let daemon = &guarded.daemon;
    let refused = daemon.docker(&["plugin", "disable", "casbin-authz"]).fails(1);
    assert!(refused.contains("authorization"), "{refused}");
    daemon.docker(&["plugin", "disable", "-f", "casbin-authz"]).ok();
    // Nobody answers for it: not for root either.
    for uid in [0, VIEWER, STRANGER] {
        let denied = guarded.of(uid, &["ps"]).fails(1);
        assert!(denied.contains("casbin-authz") && denied.contains("disabled"), "{denied}");
    }
    // The way out is root's file, not the socket.
    assert_ne!(daemon.docker(&["plugin", "enable", "casbin-authz"]).code, 0);
    guarded.configure(&json!({}));
    poll::until("the engine answers again", || (daemon.docker(&["ps"]).code == 0).then_some(()));
    daemon.docker(&["plugin", "enable", "casbin-authz"]).ok();
    guarded.configure(&json!({"authorization-plugins": ["casbin-authz"]}));
    poll::until("it guards again", || (guarded.of(STRANGER, &["ps"]).code != 0).then_some(()));
    daemon.docker(&["ps"]).ok();
}

fn what_a_caller_may_not_see(case: &Case) {
    let Some(built) = built(case) else { return };
    let policy =
        format!("{POLICY}p, uid:{STRANGER}, container:own, .*\np, uid:{STRANGER}, container:, .*\np, uid:{STRANGER}, system:, .*\n");
    let guarded = Guarded::new(case, &built, &policy.replace("g, uid:4711", "g, uid:9"), &["HIDE=true"]);
    let daemon = &guarded.daemon;
    for name in ["own", "other"] {
        daemon.docker(&["create", "--name", name, "--network", "none", "busybox", "true"]).ok();
    }
    assert_eq!(guarded.of(STRANGER, &["ps", "-a", "--format", "{{.Names}}"]).ok(), "own");
    guarded.of(STRANGER, &["container", "inspect", "own"]).ok();
    for args in [&["container", "inspect", "other"][..], &["stop", "other"]] {
        let gone = guarded.of(STRANGER, args);
        assert!(gone.code == 1 && gone.stderr.to_lowercase().contains("no such container: other"), "{gone:?}");
    }
    let mut names: Vec<_> = daemon.docker(&["ps", "-a", "--format", "{{.Names}}"]).ok().lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["other", "own"]);
}

/// An archive of busybox with a label and a name.
fn labelled(label: &str, name: &str) -> Vec<u8> {
    Image::docker_archive(&[image::labelled(label, name)])
}

/// Saving a name, and loading an archive, lead to images that the request does not name.
fn images_that_a_caller_may_not_see(case: &Case) {
    let Some(built) = built(case) else { return };
    let own = ["image:own:latest", "image:mine:*", "image:", "system:"].map(|object| format!("p, uid:{STRANGER}, {object}, .*\n"));
    let guarded = Guarded::new(case, &built, &format!("{POLICY}{}", own.concat()), &["HIDE=true"]);
    let daemon = &guarded.daemon;
    for name in ["own:latest", "own:unseen", "victim:latest"] {
        daemon.load(&labelled(name, name));
    }
    let victim = daemon.docker(&["inspect", "-f", "{{.Id}}", "victim"]).ok();

    // Of a name without tag, only what the caller sees is saved.
    let saved = guarded.of(STRANGER, &["save", "own"]).ok();
    assert!(saved.contains("own:latest") && !saved.contains("own:unseen"));
    for name in ["own:unseen", "victim"] {
        let gone = guarded.of(STRANGER, &["save", name]).fails(1);
        let tag = if name.contains(':') { "" } else { ":latest" };
        assert!(gone.contains(&format!("No such image: {name}{tag}")), "{gone}");
    }

    // The tags of an archive are judged as those of a request.
    let load = |label: &str, name: &str| {
        fs::write(guarded.path("load.tar"), labelled(label, name)).unwrap();
        guarded.of(STRANGER, &["load", "-i", guarded.path("load.tar").to_str().unwrap()])
    };
    let refused = load("impostor", "victim:latest").fails(1);
    assert!(refused.contains("No such image: victim:latest") && !refused.contains(&victim["sha256:".len()..][..12]), "{refused}");
    let denied = load("impostor", "other:1").fails(1);
    assert!(denied.contains("may not image.load image:other:1"), "{denied}");
    assert!(load("mine", "mine:1").ok().contains("Loaded image: mine:1"));
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.Id}}", "victim"]).ok(), victim);
    assert_eq!(daemon.docker(&["images", "-q", "--filter", "label=com.example.test=impostor"]).ok(), "");

    for name in ["victim", "absent"] {
        let gone = guarded.of(STRANGER, &["images", "--filter", &format!("before={name}")]).fails(1);
        assert!(gone.contains(&format!("No such image: {name}:latest")), "{gone}");
    }
    let user = daemon.docker(&["create", "--network", "none", "own", "true"]).ok();
    let used = guarded.of(STRANGER, &["rmi", "own"]).fails(1);
    assert!(used.contains("a container is using its referenced image") && !used.contains(&user[..12]), "{used}");
}

/// A container has the labels of its image, and is judged with them when it is made.
fn labels_come_with_images(case: &Case) {
    let Some(built) = built(case) else { return };
    let objects =
        ["container/label:com.example.test=good", "image:*", "system:"].map(|object| format!("p, uid:{STRANGER}, {object}, .*\n"));
    let policy = format!("{POLICY}{}", objects.concat());
    let guarded = Guarded::new(case, &built, &policy, &[r#"LABELS=["com.example.test"]"#]);
    for label in ["good", "bad"] {
        guarded.daemon.load(&labelled(label, &format!("{label}:latest")));
    }
    let create = |args: &[&str]| guarded.of(STRANGER, &[&["create", "--network", "none"], args].concat());
    create(&["good", "true"]).ok();
    create(&["--label", "com.example.test=good", "bad", "true"]).ok();
    for args in [&["bad", "true"][..], &["busybox", "true"], &["--label", "com.example.test=bad", "good", "true"]] {
        let denied = create(args).fails(1);
        assert!(denied.contains("may not container.create"), "{args:?}: {denied}");
    }
}

fn a_crash_leaves_it_enabled(case: &Case) {
    let Some(built) = built(case) else { return };
    let guarded = Guarded::new(case, &built, POLICY, &[]);
    guarded.daemon.kill9();
    // From its first answer on, the plugin guards it.
    guarded.daemon.boot();
    fs::set_permissions(guarded.daemon.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_ne!(guarded.of(STRANGER, &["ps"]).code, 0);
    guarded.of(VIEWER, &["ps"]).ok();
    guarded.daemon.docker(&["ps"]).ok();
}

/// The example that we ship, and what is not called privileged but as good.
fn nobody_becomes_root_of_the_host(case: &Case) {
    let Some(built) = built(case) else { return };
    let guarded = Guarded::new(case, &built, POLICY, &[]);
    let (daemon, http) = (&guarded.daemon, guarded.daemon.http());
    // Made before anybody minded.
    daemon.docker(&["run", "-d", "--name", "donor", "--network", "host", "--pid", "host", "busybox", "sleep", "1000"]).ok();
    for (name, bind) in [("bound", "/etc:/x"), ("mine", "/srv:/x")] {
        daemon.docker(&["create", "--name", name, "--network", "none", "-v", bind, "busybox", "true"]).ok();
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/authz-casbin/examples/no-host-root");
    let text = |name: &str| fs::read_to_string(example.join(name)).unwrap();
    guarded.write("model.conf", &text("model.conf"));
    guarded.write("policy.csv", &text("policy.csv").replace("group:docker", "uid:7"));
    let create = |host: &Value| http.post_json("/containers/create?name=made", &json!({"Image": "busybox", "HostConfig": host}));
    poll::until("the example is in force", || (create(&json!({"Privileged": true})).status() == 403).then_some(()));
    daemon.docker(&["rm", "made"]);

    let bind = |path: &Path| json!({"Binds": [format!("{}:/x", path.display())]});
    for host in [
        json!({"MaskedPaths": ["/proc/asound"], "ReadonlyPaths": ["/proc/asound"]}),
        json!({"NetworkMode": "container:donor"}),
        json!({"PidMode": "container:donor"}),
        bind(daemon.dir()),
        bind(&daemon.socket()),
        bind(Path::new("/var/spool/cron")),
    ] {
        let reply = create(&host).expect(403);
        assert!(reply.message().contains("may not container.create host-root:"), "{host}: {}", reply.message());
    }
    let start = |name: &str, host: &Value| http.post_json(&format!("/v1.23/containers/{name}/start"), host);
    for (name, host, why) in [
        ("bound", json!({"CpuShares": 7}), "bind=/etc"),
        ("mine", json!({"PidMode": "container:donor"}), "pid=host"),
        ("mine", json!({"NetworkMode": "container:donor"}), "network=host"),
    ] {
        let denied = start(name, &host).expect(403).text();
        assert!(denied.contains(&format!("may not container.start host-root:{why}")), "{denied}");
    }
    start("mine", &json!({"NetworkMode": "none"})).expect(204);
}
