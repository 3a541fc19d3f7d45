//! From a typed plan to the OCI runtime spec of a container.
//!
//! [`build`] and [`exec_process`] are the way in; [`plan`] holds what they take, [`host`] what the host allows. The modules
//! below each own one part of the spec and the strings of the API that belong to it. Nothing here changes anything: the only
//! look at the host besides [`HostFacts::detect`] is for the numbers of device nodes, for the container's users
//! ([`resolve_user`], inside its root) and, when a bind propagates, for the mount table.
//!
//! One spec serves both libcontainer 0.7 and runc 1.1. It follows dockerd's, with these deliberate differences:
//!
//! * Limits that nobody set are absent, where dockerd writes zeroes (`cpu.shares`, `blockIO.weight`) and
//!   `disableOOMKiller: false`. `10:229` (fuse) is not denied again after everything was denied.
//! * No time namespace: runc 1.1 does not know it.
//! * Capability sets that are empty are written out, as libcontainer leaves an absent one as it is.
//! * `rootfsPropagation` is never empty by accident, see [`mounts::rootfs_propagation`].
//! * On cgroup v1 the hierarchies are listed as read-only paths too: libcontainer mounts them writable whatever the
//!   options of `/sys/fs/cgroup` say, and a container could lift its own limits.
//! * `HOME` and the read-only mode of volumes are in the spec, where dockerd leaves the first to runc.
//! * No hooks: the network namespace is made before the runtime runs.

pub mod capabilities;
mod devices;
pub mod host;
pub mod limits;
pub mod mounts;
pub mod plan;
mod process;
mod resources;
pub mod seccomp;
mod user;

use std::collections::HashMap;
use std::path::Path;

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, LinuxSeccomp, Mount, Root, Spec};
use wharf_types::Result;

use capabilities::CapSet;
pub use devices::parse_rule as parse_device_rule;
pub use host::{CgroupVersion, HostFacts};
pub use plan::*;
pub use process::exec_process;
pub use resources::resources;
pub use user::{ResolvedUser, resolve_user};

/// What runc 1.1 and libcontainer 0.7 both speak.
const OCI_VERSION: &str = "1.0.2";

/// Kernel files that tell about the host or its other tenants.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Kernel files that change the host.
pub const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Sysctls of a network namespace of one's own: low ports and ping need no root there.
const NETWORK_SYSCTLS: [(&str, &str); 2] = [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")];

/// A spec and what the client should know about it.
#[derive(Debug)]
pub struct Built {
    /// Ready to be written as `config.json`.
    pub spec: Spec,
    /// What could not be given as asked.
    pub warnings: Vec<String>,
}

/// Builds the spec of `plan` on `host`. Blocking: see the module's words on look-ups.
///
/// # Errors
/// 400 with Docker's words for what the plan got wrong (user, device, capability, profile, working directory); 500 when a
/// bind is to propagate and its source does not.
pub fn build(plan: &LaunchPlan, host: &HostFacts) -> Result<Built> {
    let mut warnings = Vec::new();
    mounts::check_propagation(&plan.mounts)?;
    let capabilities = capabilities::effective(plan.privileged, &plan.cap_add, &plan.cap_drop, host.bounding)?;
    let process = process::first_process(plan, capabilities, host, &mut warnings)?;
    let mounts = mounts::list(plan, host)?;
    let linux = linux(plan, host, capabilities, &mounts)?;

    let mut root = Root::default();
    root.set_path(plan.rootfs.clone()).set_readonly(Some(plan.readonly_rootfs));
    let private_name = plan.namespaces.uts == UtsNs::Private && !plan.hostname.is_empty();
    let mut spec = Spec::default();
    spec.set_version(OCI_VERSION.into())
        .set_root(Some(root))
        .set_process(Some(process))
        .set_hostname(private_name.then(|| plan.hostname.clone()))
        .set_mounts(Some(mounts))
        .set_annotations(Some(plan.annotations.clone().into_iter().collect()))
        .set_linux(Some(linux));
    Ok(Built { spec, warnings })
}

fn linux(plan: &LaunchPlan, host: &HostFacts, capabilities: CapSet, mounts: &[Mount]) -> Result<Linux> {
    let devices = match plan.privileged {
        true => devices::privileged(&host.dev, &plan.devices)?,
        false => devices::confined(&plan.devices, &plan.device_cgroup_rules)?,
    };
    let mut resources = resources(&plan.resources)?;
    resources.set_devices(Some(devices.rules));

    let mut linux = Linux::default();
    linux
        .set_resources(Some(resources))
        .set_devices(Some(devices.nodes))
        .set_cgroups_path(Some((&plan.cgroup_path).into()))
        .set_namespaces(Some(namespaces(&plan.namespaces)))
        .set_sysctl(Some(sysctls(plan)))
        .set_seccomp(filter(plan, host, capabilities)?)
        .set_masked_paths(Some(masked_paths(plan, host)))
        .set_readonly_paths(Some(readonly_paths(plan, host, mounts)))
        .set_rootfs_propagation(mounts::rootfs_propagation(&plan.mounts).map(str::to_owned));
    Ok(linux)
}

fn namespaces(plan: &Namespaces) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network, Pid, Uts};
    let namespace = |kind, path: Option<&Path>| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind).set_path(path.map(Path::to_owned));
        namespace
    };
    let mut list = vec![namespace(Mount, None)];
    match &plan.network {
        NetworkNs::Host => {}
        NetworkNs::New => list.push(namespace(Network, None)),
        NetworkNs::Path(path) | NetworkNs::Joined(path) => list.push(namespace(Network, Some(path))),
    }
    if plan.uts == UtsNs::Private {
        list.push(namespace(Uts, None));
    }
    match &plan.pid {
        PidNs::Host => {}
        PidNs::Private => list.push(namespace(Pid, None)),
        PidNs::Path(path) => list.push(namespace(Pid, Some(path))),
    }
    match &plan.ipc {
        IpcNs::Host => {}
        IpcNs::Private | IpcNs::Shareable | IpcNs::None => list.push(namespace(Ipc, None)),
        IpcNs::Path(path) => list.push(namespace(Ipc, Some(path))),
    }
    if plan.cgroup == CgroupNs::Private {
        list.push(namespace(Cgroup, None));
    }
    list
}

fn sysctls(plan: &LaunchPlan) -> HashMap<String, String> {
    let mut sysctls = HashMap::new();
    if matches!(plan.namespaces.network, NetworkNs::New | NetworkNs::Path(_)) {
        sysctls.extend(NETWORK_SYSCTLS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    if plan.namespaces.uts == UtsNs::Private && !plan.domainname.is_empty() {
        sysctls.insert("kernel.domainname".into(), plan.domainname.clone());
    }
    sysctls.extend(plan.sysctls.clone());
    sysctls
}

fn filter(plan: &LaunchPlan, host: &HostFacts, capabilities: CapSet) -> Result<Option<LinuxSeccomp>> {
    let target = seccomp::Target { arch: std::env::consts::ARCH, kernel: host.kernel, capabilities };
    match &plan.seccomp {
        SeccompChoice::Profile(profile) => seccomp::custom_filter(profile, target),
        SeccompChoice::Default if !plan.privileged => seccomp::default_filter(target),
        SeccompChoice::Default | SeccompChoice::Unconfined => Ok(None),
    }
}

/// Docker's masked paths on this host, for a container that names none.
pub fn default_masked_paths(host: &HostFacts) -> Vec<String> {
    MASKED_PATHS.map(str::to_owned).into_iter().chain(host.thermal_throttle.clone()).collect()
}

/// Docker's read-only paths, for a container that names none.
pub fn default_readonly_paths() -> Vec<String> {
    READONLY_PATHS.map(str::to_owned).into()
}

fn masked_paths(plan: &LaunchPlan, host: &HostFacts) -> Vec<String> {
    match &plan.masked_paths {
        _ if plan.privileged => Vec::new(),
        Some(paths) => paths.clone(),
        None => default_masked_paths(host),
    }
}

fn readonly_paths(plan: &LaunchPlan, host: &HostFacts, mounts: &[Mount]) -> Vec<String> {
    if plan.privileged {
        return Vec::new();
    }
    let mut paths = plan.readonly_paths.clone().unwrap_or_else(default_readonly_paths);
    // A bind of the host's cgroups, as systemd in a container needs it, has its own mode.
    if mounts.iter().any(|mount| mount.typ().as_deref() == Some("cgroup")) {
        paths.extend(host.cgroup_v1_mounts.iter().map(|name| format!("/sys/fs/cgroup/{name}")));
    }
    paths
}

#[cfg(test)]
mod tests;
#[cfg(test)]
use tests::{test_host, test_plan};
