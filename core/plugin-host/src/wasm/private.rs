//! Directories and files that only the engine may have touched.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result, error::Context};

/// Makes a directory with mode 0700, or sees that it is the engine's own.
pub(super) fn directory(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).context(format_args!("create {}", path.display()))?;
    let meta = fs::symlink_metadata(path).context(format_args!("look at {}", path.display()))?;
    if meta.is_dir() && own(&meta) { Ok(()) } else { Err(foreign(path)) }
}

/// Whether nobody but the engine can have written it.
pub(super) fn own(meta: &fs::Metadata) -> bool {
    meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0
}

fn foreign(path: &Path) -> Error {
    Error::system(format!("{} is not a directory that only the engine can write", path.display()))
}

/// Where a plugin of this name keeps its things below `root`. Letters, digits, `-` and `_` stand for themselves.
pub(super) fn path_of(root: &Path, name: &str) -> Result<PathBuf> {
    let mut file = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => file.push(char::from(byte)),
            other => file.push_str(&format!("%{other:02x}")),
        }
    }
    if file.is_empty() || file.len() > 200 {
        return Err(Error::invalid(format!("invalid plugin name \"{name}\": 1 to 200 characters")));
    }
    Ok(root.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_root_and_apart() {
        let at = |name: &str| path_of(Path::new("/r"), name).unwrap();
        assert_eq!(at("vieux/authz:latest"), Path::new("/r/vieux%2fauthz%3alatest"));
        assert_eq!(at(".."), Path::new("/r/%2e%2e"));
        assert_ne!(at("a%2f"), at("a/"));
        assert!(path_of(Path::new("/r"), "").is_err());
    }

    #[test]
    fn a_directory_of_others_is_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("a/b");
        directory(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(directory(&path).is_err());
    }
}
