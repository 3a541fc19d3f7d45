//! The mount table of a process, as proc_pid_mountinfo(5) describes it.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf};

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Where it is.
    pub point: PathBuf,
    /// How it propagates, such as `shared:1 master:2`; nothing for a private one.
    pub propagation: &'a str,
    /// The type of its file system.
    pub kind: &'a str,
    /// The options of its file system.
    pub options: &'a str,
}

/// The mounts of `table`, in the order in which they were made. Lines that are none are left out.
pub fn mounts(table: &[u8]) -> impl Iterator<Item = Mount<'_>> {
    table.split(|b| *b == b'\n').filter_map(parse)
}

fn parse(line: &[u8]) -> Option<Mount<'_>> {
    let text = |bytes| str::from_utf8(bytes).ok();
    // Fields have no spaces in them: the kernel escapes those.
    let dash = line.windows(3).position(|three| three == b" - ")?;
    let (mount, system) = line.split_at_checked(dash)?;
    let mut mount = mount.splitn(7, |b| *b == b' ');
    let mut system = system.get(3..)?.split(|b| *b == b' ');
    Some(Mount {
        point: unescape(mount.nth(4)?),
        propagation: text(mount.nth(1).unwrap_or_default())?,
        kind: text(system.next()?)?,
        options: text(system.nth(1)?)?,
    })
}

/// A path in which `\040` is a space.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = match tail {
            [a, b, c, ..] if *first == b'\\' => {
                [a, b, c].iter().try_fold(0_u8, |n, d| d.checked_sub(b'0').filter(|d| *d < 8).map(|d| n.wrapping_mul(8) | d))
            }
            _ => None,
        };
        path.push(octal.unwrap_or(*first));
        rest = tail.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn lines_are_taken_apart() {
        let table = b"1 0 8:1 / / rw - ext4 d rw\nnothing\n3 2 0:6 / /s/a\\040b\xff rw,x shared:2 master:1 - tmpfs t rw,size=1\n";
        let [root, other] = &mounts(table).collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!((root.point.as_path(), root.propagation, root.kind, root.options), (Path::new("/"), "", "ext4", "rw"));
        assert_eq!(other.point.as_os_str().as_encoded_bytes(), b"/s/a b\xff");
        assert_eq!((other.propagation, other.kind, other.options), ("shared:2 master:1", "tmpfs", "rw,size=1"));
    }

    #[test]
    fn paths_are_unescaped() {
        for (field, path) in [("/a\\040b", "/a b"), ("/plain", "/plain"), ("/\\134040", "/\\040"), ("/end\\04", "/end\\04")] {
            assert_eq!(unescape(field.as_bytes()), Path::new(path));
        }
    }
}
