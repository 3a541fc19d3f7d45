//! A root file system made of busybox, a spec to vary, and the proof that nothing is left behind.

use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::UnixStream, time::timeout};
use wharf_runtime::task::{AttachRequest, ExecRequest, ExitRecord, Launch, LogSettings, RuntimeKind, ShimHost, Stdio, Task};
use wharf_shim_proto::journal::{LogEntry, json_file};
use wharf_types::{ContainerId, ExecId, Result};

const APPLETS: &[&str] = &[
    "sh", "cat", "sleep", "echo", "true", "false", "id", "kill", "head", "tail", "dd", "stty", "ls", "grep", "env", "mkdir", "yes", "seq",
    "ip", "tr", "wc", "chmod", "touch", "usleep", "ps",
];

pub struct Stage {
    pub host: ShimHost,
    pub dir: TempDir,
    pub launch: Launch,
    pub spec: Value,
}

pub fn shim() -> PathBuf {
    if let Some(path) = std::env::var_os("WHARF_SHIM") {
        return path.into();
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/shim/x86_64-unknown-linux-gnu");
    let found = ["shim", "debug"].map(|profile| target.join(profile).join("wharf-shim"));
    found.into_iter().find(|p| p.exists()).expect("no monitor binary: build it with `make dev`, or name one in WHARF_SHIM")
}

impl Stage {
    pub fn builtin() -> Self {
        Self::new(RuntimeKind::Builtin)
    }

    pub fn runc() -> Option<Self> {
        let path = ["/usr/sbin/runc", "/usr/bin/runc"].into_iter().map(PathBuf::from).find(|p| p.exists());
        match path {
            Some(path) => Some(Self::new(RuntimeKind::External { path, args: Vec::new() })),
            None => {
                eprintln!("skipped: runc is not installed");
                None
            }
        }
    }

    fn new(runtime: RuntimeKind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::random().unwrap();
        let bin = dir.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::copy("/bin/busybox", bin.join("busybox")).expect("/bin/busybox, statically linked");
        for applet in APPLETS {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        for sub in ["proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir(dir.path().join("rootfs").join(sub)).unwrap();
        }
        fs::write(dir.path().join("rootfs/etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/srv/app:/bin/sh\n").unwrap();
        let cgroup = format!("/wharf-test-{}", id.short());
        let log =
            LogSettings::JsonFile { path: dir.path().join("log"), max_size: None, max_file: 1, compress: false, attrs: Default::default() };
        let launch = Launch {
            id,
            runtime,
            runtime_root: dir.path().join("oci"),
            tty: false,
            console_size: None,
            open_stdin: false,
            stdin_once: false,
            log,
            cgroup_path: Some(cgroup.clone().into()),
        };
        let spec = spec(&dir.path().join("rootfs"), &cgroup);
        let host = ShimHost::new(&shim(), dir.path()).unwrap();
        Self { host, dir, launch, spec }
    }

    /// Runs this shell script instead of nothing.
    pub fn script(mut self, script: &str) -> Self {
        self.spec["process"]["args"] = json!(["sh", "-c", script]);
        self
    }

    pub fn tty(mut self, size: [u16; 2]) -> Self {
        self.launch.tty = true;
        self.launch.open_stdin = true;
        self.launch.console_size = Some(size);
        self.spec["process"]["terminal"] = json!(true);
        self
    }

    pub fn stdin(mut self, once: bool) -> Self {
        self.launch.open_stdin = true;
        self.launch.stdin_once = once;
        self
    }

    pub async fn create(&self) -> Result<Task> {
        let spec = serde_json::from_value(self.spec.clone()).unwrap();
        self.host.create(&self.launch, &spec).await
    }

    pub async fn start(&self) -> Task {
        let task = self.create().await.unwrap();
        task.start().await.unwrap();
        task
    }

    /// Runs to the end: output, error output and record.
    pub async fn run(&self) -> (String, String, ExitRecord) {
        let task = self.create().await.unwrap();
        let stream = task.attach(all()).await.unwrap().stream;
        task.start().await.unwrap();
        let (out, err) = demultiplex(&drain(stream).await);
        let record = task.wait().await.unwrap();
        self.finish(&task).await;
        (out, err, record)
    }

    /// Releases an ended container and proves that nothing is left.
    pub async fn finish(&self, task: &Task) {
        task.release().await.unwrap();
        self.assert_nothing_left();
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn log(&self) -> Vec<LogEntry> {
        self.log_text().lines().map(|l| json_file::decode(l.as_bytes()).unwrap()).collect()
    }

    pub fn cgroups(&self) -> Vec<PathBuf> {
        let name = format!("wharf-test-{}", self.launch.id.short());
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().map(|e| e.unwrap().path());
        [PathBuf::from("/sys/fs/cgroup")].into_iter().chain(hierarchies).map(|h| h.join(&name)).filter(|d| d.exists()).collect()
    }

    /// Monitors and runtimes of this stage, by their command lines.
    pub fn processes(&self) -> Vec<String> {
        let mark = self.dir.path().to_str().unwrap().to_owned();
        let entries = fs::read_dir("/proc").unwrap().filter_map(|e| fs::read(e.ok()?.path().join("cmdline")).ok());
        entries.map(|c| String::from_utf8_lossy(&c).replace('\0', " ")).filter(|c| c.contains(&mark)).collect()
    }

    pub fn assert_nothing_left(&self) {
        let mut left: Vec<String> = self.cgroups().iter().map(|d| format!("cgroup {}", d.display())).collect();
        for dir in [self.host.task_dir(&self.launch.id), self.launch.runtime_root.join(self.launch.id.as_str())] {
            left.extend(dir.exists().then(|| format!("directory {}", dir.display())));
        }
        let bundles = fs::read_dir(&self.launch.runtime_root)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| e.file_name() != "seccomp")
            .map(|e| format!("state {}", e.path().display()));
        left.extend(bundles);
        left.extend(self.processes().iter().map(|p| format!("process {p}")));
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|l| l.contains(self.dir.path().to_str().unwrap())).map(|l| format!("mount {l}")));
        assert!(left.is_empty(), "left behind: {left:#?}");
    }

    pub fn kill_monitor(&self) {
        let text = fs::read_to_string(self.host.task_dir(&self.launch.id).join("shim.pid")).unwrap();
        let pid = text.split(' ').next().unwrap();
        assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
    }
}

impl Drop for Stage {
    /// A failing test must not leave a container behind.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let dir = self.host.task_dir(&self.launch.id);
            if dir.exists() {
                if let Ok(log) = fs::read_to_string(dir.join("shim.log")) {
                    eprintln!("shim.log: {log}");
                }
                let _ = Command::new(shim()).arg("cleanup").arg(dir).status();
            }
        }
    }
}

/// Everything that comes until the end; the end must come within half a minute.
pub async fn drain(mut stream: UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes)).await.expect("the stream ends").unwrap();
    bytes
}

pub fn demultiplex(mut bytes: &[u8]) -> (String, String) {
    let mut streams = [Vec::new(), Vec::new(), Vec::new()];
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let len = u32::from_be_bytes(header[4..].try_into().unwrap()) as usize;
        streams[header[0] as usize].extend_from_slice(&rest[..len]);
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty(), "cut frame");
    let text = |s: &[u8]| String::from_utf8_lossy(s).into_owned();
    (text(&streams[1]), text(&streams[2]))
}

pub fn all() -> AttachRequest {
    AttachRequest { stdin: true, stdout: true, stderr: true, ..Default::default() }
}

pub fn exec_request(stage: &Stage, args: &[&str]) -> ExecRequest {
    let mut process = stage.spec["process"].clone();
    process["args"] = json!(args);
    process["terminal"] = json!(false);
    ExecRequest {
        process: serde_json::from_value(process).unwrap(),
        tty: false,
        stdin: false,
        console_size: None,
        attach: Some(Stdio { stdin: false, stdout: true, stderr: true }),
        leashed: false,
    }
}

pub fn exec_id() -> ExecId {
    ExecId::random().unwrap()
}

fn spec(rootfs: &Path, cgroup: &str) -> Value {
    let capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_RESOURCE"];
    json!({
        "ociVersion": "1.0.2",
        "root": {"path": rootfs, "readonly": false},
        "hostname": "test",
        "process": {
            "terminal": false, "cwd": "/", "args": ["true"], "env": ["PATH=/bin", "TERM=dumb"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}],
            "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
        },
    })
}
