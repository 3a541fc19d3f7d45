//! Device nodes and who may use them. The nodes' numbers are looked up on the host, as they belong to it.
//!
//! Beyond what is listed here the runtimes add what every container has: null, zero, full, random, urandom, tty, console,
//! ptmx and pts, and the right to `mknod` (which a rule without `r` and `w` makes useless).

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType};
use rustix::fs::{major, minor};
use wharf_types::error::Context;
use wharf_types::{Error, Result};

use super::plan::DevicePlan;

/// What a container may use without asking, as character device numbers.
const ALLOWED: [(i64, i64); 6] = [(1, 3), (1, 5), (1, 8), (1, 9), (5, 0), (5, 1)];

/// Directories of the host's `/dev` that are file systems of their own, made anew in a container.
const NOT_DEVICES: [&str; 8] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"];

/// Nodes to make and cgroup rules, in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Devices {
    pub nodes: Vec<LinuxDevice>,
    pub rules: Vec<LinuxDeviceCgroup>,
}

/// The devices of an ordinary container.
pub(super) fn confined(plans: &[DevicePlan], rules: &[String]) -> Result<Devices> {
    let mut devices = Devices { nodes: Vec::new(), rules: vec![rule(false, None, None, None, "rwm")?] };
    for (major, minor) in ALLOWED {
        devices.rules.push(rule(true, Some(LinuxDeviceType::C), Some(major), Some(minor), "rwm")?);
    }
    for plan in plans {
        let access = permissions(&plan.permissions)?;
        for node in gather(plan)? {
            devices.rules.push(rule(true, Some(node.typ()), Some(node.major()), Some(node.minor()), access)?);
            devices.nodes.push(node);
        }
    }
    for text in rules {
        devices.rules.push(parse_rule(text)?);
    }
    Ok(devices)
}

/// The devices of a privileged container: all below `dev`, plus those that the plan puts elsewhere.
pub(super) fn privileged(dev: &Path, plans: &[DevicePlan]) -> Result<Devices> {
    let mut devices = Devices { nodes: Vec::new(), rules: vec![rule(true, None, None, None, "rwm")?] };
    let everything = |path: &Path| !path.strip_prefix(dev).is_ok_and(|p| NOT_DEVICES.iter().any(|name| p == Path::new(name)));
    walk(dev, Path::new("/dev"), &everything, &mut devices.nodes)?;
    for plan in plans.iter().filter(|plan| plan.host != plan.container) {
        permissions(&plan.permissions)?;
        devices.nodes.extend(gather(plan)?);
    }
    Ok(devices)
}

fn permissions(text: &str) -> Result<&str> {
    match text {
        "" => Ok("rwm"),
        text if text.len() <= 3 && text.chars().all(|c| "rwm".contains(c)) => Ok(text),
        text => Err(Error::invalid(format!("invalid device permissions: {text}"))),
    }
}

/// The node of a plan, or all below a directory.
fn gather(plan: &DevicePlan) -> Result<Vec<LinuxDevice>> {
    let failed = |reason: &str| {
        let host = plan.host.display().to_string();
        Error::invalid(format!("error gathering device information while adding custom device {host:?}: {reason}"))
    };
    let resolved = fs::canonicalize(&plan.host).map_err(|e| failed(&words(&e)))?;
    let metadata = fs::metadata(&resolved).map_err(|e| failed(&words(&e)))?;
    let mut nodes = Vec::new();
    if metadata.is_dir() {
        walk(&resolved, &plan.container, &|_| true, &mut nodes)?;
    } else {
        nodes.extend(node(plan.container.clone(), &metadata)?);
    }
    if nodes.is_empty() { Err(failed("not a device node")) } else { Ok(nodes) }
}

/// Collects the device nodes below `from` that `wanted` lets through, as if they were below `to`. Symlinks are not
/// followed. What vanishes meanwhile (a device was unplugged) is left out.
fn walk(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool, nodes: &mut Vec<LinuxDevice>) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).filter(|path| wanted(path)).collect();
    paths.sort();
    for path in paths {
        let (Ok(metadata), Some(name)) = (fs::symlink_metadata(&path), path.file_name()) else { continue };
        if metadata.is_dir() {
            walk(&path, &to.join(name), wanted, nodes)?;
        } else {
            nodes.extend(node(to.join(name), &metadata)?);
        }
    }
    Ok(())
}

/// `None` for what is not a device (a socket such as `/dev/log`, a file).
fn node(path: PathBuf, metadata: &Metadata) -> Result<Option<LinuxDevice>> {
    let kind = match metadata.file_type() {
        kind if kind.is_block_device() => LinuxDeviceType::B,
        kind if kind.is_char_device() => LinuxDeviceType::C,
        _ => return Ok(None),
    };
    let device = LinuxDeviceBuilder::default()
        .path(path)
        .typ(kind)
        .major(major(metadata.rdev()))
        .minor(minor(metadata.rdev()))
        .file_mode(metadata.mode() & 0o777)
        .uid(metadata.uid())
        .gid(metadata.gid())
        .build()
        .context("device")?;
    Ok(Some(device))
}

/// Absent numbers are wildcards: libcontainer would write a -1 as it is.
fn rule(allow: bool, typ: Option<LinuxDeviceType>, major: Option<i64>, minor: Option<i64>, access: &str) -> Result<LinuxDeviceCgroup> {
    let mut rule = LinuxDeviceCgroupBuilder::default().allow(allow).access(access).build().context("device rule")?;
    rule.set_typ(typ).set_major(major).set_minor(minor);
    Ok(rule)
}

/// Reads a rule such as `c 42:* rmw`. 400 `invalid device cgroup rule format: 'x'`.
pub fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup> {
    let number = |text: &str| match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<u32>().ok().map(|n| Some(i64::from(n))),
        _ => None,
    };
    let fields = || {
        let (kind, rest) = text.split_once(' ')?;
        let (numbers, access) = rest.split_once(' ')?;
        let (major, minor) = numbers.split_once(':')?;
        let kind = match kind {
            "a" => LinuxDeviceType::A,
            "b" => LinuxDeviceType::B,
            "c" => LinuxDeviceType::C,
            _ => return None,
        };
        Some((kind, number(major)?, number(minor)?, permissions(access).ok().filter(|_| !access.is_empty())?))
    };
    let (kind, major, minor, access) = fields().ok_or_else(|| Error::invalid(format!("invalid device cgroup rule format: '{text}'")))?;
    rule(true, Some(kind), major, minor, access)
}

/// The numbers of a block device for I/O limits. 400 `stat /dev/x: no such file or directory`.
pub(super) fn numbers(path: &Path) -> Result<(i64, i64)> {
    let metadata = fs::metadata(path).map_err(|e| Error::invalid(format!("stat {}: {}", path.display(), words(&e))))?;
    Ok((i64::from(major(metadata.rdev())), i64::from(minor(metadata.rdev()))))
}

/// The reason as clients know it from Docker; they look for these words.
fn words(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(host: &str, container: &str, permissions: &str) -> DevicePlan {
        DevicePlan { host: host.into(), container: container.into(), permissions: permissions.into() }
    }

    #[test]
    fn rules_are_read() {
        assert_eq!(parse_rule("c 42:* rmw").unwrap().to_string(), "c 42:* rmw");
        assert_eq!(parse_rule("a *:* r").unwrap().to_string(), "a *:* r");
        for bad in ["", "c 42:* ", "c 42 rwm", "x 1:1 r", "c -1:1 r", "c 1:1 q", "c 1:1 rwmr", "c :1 r", "c  1:1 r"] {
            assert_eq!(parse_rule(bad).unwrap_err().message(), format!("invalid device cgroup rule format: '{bad}'"));
        }
    }

    #[test]
    fn a_device_is_looked_up_and_its_rule_allows_no_more() {
        let devices = confined(&[plan("/dev/null", "/dev/n", "r")], &["b 8:* r".into()]).unwrap();
        let node = &devices.nodes[0];
        assert_eq!((node.path().as_path(), node.typ(), node.major(), node.minor()), (Path::new("/dev/n"), LinuxDeviceType::C, 1, 3));
        let rules: Vec<String> = devices.rules.iter().map(|r| format!("{} {r}", r.allow())).collect();
        assert_eq!(rules[0], "false a *:* rwm");
        assert_eq!(rules[7..], ["true c 1:3 r", "true b 8:* r"]);
    }

    #[test]
    fn directories_expand() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
            mknodat(CWD, dir.path().join(name), FileType::CharacterDevice, Mode::RUSR, makedev(1, 5)).unwrap();
        };
        fs::create_dir_all(dir.path().join("sub")).unwrap();
        fs::create_dir_all(dir.path().join("pts")).unwrap();
        for name in ["sub/b", "a", "pts/0", "console"] {
            make(name);
        }
        fs::write(dir.path().join("file"), "").unwrap();
        let host = dir.path().to_str().unwrap();
        let paths = |devices: Devices| devices.nodes.iter().map(|n| n.path().display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            paths(confined(&[plan(host, "/dev/x", "")], &[]).unwrap()),
            ["/dev/x/a", "/dev/x/console", "/dev/x/pts/0", "/dev/x/sub/b"]
        );
        assert_eq!(paths(privileged(dir.path(), &[plan("/dev/null", "/dev/n", "r")]).unwrap()), ["/dev/a", "/dev/sub/b", "/dev/n"]);
    }

    #[test]
    fn errors_name_the_device() {
        let message = |p: DevicePlan| confined(&[p], &[]).unwrap_err().message().to_owned();
        let prefix = "error gathering device information while adding custom device ";
        assert_eq!(message(plan("/dev/none", "/dev/x", "")), format!("{prefix}\"/dev/none\": no such file or directory"));
        assert_eq!(message(plan("/etc/passwd", "/dev/x", "")), format!("{prefix}\"/etc/passwd\": not a device node"));
        assert_eq!(message(plan("/dev/null", "/dev/x", "rx")), "invalid device permissions: rx");
        assert_eq!(numbers(Path::new("/dev/none")).unwrap_err().message(), "stat /dev/none: no such file or directory");
    }
}
