//! What a container is to be, as types that cannot be half wrong: names are resolved, numbers are checked
//! ([`super::limits`]) and bind strings are parsed ([`super::mounts`]) before a plan exists.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::PosixRlimitType;
use serde_json::Value;

use super::mounts::Propagation;

/// Everything that one start of a container needs. The default is an empty plan with Docker's default isolation: private
/// namespaces (the cgroup one excepted), the built-in seccomp profile, default masked and read-only paths.
#[derive(Debug, Clone, Default)]
pub struct LaunchPlan {
    /// The container's full id.
    pub id: String,
    /// `HOSTNAME` and, in a private UTS namespace, the host name; empty leaves the namespace's own.
    pub hostname: String,
    /// NIS domain name, set through the sysctl `kernel.domainname` (runc 1.1 ignores the spec's field); empty leaves it.
    pub domainname: String,
    /// The mounted root filesystem on the host.
    pub rootfs: PathBuf,
    /// `HostConfig.ReadonlyRootfs`.
    pub readonly_rootfs: bool,
    /// The first process.
    pub process: ProcessPlan,
    /// All available capabilities, all host devices, nothing masked, `/sys` and cgroups writable.
    pub privileged: bool,
    /// `HostConfig.CapAdd`, as typed.
    pub cap_add: Vec<String>,
    /// `HostConfig.CapDrop`, as typed.
    pub cap_drop: Vec<String>,
    /// The system call filter.
    pub seccomp: SeccompChoice,
    /// Name of a profile that is loaded in the kernel, or `unconfined`. `None` is unconfined when privileged, else the
    /// daemon's own confinement.
    pub apparmor: Option<String>,
    /// `None` is Docker's default list, `Some([])` masks nothing.
    pub masked_paths: Option<Vec<String>>,
    /// `None` is Docker's default list, `Some([])` protects nothing.
    pub readonly_paths: Option<Vec<String>>,
    /// Which namespaces are new, joined or the host's.
    pub namespaces: Namespaces,
    /// Binds, volumes, managed files and tmpfs mounts. A target that is a default mount's replaces it.
    pub mounts: Vec<MountPlan>,
    /// Size in bytes of a private `/dev/shm`.
    pub shm_size: u64,
    /// Host directory behind `/dev/shm` when [`IpcNs`] is shareable or joined.
    pub shm_path: Option<PathBuf>,
    /// `HostConfig.Devices`.
    pub devices: Vec<DevicePlan>,
    /// `HostConfig.DeviceCgroupRules`, e.g. `c 42:* rmw`.
    pub device_cgroup_rules: Vec<String>,
    /// `HostConfig.Sysctls`; they win over the defaults.
    pub sysctls: BTreeMap<String, String>,
    /// cgroup limits.
    pub resources: ResourcesPlan,
    /// OCI `cgroupsPath`: `/parent/id`, or `slice:prefix:name` for systemd.
    pub cgroup_path: String,
    /// Static init binary, bound at `/sbin/docker-init` in front of the command. Used in a private PID namespace only.
    pub init: Option<PathBuf>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
}

/// The first process of a container.
#[derive(Debug, Clone, Default)]
pub struct ProcessPlan {
    /// Entrypoint and command, never empty.
    pub args: Vec<String>,
    /// `Config.Env` merged with the image's; a `NAME` without `=` removes a default.
    pub env: Vec<String>,
    /// Absolute; empty is `/`.
    pub cwd: String,
    /// Empty, `name`, `uid`, `name:group`, `uid:gid` and mixtures.
    pub user: String,
    /// `HostConfig.GroupAdd`: names or numbers.
    pub groups_add: Vec<String>,
    /// A terminal is allocated.
    pub tty: bool,
    /// First size of the terminal.
    pub console_size: Option<ConsoleSize>,
    /// `no-new-privileges`.
    pub no_new_privileges: bool,
    /// `HostConfig.Ulimits` merged with the daemon's defaults.
    pub rlimits: Vec<Ulimit>,
    /// -1000..=1000.
    pub oom_score_adj: i32,
}

/// A process that joins a running container.
#[derive(Debug, Clone, Default)]
pub struct ExecPlan {
    /// Never empty.
    pub args: Vec<String>,
    /// The container's `Config.Hostname` (its UTS namespace may be the host's, so the spec does not know).
    pub hostname: String,
    /// The container's `Config.Env`. The spec's environment would not do: its `HOME` and `TERM` belong to the first process.
    pub container_env: Vec<String>,
    /// `ExecConfig.Env`, over `container_env`.
    pub env: Vec<String>,
    /// Empty is the container's.
    pub cwd: String,
    /// Empty is the container's.
    pub user: String,
    /// The container's `HostConfig.GroupAdd`, for an exec under another user.
    pub groups_add: Vec<String>,
    /// All available capabilities and no AppArmor confinement.
    pub privileged: bool,
    /// A terminal is allocated.
    pub tty: bool,
    /// First size of the terminal.
    pub console_size: Option<ConsoleSize>,
}

/// Characters of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsoleSize {
    /// Rows.
    pub height: u64,
    /// Columns.
    pub width: u64,
}

/// A resource limit of a process; `u64::MAX` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ulimit {
    /// What is limited.
    pub kind: PosixRlimitType,
    /// In force now.
    pub soft: u64,
    /// How far the process may raise it itself.
    pub hard: u64,
}

/// Which system call filter applies.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum SeccompChoice {
    /// Docker's profile; none when privileged.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile in Docker's format, applied even when privileged.
    Profile(Value),
}

/// The namespaces of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Network.
    pub network: NetworkNs,
    /// Process ids.
    pub pid: PidNs,
    /// System V IPC and `/dev/shm`.
    pub ipc: IpcNs,
    /// Host and domain name.
    pub uts: UtsNs,
    /// View of the cgroup tree.
    pub cgroup: CgroupNs,
}

/// Network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NetworkNs {
    /// The host's.
    Host,
    /// Made by the runtime; only loopback is in it.
    #[default]
    New,
    /// Made beforehand for this container: private, so the default sysctls apply.
    Path(PathBuf),
    /// Another container's: its sysctls are not ours to set.
    Joined(PathBuf),
}

/// PID namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PidNs {
    /// A new one.
    #[default]
    Private,
    /// The host's.
    Host,
    /// Another container's.
    Path(PathBuf),
}

/// IPC namespace and what `/dev/shm` is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum IpcNs {
    /// A new one; `/dev/shm` is a tmpfs of its own.
    #[default]
    Private,
    /// A new one that others may join; `/dev/shm` is `shm_path`.
    Shareable,
    /// The host's, with its `/dev/shm`.
    Host,
    /// A new one without `/dev/shm`.
    None,
    /// Another container's; `/dev/shm` is `shm_path`.
    Path(PathBuf),
}

/// UTS namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UtsNs {
    /// A new one.
    #[default]
    Private,
    /// The host's.
    Host,
}

/// cgroup namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupNs {
    /// A new one.
    Private,
    /// The host's.
    #[default]
    Host,
}

/// One mount that is not a default of every container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountPlan {
    /// A file or directory of the host.
    Bind(BindPlan),
    /// Memory.
    Tmpfs(TmpfsPlan),
    /// Whatever the OCI spec can say.
    Raw(RawMount),
}

impl MountPlan {
    /// Where it appears in the container.
    pub fn target(&self) -> &std::path::Path {
        match self {
            Self::Bind(b) => &b.target,
            Self::Tmpfs(t) => &t.target,
            Self::Raw(r) => &r.target,
        }
    }
}

/// A file or directory of the host in a container. It must exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BindPlan {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
    /// No writes through the mount itself.
    pub read_only: bool,
    /// With `read_only`: what happens to mounts below the source.
    pub recursive_read_only: RecursiveReadOnly,
    /// `None` is rprivate.
    pub propagation: Option<Propagation>,
    /// Leaves the mounts below the source out (`BindOptions.NonRecursive`).
    pub non_recursive: bool,
}

/// Whether mounts below a read-only bind become read-only too (kernel 5.12 and later).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RecursiveReadOnly {
    /// They keep their own mode (API < 1.44, `ReadOnlyNonRecursive`).
    #[default]
    No,
    /// They do, where the kernel can.
    Prefer,
    /// They do, or the start fails (`ReadOnlyForceRecursive`).
    Require,
}

/// A tmpfs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TmpfsPlan {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Options over the default `noexec,nosuid,nodev`, see [`super::mounts::tmpfs_options`].
    pub options: Vec<String>,
    /// Bytes (`TmpfsOptions.SizeBytes`).
    pub size: Option<u64>,
    /// Permission bits (`TmpfsOptions.Mode`).
    pub mode: Option<u32>,
    /// `Mount.ReadOnly`.
    pub read_only: bool,
}

/// A mount in the words of the OCI spec, in which plugins ask for theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawMount {
    /// What is mounted.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: PathBuf,
    /// The file system's type, or `bind`.
    pub kind: String,
    /// Options of mount(8).
    pub options: Vec<String>,
}

/// A device, or a directory of devices, of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePlan {
    /// Path on the host.
    pub host: PathBuf,
    /// Path in the container.
    pub container: PathBuf,
    /// Of `r`, `w`, `m`; empty is all three.
    pub permissions: String,
}

/// cgroup limits. `None` leaves the kernel's value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourcesPlan {
    /// Bytes.
    pub memory: Option<i64>,
    /// Bytes of memory and swap together; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// Bytes.
    pub memory_reservation: Option<i64>,
    /// 0..=100.
    pub swappiness: Option<u64>,
    /// cgroup v1 only.
    pub oom_kill_disable: Option<bool>,
    /// Relative weight, 1024 is the default.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds per period; -1 is unlimited.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_rt_period: Option<u64>,
    /// Microseconds.
    pub cpu_rt_runtime: Option<i64>,
    /// E.g. `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// E.g. `0`.
    pub cpuset_mems: Option<String>,
    /// -1 is unlimited.
    pub pids_limit: Option<i64>,
    /// 10..=1000.
    pub blkio_weight: Option<u16>,
    /// Per-device weights.
    pub blkio_weight_devices: Vec<DeviceRate<u16>>,
    /// Bytes per second.
    pub read_bps: Vec<DeviceRate<u64>>,
    /// Bytes per second.
    pub write_bps: Vec<DeviceRate<u64>>,
    /// Operations per second.
    pub read_iops: Vec<DeviceRate<u64>>,
    /// Operations per second.
    pub write_iops: Vec<DeviceRate<u64>>,
}

/// A number for one block device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRate<N> {
    /// The device node.
    pub path: PathBuf,
    /// Weight or rate.
    pub value: N,
}
