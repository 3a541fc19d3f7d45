//! Who a process runs as: `--user` and `--group-add` against the `/etc/passwd` and `/etc/group` of a root filesystem.
//!
//! The files belong to the image and are hostile input: they are opened inside the root (symlinks cannot leave it, only
//! regular files are read, up to [`MAX_BYTES`]) and lines that do not parse are skipped.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open};
use rustix::io::Errno;
use wharf_types::error::Context;
use wharf_types::{Error, Result};

/// Far above any real passwd file; keeps a hostile image from filling the daemon's memory.
const MAX_BYTES: u64 = 8 << 20;

/// Largest id that Docker accepts.
const MAX_ID: u32 = i32::MAX as u32;

/// The outcome of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, the primary one first: without it a process that drops `gid` would slip past permissions that
    /// deny its group.
    pub additional_gids: Vec<u32>,
    /// Home directory; `/` for a user without an entry.
    pub home: String,
}

struct PasswdEntry {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

struct GroupEntry {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Resolves `user` (empty is root; `name`, `uid`, `name:group`, `uid:gid`) and `groups_add` in the root filesystem at
/// `rootfs`. Numbers need no entry; a name without one is a 400 in Docker's words. Blocking.
pub fn resolve_user(rootfs: &Path, user: &str, groups_add: &[String]) -> Result<ResolvedUser> {
    let passwd = passwd(&read_inside(rootfs, "etc/passwd")?);
    let groups = groups(&read_inside(rootfs, "etc/group")?);
    let mut parts = user.split(':');
    let (user, group) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());

    let number = if user.is_empty() { Some(0) } else { user.parse::<u32>().ok() };
    let entry = passwd.into_iter().find(|e| number.map_or_else(|| e.name == user, |uid| e.uid == uid));
    let unknown = || Error::invalid(format!("unable to find user {user}: no matching entries in passwd file"));
    let uid = in_range(entry.as_ref().map(|e| e.uid).or(number).ok_or_else(unknown)?)?;

    let mut sgids = Vec::new();
    let gid = if group.is_empty() {
        let member = |g: &&GroupEntry| entry.as_ref().is_some_and(|e| g.members.contains(&e.name));
        sgids.extend(groups.iter().filter(member).map(|g| g.gid));
        entry.as_ref().map_or(0, |e| e.gid)
    } else {
        find_group(&groups, group)?
    };
    for group in groups_add {
        sgids.push(find_group(&groups, group)?);
    }
    let mut additional_gids = vec![gid];
    for gid in sgids {
        if !additional_gids.contains(&gid) {
            additional_gids.push(gid);
        }
    }
    let home = entry.map(|e| e.home).filter(|home| !home.is_empty()).unwrap_or_else(|| "/".into());
    Ok(ResolvedUser { uid, gid, additional_gids, home })
}

/// A group by name or number; a number is an id even where a group has it as its name.
fn find_group(groups: &[GroupEntry], group: &str) -> Result<u32> {
    let listed = groups.iter().find(|g| g.name == group).map(|g| g.gid);
    let unknown = || Error::invalid(format!("unable to find group {group}: no matching entries in group file"));
    in_range(group.parse().ok().or(listed).ok_or_else(unknown)?)
}

fn in_range(id: u32) -> Result<u32> {
    if id <= MAX_ID { Ok(id) } else { Err(Error::invalid("uids and gids must be in range 0-2147483647")) }
}

fn passwd(text: &str) -> Vec<PasswdEntry> {
    let entry = |line: &str| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?.to_owned();
        let mut fields = fields.skip(1);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(PasswdEntry { name, uid, gid, home: fields.nth(1).unwrap_or_default().to_owned() })
    };
    text.lines().filter_map(entry).collect()
}

fn groups(text: &str) -> Vec<GroupEntry> {
    let entry = |line: &str| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?.to_owned();
        let gid = fields.nth(1)?.parse().ok()?;
        Some(GroupEntry { name, gid, members: fields.next().unwrap_or_default().split(',').map(str::to_owned).collect() })
    };
    text.lines().filter_map(entry).collect()
}

/// The text of a file below `rootfs`; empty when there is none, as images without users are common.
fn read_inside(rootfs: &Path, path: &str) -> Result<String> {
    let what = || format!("{path} of the container");
    let root = open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).context(rootfs.display())?;
    // NONBLOCK: a FIFO in the image must not stop the daemon.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match wharf_store::open_in(&root, path, flags, Mode::empty(), inside) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        Err(e) => return Err(e).context(what()),
    };
    if FileType::from_raw_mode(fstat(&file).context(what())?.st_mode) != FileType::RegularFile {
        return Err(Error::invalid(format!("{} is not a regular file", what())));
    }
    let mut bytes = Vec::new();
    File::from(file).take(MAX_BYTES).read_to_end(&mut bytes).context(what())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\n# note\nbad:x:y:z\nwww:x:33:34::/srv:/bin/false\n77:x:5:6::/h:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,www\nweb:x:34:\naudio:x:29:www\n";

    fn rootfs() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/passwd"), PASSWD).unwrap();
        fs::write(dir.path().join("etc/group"), GROUP).unwrap();
        dir
    }

    fn resolve(user: &str, groups: &[&str]) -> Result<(u32, u32, Vec<u32>, String)> {
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        resolve_user(rootfs().path(), user, &groups).map(|u| (u.uid, u.gid, u.additional_gids, u.home))
    }

    #[test]
    fn forms_of_user() {
        for (user, groups, expected) in [
            ("", &[][..], (0, 0, vec![0, 10], "/root")),
            ("www", &[], (33, 34, vec![34, 10, 29], "/srv")),
            ("33", &[], (33, 34, vec![34, 10, 29], "/srv")),
            ("www:web", &[], (33, 34, vec![34], "/srv")),
            ("www:10", &["audio", "99", "10"], (33, 10, vec![10, 29, 99], "/srv")),
            ("1000", &[], (1000, 0, vec![0], "/")),
            ("1000:1001", &[], (1000, 1001, vec![1001], "/")),
            (":audio", &[], (0, 29, vec![29], "/root")),
        ] {
            let (uid, gid, gids, home) = resolve(user, groups).unwrap();
            assert_eq!((uid, gid, gids, home.as_str()), expected, "{user}");
        }
    }

    #[test]
    fn unknown_names_in_dockers_words() {
        let message = |user: &str, groups: &[&str]| resolve(user, groups).unwrap_err().message().to_owned();
        assert_eq!(message("x", &[]), "unable to find user x: no matching entries in passwd file");
        assert_eq!(message("root:x", &[]), "unable to find group x: no matching entries in group file");
        assert_eq!(message("root", &["x"]), "unable to find group x: no matching entries in group file");
        assert_eq!(message("2147483648", &[]), "uids and gids must be in range 0-2147483647");
    }

    #[test]
    fn an_image_without_users_has_root() {
        let dir = tempfile::tempdir().unwrap();
        let user = resolve_user(dir.path(), "", &[]).unwrap();
        assert_eq!((user.uid, user.gid, user.home.as_str()), (0, 0, "/"));
        assert!(resolve_user(dir.path(), "root", &[]).is_err());
    }

    #[test]
    fn symlinks_stay_inside_and_special_files_are_refused() {
        let dir = rootfs();
        let passwd = dir.path().join("etc/passwd");
        fs::remove_file(&passwd).unwrap();
        fs::write(dir.path().join("users"), "inside:x:7:7::/i:\n").unwrap();
        symlink("../../../../users", &passwd).unwrap();
        assert_eq!(resolve_user(dir.path(), "inside", &[]).unwrap().uid, 7);

        fs::remove_file(&passwd).unwrap();
        symlink("/etc/hostname-of-the-host", &passwd).unwrap();
        assert_eq!(resolve_user(dir.path(), "", &[]).unwrap().home, "/");

        fs::remove_file(&passwd).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &passwd, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(resolve_user(dir.path(), "", &[]).unwrap_err().message().ends_with("is not a regular file"));
    }
}
