//! Paths of tar entries.

use std::io;

/// The components of `path` joined by single slashes, without `.`, empty ones and the leading slash. `..` takes back a component.
///
/// # Errors
/// When `..` leads out of the root.
pub(crate) fn clean(path: &[u8]) -> io::Result<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or_else(|| crate::tar::invalid("the path leads out of the layer"))?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join(&b'/'))
}

/// Directory and name of a clean path; `None` for the root.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    Some(match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => (b"", path),
    })
}

/// Joins a directory and a name; either may be empty.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match (dir, name) {
        (b"", path) | (path, b"") => path.to_vec(),
        _ => [dir, name].join(&b'/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cleaned() {
        for (given, expected) in [("./a//b/", "a/b"), ("/etc/x", "etc/x"), ("a/../b", "b"), (".", ""), ("./", ""), ("/", "")] {
            assert_eq!(clean(given.as_bytes()).unwrap(), expected.as_bytes(), "{given}");
        }
        assert!(clean(b"../x").is_err() && clean(b"a/../../x").is_err());
        assert_eq!(split(b"a/b/c"), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(split(b"a"), Some((&b""[..], &b"a"[..])));
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(path in "[./a]{0,20}") {
            if let Ok(clean) = clean(path.as_bytes()) {
                prop_assert!(!clean.starts_with(b"/"));
                prop_assert!(clean.is_empty() || clean.split(|b| *b == b'/').all(|p| !p.is_empty() && p != b"." && p != b".."));
            }
        }
    }
}
