//! Trying what a container needs. Each probe runs in a process of its own (`wharfd check --probe NAME`), which can leave
//! the host's namespaces before it changes anything; whatever it made ends with it.

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Runs a probe in a new process.
///
/// # Errors
/// What the probe said.
pub fn attempt(name: &str) -> Result<(), String> {
    let output = Command::new("/proc/self/exe").args(["check", "--probe", name]).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("can not start a process: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// The process of one probe.
pub fn run(name: &str) -> ExitCode {
    match probe(name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn probe(name: &str) -> io::Result<()> {
    let (name, argument) = name.split_once('=').unwrap_or((name, ""));
    match name {
        "overlay" => private_mounts().and_then(|()| overlay(Path::new(argument))),
        "overlay-append" => private_mounts().and_then(|()| overlay_append(Path::new(argument))),
        "link" => unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from).and_then(|()| link(argument)),
        "nft" => unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from).and_then(|()| nft()),
        "namespace" => Ok(unshare(namespace(argument)?)?),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no probe {name:?}"))),
    }
}

fn namespace(name: &str) -> io::Result<CloneFlags> {
    /// `CLONE_NEWTIME` of `linux/sched.h`.
    const NEWTIME: i32 = 0x80;
    Ok(match name {
        "cgroup" => CloneFlags::CLONE_NEWCGROUP,
        "ipc" => CloneFlags::CLONE_NEWIPC,
        "mnt" => CloneFlags::CLONE_NEWNS,
        "net" => CloneFlags::CLONE_NEWNET,
        "pid" => CloneFlags::CLONE_NEWPID,
        "time" => CloneFlags::from_bits_retain(NEWTIME),
        "user" => CloneFlags::CLONE_NEWUSER,
        "uts" => CloneFlags::CLONE_NEWUTS,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    })
}

fn private_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?)
}

/// Two lower layers and an upper one in `dir`, with a file from below and a file written on top.
fn overlay(dir: &Path) -> io::Result<()> {
    layers(dir)?;
    let at = |name: &str| dir.join(name).display().to_string();
    let options = format!("lowerdir={}:{},upperdir={},workdir={}", at("2"), at("1"), at("upper"), at("work"));
    let options = std::ffi::CString::new(options)?;
    mount::mount("overlay", dir.join("merged"), "overlay", MountFlags::empty(), &*options)?;
    std::fs::read(dir.join("merged/below"))?;
    std::fs::write(dir.join("merged/above"), "")
}

/// The same through the mount API that takes layers one by one, which has no limit on the length of all their paths.
fn overlay_append(dir: &Path) -> io::Result<()> {
    layers(dir)?;
    let context = mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for lower in ["2", "1"] {
        mount::fsconfig_set_string(&context, "lowerdir+", dir.join(lower))?;
    }
    mount::fsconfig_set_string(&context, "upperdir", dir.join("upper"))?;
    mount::fsconfig_set_string(&context, "workdir", dir.join("work"))?;
    mount::fsconfig_create(&context)?;
    let mounted = mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    mount::move_mount(&mounted, "", rustix::fs::CWD, dir.join("merged"), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    std::fs::read(dir.join("merged/below")).map(drop)
}

fn layers(dir: &Path) -> io::Result<()> {
    for name in ["1", "2", "upper", "work", "merged"] {
        std::fs::create_dir_all(dir.join(name))?;
    }
    std::fs::write(dir.join("1/below"), "")
}

/// Creates a network link of a kind, in the namespace that the probe has moved to: one `RTM_NEWLINK` of rtnetlink(7).
fn link(kind: &str) -> io::Result<()> {
    const NEWLINK: u16 = 16;
    const REQUEST_ACK_EXCL_CREATE: u16 = 0x1 | 0x4 | 0x200 | 0x400;
    const LINKINFO: u16 = 18;
    const INFO_KIND: u16 = 1;
    let mut attribute = attribute(INFO_KIND, kind.as_bytes());
    attribute = self::attribute(LINKINFO, &attribute);
    let mut message = Vec::new();
    message.extend(((16 + 16 + attribute.len()) as u32).to_ne_bytes());
    message.extend(NEWLINK.to_ne_bytes());
    message.extend(REQUEST_ACK_EXCL_CREATE.to_ne_bytes());
    message.extend([0; 8 + 16]); // sequence, port, and an ifinfomsg that leaves everything to the kernel
    message.extend(attribute);
    // Protocol 0, the default, is NETLINK_ROUTE.
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 1024];
    rustix::net::recv(&socket, &mut answer, RecvFlags::empty())?;
    // An acknowledgement: the header, then 0 or a negative errno.
    match answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend((length as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

/// A table in the probe's own network namespace needs the program and the kernel's nf_tables alike.
fn nft() -> io::Result<()> {
    let output = Command::new("nft").args(["add", "table", "inet", "wharf_check"]).output()?;
    if output.status.success() { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A test thread can leave its namespaces alone: unshare is per thread, and every test has its own.
    #[test]
    fn links_are_made_in_the_probes_namespace() {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        link("bridge").unwrap();
        link("veth").unwrap();
        assert!(link("nonsense").is_err());
        let links = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        assert!(links.contains("bridge0:") && links.contains("veth0:") && links.contains("veth1:"), "{links}");
    }

    #[test]
    fn unknown_probes_fail() {
        assert!(probe("nonsense").is_err() && probe("namespace=nonsense").is_err());
    }
}
