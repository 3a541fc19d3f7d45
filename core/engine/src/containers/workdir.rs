//! `WorkingDir` is made at start when the image does not have it, as dockerd does; never outside of the root file system.

use rustix::{
    fs::{Mode, OFlags, ResolveFlags, mkdirat, open},
    io::Errno,
};
use std::{io, path::Path};
use wharf_layers::view::follow;
use wharf_types::{Error, Result, error::Context as _};

/// Makes `dir` (absolute; empty for none) with all its parents. Symbolic links are followed as a process in the container would.
///
/// # Errors
/// 400 when something on the way is no directory.
pub fn make(rootfs: &Path, dir: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(rootfs, flags, Mode::empty()).map_err(io::Error::from).context(rootfs.display())?;
    // Links are followed first: what they lead to may be missing as well.
    let dir = follow(&root, dir.as_bytes()).map_err(io::Error::from).context(format!("make the working directory {dir}"))?;
    let enter = |path: &[u8]| wharf_store::open_in(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS);
    let mut path = Vec::new();
    for name in dir.split(|b| *b == b'/').filter(|n| !n.is_empty()) {
        let parent = if path.is_empty() { b"/".to_vec() } else { path.clone() };
        path = [path.as_slice(), b"/", name].concat();
        let there = match enter(&path) {
            Err(Errno::NOENT) => enter(&parent).and_then(|parent| mkdirat(&parent, name, Mode::from_raw_mode(0o755))),
            found => found.map(drop),
        };
        let shown = String::from_utf8_lossy(&path);
        match there {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(Errno::NOTDIR) => return Err(Error::invalid(format!("Cannot mkdir: {shown} is not a directory"))),
            Err(e) => return Err(io::Error::from(e)).context(format!("make the working directory {shown}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn stays_inside_and_makes_parents() {
        let tmp = tempfile::tempdir().unwrap();
        let (root, outside) = (tmp.path().join("root"), tmp.path().join("outside"));
        std::fs::create_dir_all(root.join("real")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        symlink(&outside, root.join("escape")).unwrap();
        symlink("/real", root.join("link")).unwrap();
        make(&root, "/a/b/c").unwrap();
        make(&root, "/a/b/c/").unwrap();
        make(&root, "").unwrap();
        make(&root, "/link/x").unwrap();
        assert!(root.join("a/b/c").is_dir() && root.join("real/x").is_dir());
        assert_eq!(make(&root, "/file/x").unwrap_err().message(), "Cannot mkdir: /file is not a directory");
        // The link leads to a path that does not exist in the container: it is made there.
        make(&root, "/escape/y").unwrap();
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        assert!(root.join(outside.strip_prefix("/").unwrap()).join("y").is_dir());
        assert!(std::fs::metadata(tmp.path().join("y")).is_err());
        let _ = make(&root, "/../../z");
        assert!(std::fs::metadata(tmp.path().join("z")).is_err());
    }
}
