//! Where the monitor's binary is.

use std::path::{Path, PathBuf};
use wharf_types::{Error, Result};

/// Where an installation has it, from the directory of `wharfd`: beside it when just built.
const PLACES: [&str; 2] = ["wharf-shim", "../libexec/wharf/wharf-shim"];

/// The named binary, else the one that belongs to the installation of `daemon`, the running program.
///
/// # Errors
/// [`wharf_types::ErrorKind::NotFound`], naming every place that was looked at, when none can be executed.
pub fn find(named: Option<&Path>, daemon: Option<&Path>) -> Result<PathBuf> {
    let places = match named {
        Some(path) => vec![path.to_owned()],
        None => daemon.map(|d| PLACES.map(|place| d.with_file_name(place))).into_iter().flatten().collect(),
    };
    if let Some(found) = places.iter().find(|path| is_program(path)) {
        return Ok(found.clone());
    }
    let places: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
    Err(Error::not_found(format!("no executable wharf-shim at {}", places.join(" or "))))
}

/// Whether the path is a regular file that this process may execute.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_named_one_then_the_neighbour() {
        let dir = tempfile::tempdir().unwrap();
        let (daemon, shim) = (dir.path().join("wharfd"), dir.path().join("wharf-shim"));
        std::fs::write(&shim, "").unwrap();
        let e = find(Some(&shim), None).unwrap_err();
        assert_eq!(e.message(), format!("no executable wharf-shim at {}", shim.display()));
        std::fs::set_permissions(&shim, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(&shim), None).unwrap(), shim);
        assert_eq!(find(None, Some(&daemon)).unwrap(), shim);
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        std::fs::create_dir_all(dir.path().join("libexec/wharf")).unwrap();
        std::fs::copy(&shim, dir.path().join("libexec/wharf/wharf-shim")).unwrap();
        assert!(find(None, Some(&dir.path().join("bin/wharfd"))).unwrap().ends_with("libexec/wharf/wharf-shim"));
        assert!(find(Some(&dir.path().join("other")), Some(&daemon)).is_err());
    }
}
