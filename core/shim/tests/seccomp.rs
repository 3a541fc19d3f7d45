//! Real containers of the embedded runtime: exactly the spec's capabilities and filter, in the first process (before and after
//! `start`) and in execs. Needs root, `/bin/busybox` linked statically, and cgroups.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};
use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Numbers and names of a few capabilities, of which `SYS_ADMIN` is not among the container's unless a test adds it.
const CHOWN: u64 = 1;
const KILL: u64 = 1 << 5;
const SYS_ADMIN: u64 = 1 << 21;

struct Case {
    dir: TempDir,
    id: String,
    spec: Value,
}

/// Capabilities in the order of `/proc/<pid>/status`, whether privileges may grow, and the number of filters.
#[derive(Debug, PartialEq)]
struct State {
    inheritable: u64,
    permitted: u64,
    effective: u64,
    bounding: u64,
    ambient: u64,
    no_new_privileges: u64,
    filters: u64,
}

fn state(status: &str) -> State {
    let field = |name: &str, radix| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(":\t")).unwrap_or_else(|| panic!("{name} in {status}"));
        u64::from_str_radix(line, radix).unwrap()
    };
    State {
        inheritable: field("CapInh", 16),
        permitted: field("CapPrm", 16),
        effective: field("CapEff", 16),
        bounding: field("CapBnd", 16),
        ambient: field("CapAmb", 16),
        no_new_privileges: field("NoNewPrivs", 10),
        filters: field("Seccomp_filters", 10),
    }
}

fn names(set: u64) -> Value {
    let known = [(CHOWN, "CAP_CHOWN"), (KILL, "CAP_KILL"), (SYS_ADMIN, "CAP_SYS_ADMIN")];
    known.iter().filter(|(bit, _)| set & bit != 0).map(|(_, name)| Value::from(*name)).collect()
}

impl Case {
    /// A container that shows its status, tries what its profile forbids, and stays.
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = dir.path().join("rootfs");
        for sub in ["bin", "proc", "dev"] {
            fs::create_dir_all(root.join(sub)).unwrap();
        }
        fs::create_dir(root.join("tmp")).unwrap();
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "cat", "mkdir", "sleep"] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let id = format!("seccomp-test-{name}-{}", std::process::id());
        let spec = json!({
            "ociVersion": "1.0.2",
            "root": {"path": root},
            "process": {
                "terminal": false, "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
                "args": ["sh", "-c", "cat /proc/self/status; mkdir /tmp/x; echo done; exec sleep 1000"],
            },
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": format!("/{id}"),
                "namespaces": [{"type": "pid"}, {"type": "mount"}],
                "seccomp": profile(&["mkdir", "mkdirat"]),
            },
        });
        Self { dir, id, spec }.capabilities(0, CHOWN | KILL, CHOWN | KILL, 0)
    }

    fn capabilities(mut self, uid: u32, bounding: u64, effective: u64, ambient: u64) -> Self {
        self.spec["process"]["user"] = json!({"uid": uid, "gid": uid});
        self.spec["process"]["capabilities"] = json!({
            "bounding": names(bounding), "effective": names(effective), "permitted": names(effective),
            "inheritable": names(ambient), "ambient": names(ambient),
        });
        self
    }

    fn set(mut self, pointer: &str, key: &str, value: Value) -> Self {
        self.spec.pointer_mut(pointer).unwrap()[key] = value;
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn call(&self, args: &[&str], output: &Path) -> Result<(), String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wharf-shim"));
        command.arg("oci").arg("--root").arg(self.path("oci")).args(args).arg(&self.id).stdin(Stdio::null());
        // The container inherits both.
        let log = self.path("log");
        let status = command.stdout(File::create(output).unwrap()).stderr(File::create(&log).unwrap()).status().unwrap();
        if status.success() { Ok(()) } else { Err(fs::read_to_string(log).unwrap()) }
    }

    fn create(&self) -> Result<i32, String> {
        fs::write(self.path("config.json"), self.spec.to_string()).unwrap();
        let (bundle, pid) = (self.dir.path().to_str().unwrap(), self.path("pid"));
        self.call(&["create", "--bundle", bundle, "--pid-file", pid.to_str().unwrap()], &self.path("first"))?;
        Ok(fs::read_to_string(pid).unwrap().parse().unwrap())
    }

    /// The three views of a container that can be made: created, running, and an exec's.
    fn states(&self) -> [State; 3] {
        let pid = self.create().unwrap();
        let created = state(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap());
        self.call(&["start"], &self.path("start")).unwrap();
        let running = state(&finished(&self.path("first")));
        let mut process = self.spec["process"].clone();
        process["args"] = json!(["sh", "-c", "cat /proc/self/status; mkdir /tmp/x; echo done"]);
        fs::write(self.path("process.json"), process.to_string()).unwrap();
        let file = self.path("process.json");
        self.call(&["exec", "--detach", "--process", file.to_str().unwrap()], &self.path("second")).unwrap();
        let other = state(&finished(&self.path("second")));
        assert_eq!(self.path("rootfs/tmp/x").exists(), self.spec["linux"]["seccomp"].is_null());
        [created, running, other]
    }

    fn kept(&self) -> usize {
        fs::read_dir(self.path("oci/seccomp")).map_or(0, Iterator::count)
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = self.call(&["delete", "--force"], &self.path("delete"));
    }
}

fn finished(output: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = fs::read_to_string(output).unwrap();
        if text.ends_with("done\n") {
            return text;
        }
        assert!(Instant::now() < deadline, "{text}");
        sleep(Duration::from_millis(5));
    }
}

fn profile(forbidden: &[&str]) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_NATIVE"],
        "syscalls": [{"names": forbidden, "action": "SCMP_ACT_ERRNO"}]})
}

/// What a process that has these after `execve` has in its status.
fn expected(bounding: u64, effective: u64, ambient: u64, no_new_privileges: u64, filters: u64) -> State {
    State { inheritable: ambient, permitted: effective, effective, bounding, ambient, no_new_privileges, filters }
}

#[test]
fn root_has_its_capabilities_and_the_filter() {
    for (name, set) in [("some", CHOWN | KILL), ("none", 0), ("admin", CHOWN | SYS_ADMIN)] {
        for nnp in [Value::Null, json!(false), json!(true)] {
            let grow = u64::from(nnp == json!(true));
            let container = Case::new(&format!("{name}-{nnp}")).capabilities(0, set, set, 0).set("/process", "noNewPrivileges", nnp);
            assert_eq!(container.states(), [(); 3].map(|()| expected(set, set, 0, grow, 1)));
            assert_eq!(container.kept(), 1);
        }
    }
}

#[test]
fn a_user_has_ambient_capabilities_only() {
    for nnp in [Value::Null, json!(true)] {
        let grow = u64::from(nnp == json!(true));
        let set = CHOWN | KILL;
        let container = Case::new(&format!("user-{nnp}")).set("/process", "noNewPrivileges", nnp);
        let container = container.capabilities(1000, set, set, CHOWN);
        // Until the program is executed, the process has what the spec says.
        let after = || State {
            inheritable: CHOWN,
            permitted: CHOWN,
            effective: CHOWN,
            bounding: set,
            ambient: CHOWN,
            no_new_privileges: grow,
            filters: 1,
        };
        let before = State { permitted: set, effective: set, ..after() };
        assert_eq!(container.states(), [before, after(), after()]);
    }
    let container = Case::new("user-none").capabilities(1000, CHOWN, 0, 0);
    assert_eq!(container.states(), [(); 3].map(|()| expected(CHOWN, 0, 0, 0, 1)));
}

#[test]
fn without_a_profile_there_is_no_filter() {
    let container = Case::new("unconfined").set("/linux", "seccomp", Value::Null);
    let [created, running, other] = container.states();
    let plain = || expected(CHOWN | KILL, CHOWN | KILL, 0, 0, 0);
    assert_eq!((created, running, other), (plain(), plain(), plain()));
    assert_eq!(container.kept(), 0);
}

#[test]
fn a_profile_that_forbids_to_give_up_capabilities_fails_closed() {
    let harsh = profile(&["capset", "mkdir", "mkdirat"]);
    let error = Case::new("harsh").set("/linux", "seccomp", harsh.clone()).create().unwrap_err();
    assert!(error.contains("capabilities under the seccomp filter: Operation not permitted"), "{error}");
    // Nothing needs to be given up when privileges cannot grow.
    let container = Case::new("harsh-nnp").set("/linux", "seccomp", harsh).set("/process", "noNewPrivileges", json!(true));
    let pid = container.create().unwrap();
    assert_eq!(state(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap()), expected(CHOWN | KILL, CHOWN | KILL, 0, 1, 1));
}

#[test]
fn an_exec_without_the_filter_is_refused() {
    let container = Case::new("lost");
    container.create().unwrap();
    container.call(&["start"], &container.path("start")).unwrap();
    finished(&container.path("first"));
    let file = container.path("process.json");
    fs::write(&file, container.spec["process"].to_string()).unwrap();
    let kept = container.path(&format!("oci/{}.bundle/seccomp", container.id));
    let exec = || container.call(&["exec", "--detach", "--process", file.to_str().unwrap()], &container.path("second"));
    fs::write(&kept, "").unwrap();
    assert!(exec().unwrap_err().contains("damaged seccomp filter"));
    fs::remove_file(&kept).unwrap();
    assert!(exec().is_err());
}
