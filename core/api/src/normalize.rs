//! What happens to a path before it is routed: `/vX.Y` is taken off, and the slashes inside a name are folded into `%2F`.
//!
//! Image names contain slashes in the middle of paths (`/images/library/busybox:1/json`), which a segment router cannot
//! match; its parameters are percent-decoded again when they are read. Plugin and distribution names and the `/parent/alias`
//! form of container names have the same trouble.

use crate::{
    endpoint::{Row, Verb},
    version,
};
use std::borrow::Cow;
use wharf_api_types::ApiVersion;

/// The kinds of object whose names may contain slashes.
const SLASHY: [&str; 4] = ["/images/", "/distribution/", "/plugins/", "/containers/"];

/// Takes a version prefix off: `/v1.41/info` is `(1.41, /info)`.
pub fn split_version(path: &str) -> (Option<ApiVersion>, &str) {
    let prefixed = || {
        let (digits, rest) = path.strip_prefix("/v")?.split_once('/')?;
        let is_version = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        is_version.then(|| (Some(version::lenient(digits)), path.get(path.len() - rest.len() - 1..).unwrap_or("/")))
    };
    prefixed().unwrap_or((None, path))
}

/// The row shapes `/kind/{name}` + suffix of the slashy kinds, taken from the table.
pub struct Folding(Vec<Shape>);

struct Shape {
    verb: Verb,
    prefix: &'static str,
    /// What follows the name; up to a second parameter when there is one.
    suffix: &'static str,
    /// The suffix has a parameter of its own at its end.
    open: bool,
}

impl Folding {
    /// Learns the shapes.
    pub fn of(rows: &[Row]) -> Self {
        Self(rows.iter().filter_map(Shape::of).collect())
    }

    /// Folds the slashes of the name in `path`, if it has one with slashes.
    pub fn fold<'p>(&self, verb: Verb, path: &'p str) -> Cow<'p, str> {
        let Some(prefix) = SLASHY.iter().find(|p| path.starts_with(**p)) else { return Cow::Borrowed(path) };
        let rest = path.get(prefix.len()..).unwrap_or_default();
        if !rest.contains('/') {
            return Cow::Borrowed(path);
        }
        let of_kind = || self.0.iter().filter(|s| s.verb == verb && s.prefix == *prefix);
        if of_kind().any(|s| s.open && rest.contains(s.suffix)) {
            return Cow::Borrowed(path);
        }
        let name = |s: &Shape| rest.strip_suffix(s.suffix).filter(|n| !n.is_empty());
        let longest = of_kind().filter(|s| !s.open && name(s).is_some()).max_by_key(|s| s.suffix.len());
        match longest.and_then(|s| name(s).map(|n| (n, s.suffix))) {
            Some((name, suffix)) if name.contains('/') => Cow::Owned(format!("{prefix}{}{suffix}", name.replace('/', "%2F"))),
            _ => Cow::Borrowed(path),
        }
    }
}

impl Shape {
    fn of(row: &Row) -> Option<Self> {
        let prefix = *SLASHY.iter().find(|p| row.path.starts_with(**p))?;
        let (_, suffix) = row.path.get(prefix.len()..)?.strip_prefix('{')?.split_once('}')?;
        let (suffix, open) = suffix.split_once('{').map_or((suffix, false), |(s, _)| (s, true));
        Some(Self { verb: row.verb, prefix, suffix, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::routes;
    use proptest::prelude::*;

    fn fold(verb: Verb, path: &str) -> String {
        Folding::of(routes()).fold(verb, path).into_owned()
    }

    #[test]
    fn versions_are_taken_off() {
        assert_eq!(split_version("/v1.41/info"), (Some(ApiVersion::new(1, 41)), "/info"));
        assert_eq!(split_version("/v1.24//x"), (Some(ApiVersion::new(1, 24)), "//x"));
        for whole in ["/info", "/volumes/x", "/v1.41", "/vx/info", "/v/info", "", "/"] {
            assert_eq!(split_version(whole), (None, whole));
        }
    }

    #[test]
    fn slashes_of_names_are_folded() {
        use Verb::{Delete, Get, Post};
        for (verb, path, folded) in [
            (Get, "/images/library/ubuntu:22.04/json", "/images/library%2Fubuntu:22.04/json"),
            (Get, "/images/ghcr.io/a/b/c@sha256:00/history", "/images/ghcr.io%2Fa%2Fb%2Fc@sha256:00/history"),
            (Delete, "/images/a/json", "/images/a%2Fjson"),
            (Delete, "/images/a/b:c", "/images/a%2Fb:c"),
            (Get, "/images/json", "/images/json"),
            (Get, "/images/a/json", "/images/a/json"),
            (Post, "/images/a/b/tag", "/images/a%2Fb/tag"),
            (Get, "/distribution/a/b/json", "/distribution/a%2Fb/json"),
            (Get, "/containers//web/json", "/containers/%2Fweb/json"),
            (Get, "/containers/web/attach/ws", "/containers/web/attach/ws"),
            (Delete, "/containers/parent/alias", "/containers/parent%2Falias"),
            (Delete, "/containers/web/checkpoints/one", "/containers/web/checkpoints/one"),
            (Post, "/containers/web/unknown", "/containers/web/unknown"),
            (Get, "/networks/a/b", "/networks/a/b"),
        ] {
            assert_eq!(fold(verb, path), folded, "{verb} {path}");
        }
    }

    proptest! {
        #[test]
        fn folding_never_panics_and_settles(path in "[/a-z:%{}.é]{0,40}", kind in 0usize..4) {
            let path = format!("{}{path}", SLASHY[kind]);
            for verb in Verb::ALL {
                let once = fold(verb, &path);
                prop_assert_eq!(fold(verb, &once), once.clone());
                prop_assert_eq!(once.replace("%2F", "/"), path.replace("%2F", "/"));
            }
            split_version(&path);
        }

        #[test]
        fn splitting_keeps_the_path(path in "\\PC{0,40}") {
            let (version, rest) = split_version(&path);
            prop_assert!(path.ends_with(rest) && (version.is_some() || rest == path));
        }
    }
}
