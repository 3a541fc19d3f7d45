//! Facts about the file system that the layers lie on, and the kernel's overlayfs settings.

use rustix::{
    fs::{self, AtFlags, CWD, StatxAttributes, StatxFlags},
    mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount},
};
use std::path::{Path, PathBuf};
use wharf_types::{Result, error::Context};

/// Magic numbers of statfs(2) with the names that Docker prints.
const NAMES: &[(u32, &str)] = &[
    (0xef53, "extfs"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x2fc1_2fc1, "zfs"),
    (0x794c_7630, "overlayfs"),
    (0xf2f5_2010, "f2fs"),
    (0xca45_1a4e, "bcachefs"),
    (0x6969, "nfs"),
    (0x6573_5546, "fuse"),
    (0x6165_676c, "pstorefs"),
    (0x8584_58f6, "ramfs"),
    (0x3153_464a, "jfs"),
    (0x5265_4973, "reiserfs"),
];

/// The name of the file system at `path`.
pub(crate) fn file_system(path: &Path) -> Result<&'static str> {
    let found = fs::statfs(path).context(format_args!("statfs {}", path.display()))?;
    // The field is signed on some architectures and wider than the number on others.
    let magic = found.f_type as u32;
    Ok(NAMES.iter().find(|(n, _)| *n == magic).map_or("<unknown>", |(_, name)| name))
}

/// Whether directories tell the types of their entries; overlayfs needs that to see whiteouts.
pub(crate) fn has_entry_types(path: &Path) -> Result<bool> {
    let dir = fs::open(path, fs::OFlags::RDONLY | fs::OFlags::DIRECTORY | fs::OFlags::CLOEXEC, fs::Mode::empty());
    let entries = dir.and_then(fs::Dir::read_from).context(format_args!("read {}", path.display()))?;
    Ok(entries.flatten().all(|e| e.file_type() != fs::FileType::Unknown))
}

/// A yes-or-no setting of the overlay module.
pub(crate) fn overlay_setting(name: &str) -> bool {
    std::fs::read(format!("/sys/module/overlay/parameters/{name}")).is_ok_and(|text| text.starts_with(b"Y"))
}

/// Whether something is mounted exactly at `path`.
pub(crate) fn is_mount_point(path: &Path) -> bool {
    fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty())
        .is_ok_and(|st| st.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Keeps mounts below a directory to this mount namespace. Where the directory's own mount is shared, as under systemd, every mount
/// would be copied to all other namespaces, which then keep it busy. So the directory is bound to itself, privately.
#[derive(Debug)]
pub(crate) struct PrivateMount(Option<PathBuf>);

impl PrivateMount {
    pub(crate) fn new(root: &Path) -> Result<Self> {
        let needed = is_mount_point(root) || is_shared(root)?;
        if !needed {
            return Ok(Self(None));
        }
        let what = format!("make {} a private mount", root.display());
        if !is_mount_point(root) {
            mount_bind(root, root).context(&what)?;
        } else if !is_shared(root)? {
            // The daemon before this one did it.
            return Ok(Self(Some(root.to_owned())));
        }
        mount_change(root, MountPropagationFlags::PRIVATE).context(&what)?;
        Ok(Self(Some(root.to_owned())))
    }
}

impl Drop for PrivateMount {
    /// Busy means that containers go on without the daemon: then the mount stays for the next one.
    fn drop(&mut self) {
        if let Some(root) = &self.0 {
            let _ = unmount(root, UnmountFlags::NOFOLLOW);
        }
    }
}

/// Whether the mount that `path` lies on passes mounts on to others.
fn is_shared(path: &Path) -> Result<bool> {
    let id = fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).context(format_args!("stat {}", path.display()))?.stx_mnt_id;
    let table = std::fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    Ok(table.lines().any(|line| {
        let mut fields = line.split(' ');
        fields.next().and_then(|n| n.parse::<u64>().ok()) == Some(id)
            && fields.skip(5).take_while(|f| *f != "-").any(|f| f.starts_with("shared:"))
    }))
}
