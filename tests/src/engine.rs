//! Which daemon is judged, and how it is started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{NetNs, leaks};

/// The daemon under test; `WHARF_TEST_ENGINE` chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// This project's daemon.
    Wharf,
    /// The original, which proves the tests.
    Dockerd,
}

impl Engine {
    /// The engine named by `WHARF_TEST_ENGINE`: `wharf` (default) or `dockerd`.
    pub fn from_env() -> Engine {
        match env::var("WHARF_TEST_ENGINE").as_deref() {
            Err(_) | Ok("" | "wharf") => Engine::Wharf,
            Ok("dockerd") => Engine::Dockerd,
            Ok(other) => panic!("WHARF_TEST_ENGINE={other}: wharf or dockerd"),
        }
    }

    /// True for dockerd. Each use of it is a known difference and says why.
    pub fn is_dockerd(self) -> bool {
        self == Engine::Dockerd
    }

    /// The OCI runtime that `WHARF_TEST_RUNTIME` asks for, if any: a name that the daemon knows, or an absolute path.
    pub fn runtime() -> Option<String> {
        env::var("WHARF_TEST_RUNTIME").ok().filter(|r| !r.is_empty())
    }

    /// The command that starts the daemon on the files under `dir`, in the network namespace `net`.
    pub fn command(self, dir: &Path, net: &NetNs) -> Command {
        let mut command = net.command(&self.program().to_string_lossy());
        command
            .arg("--data-root")
            .arg(dir.join("data"))
            .arg("--exec-root")
            .arg(dir.join("exec"))
            .arg("--pidfile")
            .arg(dir.join("pid"))
            .arg("--config-file")
            .arg(dir.join("daemon.json"))
            .arg("-H")
            .arg(format!("unix://{}", dir.join("sock").display()));
        command.args(["-G", "root", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent"]).arg(leaks::cgroup_parent(dir));
        if self == Engine::Wharf {
            // dockerd would need the bridge to exist already; its docker0 is free in a namespace of its own.
            command.args(["--bridge", "wharftest0"]);
        }
        if let (Engine::Wharf, Some(shim)) = (self, env::var_os("WHARF_SHIM")) {
            command.arg("--shim-path").arg(shim);
        }
        if let (Engine::Wharf, Some(runtime)) = (self, Engine::runtime()) {
            if runtime.starts_with('/') {
                command.args(["--add-runtime", &format!("under-test={runtime}"), "--default-runtime", "under-test"]);
            } else {
                command.args(["--default-runtime", &runtime]);
            }
        }
        command
    }

    /// After a SIGKILL: dockerd's containerd dies with it but may stay a zombie, whose pid file would fool the next start.
    pub fn forget_helpers(self, dir: &Path) {
        if self.is_dockerd() {
            std::fs::remove_file(dir.join("exec/containerd/containerd.pid")).ok();
        }
    }

    /// The daemon's binary: `WHARFD`, else the newest build in the target directory.
    fn program(self) -> PathBuf {
        if self.is_dockerd() {
            return "dockerd".into();
        }
        if let Some(path) = env::var_os("WHARFD") {
            return path.into();
        }
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let built = ["debug/wharfd", "release/wharfd"].map(|p| target.join(p)).into_iter().filter(|p| p.exists());
        built
            .max_by_key(|p| p.metadata().and_then(|m| m.modified()).ok())
            .expect("no wharfd in the target directory: build it, or set WHARFD")
    }
}
