//! Image references: `[domain[:port]/]path[:tag][@sha256:…]`, with Docker Hub's short forms.

use crate::{
    error::{Error, Result},
    id::Digest,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A normalised reference. `busybox` is held as `docker.io/library/busybox` and printed ("familiar" form) as `busybox`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
/// Docker's limit on a repository name with its domain, in bytes.
const MAX_NAME: usize = 255;

impl Reference {
    /// The name that `repository` gets with `tag`, which goes before a tag or digest in `repository`; `latest` where there is none.
    ///
    /// # Errors
    /// When one of them breaks the grammar.
    pub fn of(repository: &str, tag: &str) -> Result<Self> {
        let reference: Self = repository.parse()?;
        if tag.is_empty() { Ok(reference.or_latest()) } else { reference.with_tag(tag) }
    }
    /// The registry's host, with its port when one was given.
    pub fn domain(&self) -> &str {
        &self.domain
    }
    /// The repository's path in the registry, `library/` included.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The tag, when one was given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }
    /// The digest, when one was given.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
    /// The repository in the form that users type, without tag and digest. Where the short form would mean another one, the domain
    /// stays: `docker.io/localhost/x` is not `localhost/x`.
    pub fn familiar_name(&self) -> String {
        let short = self.path.strip_prefix(OFFICIAL).filter(|rest| !rest.contains('/')).unwrap_or(&self.path);
        let misread = is_identifier(short) || short.split_once('/').is_some_and(|(first, _)| names_domain(first));
        if self.domain == DEFAULT_DOMAIN && !misread { short.to_owned() } else { format!("{}/{}", self.domain, self.path) }
    }
    /// This reference with `latest` where neither tag nor digest was given.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }
    /// The same repository with another tag, and no digest.
    ///
    /// # Errors
    /// When the tag breaks the grammar.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        check_tag(tag)?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }
    /// The same repository by digest, without tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

fn invalid_format() -> Error {
    Error::invalid("invalid reference format")
}

fn check_tag(tag: &str) -> Result<()> {
    let first = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    if first && tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) {
        Ok(())
    } else {
        Err(invalid_format())
    }
}

/// Whether the text is an image's id rather than a name.
fn is_identifier(s: &str) -> bool {
    s.len() == 64 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether the first component of a name is a registry rather than part of the path.
fn names_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// One path component: lower-case alphanumerics joined by `.`, `_`, `__` or any number of `-`.
fn is_component(c: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
    let bytes = c.as_bytes();
    let ends = bytes.first().is_some_and(|b| alnum(*b)) && bytes.last().is_some_and(|b| alnum(*b));
    let separators = c.split(|ch: char| ch.is_ascii_digit() || ch.is_ascii_lowercase()).filter(|s| !s.is_empty());
    ends && separators.into_iter().all(|s| s == "." || s == "_" || s == "__" || s.bytes().all(|b| b == b'-'))
}

fn is_domain(d: &str) -> bool {
    let (host, port) = match d.rsplit_once(':') {
        Some((h, p)) if !h.is_empty() && !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) => (h, true),
        _ => (d, false),
    };
    if let Some(v6) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    }
    let label =
        |l: &str| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-') && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (port || !host.contains(':')) && host.split('.').all(label)
}

impl FromStr for Reference {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if is_identifier(s) {
            return Err(Error::invalid(format!("invalid repository name ({s}), cannot specify 64-byte hexadecimal strings")));
        }
        let (rest, digest) = match s.split_once('@') {
            Some((rest, d)) => (rest, Some(d.parse::<Digest>().map_err(|_| invalid_format())?)),
            None => (s, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => {
                check_tag(tag)?;
                (name, Some(tag.to_owned()))
            }
            _ => (rest, None),
        };
        let (domain, path) = match name.split_once('/') {
            Some((d, p)) if names_domain(d) => (d, p.to_owned()),
            Some(_) => (DEFAULT_DOMAIN, name.to_owned()),
            None => (DEFAULT_DOMAIN, format!("{OFFICIAL}{name}")),
        };
        let (domain, path) = match domain {
            "index.docker.io" | DEFAULT_DOMAIN if !path.contains('/') => (DEFAULT_DOMAIN, format!("{OFFICIAL}{path}")),
            "index.docker.io" => (DEFAULT_DOMAIN, path),
            other => (other, path),
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Error::invalid("invalid reference format: repository name must be lowercase"));
        }
        if !is_domain(domain) || !path.split('/').all(is_component) {
            return Err(invalid_format());
        }
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err(Error::invalid("repository name must not be more than 255 characters"));
        }
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}
impl From<Reference> for String {
    fn from(r: Reference) -> String {
        r.to_string()
    }
}

impl fmt::Display for Reference {
    /// The familiar form with tag and digest: `busybox:latest`, `busybox@sha256:…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar_name())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn familiar_forms() {
        for (given, domain, path, shown) in [
            ("busybox", "docker.io", "library/busybox", "busybox"),
            ("docker.io/library/busybox:1", "docker.io", "library/busybox", "busybox:1"),
            ("index.docker.io/a/b", "docker.io", "a/b", "a/b"),
            ("localhost/x:y", "localhost", "x", "localhost/x:y"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000", "a/b", "127.0.0.1:5000/a/b"),
            ("[::1]:5000/a", "[::1]:5000", "a", "[::1]:5000/a"),
            ("ghcr.io/a/b__c--d.e", "ghcr.io", "a/b__c--d.e", "ghcr.io/a/b__c--d.e"),
        ] {
            let r: Reference = given.parse().unwrap();
            assert_eq!((r.domain(), r.path(), r.to_string().as_str()), (domain, path, shown), "{given}");
        }
        assert_eq!("busybox".parse::<Reference>().unwrap().or_latest().to_string(), "busybox:latest");
    }

    #[test]
    fn a_repository_and_a_tag() {
        let digest = format!("a@{}", Digest::of(b""));
        for (repository, tag, name) in [
            ("a", "", "a:latest"),
            ("a", "1", "a:1"),
            ("a:2", "", "a:2"),
            ("a:2", "1", "a:1"),
            (&digest, "1", "a:1"),
            (&digest, "", &digest),
        ] {
            assert_eq!(Reference::of(repository, tag).unwrap().to_string(), name, "{repository} {tag}");
        }
        assert!(Reference::of("BAD", "1").is_err() && Reference::of("a", "-").is_err() && Reference::of("", "1").is_err());
    }

    #[test]
    fn short_forms_mean_the_same() {
        let id = format!("docker.io/library/{}", "a1".repeat(32));
        for name in ["docker.io/localhost/x", "docker.io/example.org/x", "index.docker.io/library/a/b", &id] {
            let r: Reference = name.parse().unwrap();
            assert_eq!(r.domain(), "docker.io", "{name}");
            assert_eq!(r.familiar_name().parse::<Reference>().unwrap(), r, "{name}");
        }
    }

    #[test]
    fn refused() {
        let long = "a".repeat(300);
        for bad in ["", ":", "a:", "a:-x", "UPPER", "a//b", "a/", "-a", "a___b", "a@sha256:00", "a b", long.as_str(), &"a".repeat(64)] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        assert_eq!("busyBox".parse::<Reference>().unwrap_err().message(), "invalid reference format: repository name must be lowercase");
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(s in "[a-zA-Z0-9:/@._\\[\\] -]{0,60}") {
            if let Ok(r) = s.parse::<Reference>() {
                prop_assert_eq!(r.to_string().parse::<Reference>().unwrap(), r);
            }
        }
    }
}
