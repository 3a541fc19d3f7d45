//! `HostConfig.Binds`: `source:target[:mode]` strings.

use std::path::{Component, Path, PathBuf};

use wharf_types::{Error, Result};

use super::propagation::Propagation;

/// A parsed bind string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindSpec {
    /// What is mounted.
    pub source: BindSource,
    /// Absolute, cleaned path in the container, never `/`.
    pub target: PathBuf,
    /// How.
    pub mode: BindMode,
}

/// The left side of a bind string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindSource {
    /// An absolute path on the host.
    Host(PathBuf),
    /// A named volume.
    Volume(String),
    /// `target` alone: a new anonymous volume.
    Anonymous,
}

/// The options of a bind string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindMode {
    /// `ro`.
    pub read_only: bool,
    /// `z` or `Z`.
    pub relabel: Option<Relabel>,
    /// `[r]private`, `[r]shared`, `[r]slave`.
    pub propagation: Option<Propagation>,
    /// `nocopy`: an empty volume is not filled from the image.
    pub no_copy: bool,
}

/// Which SELinux label the source gets on a host with SELinux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relabel {
    /// `z`: containers share it.
    Shared,
    /// `Z`: this container's own.
    Private,
}

/// Reads comma-separated options; each kind at most once. 400 `invalid mode: x`.
///
/// `consistent`, `cached` and `delegated` are hints for hosts that reach files through a virtual machine; on Linux every
/// bind is consistent, so there is nothing to keep.
pub fn parse_mode(mode: &str) -> Result<BindMode> {
    let mut parsed = BindMode::default();
    let [mut access, mut label, mut propagation, mut copy, mut consistency] = [0; 5];
    for option in mode.split(',').filter(|_| !mode.is_empty()) {
        let seen = match option {
            "ro" | "rw" => {
                parsed.read_only = option == "ro";
                &mut access
            }
            "z" | "Z" => {
                parsed.relabel = Some(if option == "z" { Relabel::Shared } else { Relabel::Private });
                &mut label
            }
            "nocopy" => {
                parsed.no_copy = true;
                &mut copy
            }
            "consistent" | "cached" | "delegated" => &mut consistency,
            other => {
                parsed.propagation = Some(other.parse().map_err(|_| invalid_mode(mode))?);
                &mut propagation
            }
        };
        *seen += 1;
        if *seen > 1 {
            return Err(invalid_mode(mode));
        }
    }
    Ok(parsed)
}

fn invalid_mode(mode: &str) -> Error {
    Error::invalid(format!("invalid mode: {mode}"))
}

/// Reads one entry of `HostConfig.Binds`. 400 `invalid volume specification: 'x'`, with the reason where there is one.
pub fn parse_bind(raw: &str) -> Result<BindSpec> {
    let invalid = || format!("invalid volume specification: '{raw}'");
    let parts: Vec<&str> = raw.split(':').collect();
    let (source, target, mode) = match *parts.as_slice() {
        [target] if !target.is_empty() => ("", target, ""),
        // `/foo:rw` would be a target with a mode, which nothing can be mounted by.
        [source, target] if !source.is_empty() && parse_mode(target).is_err() => (source, target, ""),
        [source, target, mode] if !source.is_empty() => (source, target, mode),
        _ => return Err(Error::invalid(invalid())),
    };
    let mode = parse_mode(mode)?;
    let because = |reason: String| Error::invalid(format!("{}: {reason}", invalid()));
    let (source, kind) = match source {
        "" => (BindSource::Anonymous, "volume"),
        path if path.starts_with('/') => (BindSource::Host(clean(path)), "bind"),
        name => (BindSource::Volume(name.to_owned()), "volume"),
    };
    let unfit = |reason: &str| because(format!("invalid mount config for type \"{kind}\": {reason}"));
    if !target.starts_with('/') {
        return Err(unfit(&format!("invalid mount path: '{target}' mount path must be absolute")));
    }
    let target = clean(target);
    if target == Path::new("/") {
        return Err(because("invalid specification: destination can't be '/'".into()));
    }
    match (&source, mode) {
        (BindSource::Host(_), BindMode { no_copy: true, .. }) => Err(unfit("field VolumeOptions must not be specified")),
        (BindSource::Volume(_) | BindSource::Anonymous, BindMode { propagation: Some(_), .. }) => {
            Err(unfit("field BindOptions must not be specified"))
        }
        _ => Ok(BindSpec { source, target, mode }),
    }
}

/// The path without `.`, `..` and doubled slashes, by text as Go's `path.Clean` does: the target lies in a container, not here.
fn clean(path: &str) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms() {
        let spec = parse_bind("/a/../b//c:/x/./y:ro,Z,rslave").unwrap();
        assert_eq!((spec.source, spec.target), (BindSource::Host("/b/c".into()), "/x/y".into()));
        let mode = BindMode { read_only: true, relabel: Some(Relabel::Private), propagation: Some(Propagation::RSlave), no_copy: false };
        assert_eq!(spec.mode, mode);
        assert_eq!(parse_bind("vol:/x:nocopy").unwrap().source, BindSource::Volume("vol".into()));
        assert_eq!(parse_bind("/x").unwrap().source, BindSource::Anonymous);
        assert_eq!(parse_bind("/a:/x:cached").unwrap().mode, BindMode::default());
    }

    #[test]
    fn errors_in_dockers_words() {
        for (raw, message) in [
            ("/foo:rw", "invalid volume specification: '/foo:rw'"),
            (":/x", "invalid volume specification: ':/x'"),
            ("", "invalid volume specification: ''"),
            ("/a:/b:ro:z", "invalid volume specification: '/a:/b:ro:z'"),
            ("/a:/b:ro,rw", "invalid mode: ro,rw"),
            ("/a:/b:shared,slave", "invalid mode: shared,slave"),
            ("/a:/b:what", "invalid mode: what"),
            (
                "/a:b",
                "invalid volume specification: '/a:b': invalid mount config for type \"bind\": invalid mount path: 'b' mount path must be absolute",
            ),
            ("/a:/", "invalid volume specification: '/a:/': invalid specification: destination can't be '/'"),
            (
                "/a:/b:nocopy",
                "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
            ),
        ] {
            assert_eq!(parse_bind(raw).unwrap_err().message(), message);
        }
    }

    proptest! {
        #[test]
        fn targets_are_absolute_and_clean(raw in "[a-z/.]{0,8}(:[a-z/.]{0,8}){0,3}") {
            if let Ok(spec) = parse_bind(&raw) {
                prop_assert!(spec.target.is_absolute() && spec.target != Path::new("/"));
                prop_assert!(!spec.target.components().any(|c| matches!(c, Component::ParentDir | Component::CurDir)));
            }
        }
    }
}
