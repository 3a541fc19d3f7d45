//! Binds that see, or show, mounts made after the start.
//!
//! libcontainer 0.7 does not apply the propagation option of a single mount: a bind keeps what its source has in the
//! container's new mount namespace, which the propagation of the whole root decides. [`rootfs_propagation`] therefore
//! names the strictest root under which every bind of the plan works; runc applies the single options besides.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use wharf_types::error::Context;
use wharf_types::{Error, Result};

use super::super::plan::MountPlan;
use crate::mountinfo::{self, Mount};

/// How mount events travel between a bind and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words of mount_namespaces(7)
pub enum Propagation {
    Private,
    RPrivate,
    Shared,
    RShared,
    Slave,
    RSlave,
}

const NAMES: [(Propagation, &str); 6] = [
    (Propagation::Private, "private"),
    (Propagation::RPrivate, "rprivate"),
    (Propagation::Shared, "shared"),
    (Propagation::RShared, "rshared"),
    (Propagation::Slave, "slave"),
    (Propagation::RSlave, "rslave"),
];

impl Propagation {
    /// The mount option.
    pub fn as_str(self) -> &'static str {
        NAMES.iter().find(|(p, _)| *p == self).map_or("rprivate", |(_, name)| name)
    }

    fn is_shared(self) -> bool {
        matches!(self, Self::Shared | Self::RShared)
    }

    fn is_slave(self) -> bool {
        matches!(self, Self::Slave | Self::RSlave)
    }
}

impl FromStr for Propagation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = NAMES.iter().find(|(_, n)| *n == name).map(|(p, _)| *p);
        found.ok_or_else(|| Error::invalid(format!("invalid propagation mode: {name}")))
    }
}

fn propagated(mounts: &[MountPlan]) -> impl Iterator<Item = (&Path, Propagation)> {
    mounts.iter().filter_map(|mount| match mount {
        MountPlan::Bind(bind) => bind.propagation.map(|p| (bind.source.as_path(), p)),
        MountPlan::Raw(raw) => raw.options.iter().find_map(|o| o.parse().ok()).map(|p| (raw.source.as_path(), p)),
        MountPlan::Tmpfs(_) => None,
    })
}

/// OCI `rootfsPropagation`: `shared` when a bind shows its mounts to the host, nothing (both runtimes then make the root a
/// slave, recursively) when one sees the host's, else `private`. Under `shared`, runc needs the root filesystem to be a mount
/// of its own.
pub fn rootfs_propagation(mounts: &[MountPlan]) -> Option<&'static str> {
    if propagated(mounts).any(|(_, p)| p.is_shared()) {
        Some("shared")
    } else if propagated(mounts).any(|(_, p)| p.is_slave()) {
        None
    } else {
        Some("private")
    }
}

/// A shared bind needs a source on a shared mount, a slave one a shared or slave mount; the kernel would make it private
/// without a word. Reads `/proc/self/mountinfo` and resolves the sources only when the plan has such binds.
/// 500 `path /a is mounted on /b but it is not a shared mount`.
pub fn check_propagation(mounts: &[MountPlan]) -> Result<()> {
    let wanted: Vec<_> = propagated(mounts).filter(|(_, p)| p.is_shared() || p.is_slave()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mountinfo = fs::read("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    for (source, propagation) in wanted {
        check(&fs::canonicalize(source).context(source.display())?, propagation, &mountinfo)?;
    }
    Ok(())
}

fn check(source: &Path, propagation: Propagation, mountinfo: &[u8]) -> Result<()> {
    // Of two mounts on one path the later line is on top, and max_by_key keeps the last maximum.
    let holder = mountinfo::mounts(mountinfo).filter(|mount| source.starts_with(&mount.point));
    let holder = holder.max_by_key(|mount| mount.point.components().count());
    let Mount { point, propagation: found, .. } =
        holder.ok_or_else(|| Error::system(format!("Could not find source mount of {}", source.display())))?;
    let has = |prefix: &str| found.split(' ').any(|field| field.starts_with(prefix));
    let (fits, kind) = match propagation.is_shared() {
        true => (has("shared:"), "shared"),
        false => (has("shared:") || has("master:"), "shared or slave"),
    };
    let text = || format!("path {} is mounted on {} but it is not a {kind} mount", source.display(), point.display());
    if fits { Ok(()) } else { Err(Error::system(text())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::plan::BindPlan;

    const MOUNTINFO: &[u8] =
        b"1 0 8:1 / / rw - ext4 d rw\n2 1 0:5 / /s rw,x shared:1 - tmpfs t rw\n3 2 0:6 / /s/a\\040b rw master:1 - tmpfs t rw\n\
                             4 1 0:7 / /sx rw - tmpfs t rw\n";

    fn plans(modes: &[Option<Propagation>]) -> Vec<MountPlan> {
        modes.iter().map(|p| MountPlan::Bind(BindPlan { propagation: *p, ..BindPlan::default() })).collect()
    }

    #[test]
    fn sources_must_propagate() {
        let run = |source: &str, p| check(Path::new(source), p, MOUNTINFO).map_err(|e| e.message().to_owned());
        assert_eq!(run("/s/x", Propagation::RShared), Ok(()));
        assert_eq!(run("/s/a b/c", Propagation::Slave), Ok(()));
        assert_eq!(run("/s/a b", Propagation::Shared).unwrap_err(), "path /s/a b is mounted on /s/a b but it is not a shared mount");
        assert_eq!(run("/home", Propagation::RSlave).unwrap_err(), "path /home is mounted on / but it is not a shared or slave mount");
        assert!(run("/sx", Propagation::Shared).is_err());
    }

    #[test]
    fn the_root_is_as_strict_as_the_binds_allow() {
        use Propagation::{RPrivate, RShared, Slave};
        assert_eq!(rootfs_propagation(&plans(&[None, Some(RPrivate)])), Some("private"));
        assert_eq!(rootfs_propagation(&plans(&[None, Some(Slave)])), None);
        assert_eq!(rootfs_propagation(&plans(&[Some(Slave), Some(RShared)])), Some("shared"));
    }

    #[test]
    fn names_round_trip() {
        for (propagation, name) in NAMES {
            assert_eq!(name.parse::<Propagation>().unwrap(), propagation);
            assert_eq!(propagation.as_str(), name);
        }
        assert!("none".parse::<Propagation>().is_err());
    }
}
