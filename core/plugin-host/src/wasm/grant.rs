//! Permissions in words: what an operator gives to a plugin.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Component, Path, PathBuf},
    str::FromStr,
};
use wharf_types::{Error, Result};

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// `state`
    State,
    /// `events`
    Events,
    /// `metrics`
    Metrics,
    /// `timers`
    Timers,
    /// `secret:NAME`
    Secret(String),
    /// `reveal:NAME`
    Reveal(String),
    /// `files:PATH`: a file, or a directory with what is in it.
    Files(PathBuf),
    /// `http:HOST` or `http:HOST:PORT`; without a port, any.
    Http(String, Option<u16>),
    /// `tcp:HOST:PORT`
    Tcp(String, u16),
    /// `tls:HOST:PORT`
    Tls(String, u16),
    /// `udp:HOST:PORT`
    Udp(String, u16),
    /// `unix:PATH`
    Unix(PathBuf),
    /// `objects:KIND` with one of [`OBJECTS`].
    Objects(String),
    /// `mount:FSTYPE`
    Mount(String),
}

/// The kinds of objects that a plugin may be allowed to look at.
pub const OBJECTS: [&str; 4] = ["container", "image", "volume", "network"];

impl Grant {
    /// Whether who has this has `other`, too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Files(mine), Self::Files(theirs)) => theirs.starts_with(mine),
            (Self::Http(mine, None), Self::Http(theirs, _)) => mine == theirs,
            _ => self == other,
        }
    }
}

impl FromStr for Grant {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        let invalid = |why: &str| Error::invalid(format!("invalid permission \"{word}\": {why}"));
        let (what, which) = word.split_once(':').map_or((word, None), |(what, which)| (what, Some(which)));
        let which = match (what, which) {
            ("state", None) => return Ok(Self::State),
            ("events", None) => return Ok(Self::Events),
            ("metrics", None) => return Ok(Self::Metrics),
            ("timers", None) => return Ok(Self::Timers),
            ("state" | "events" | "metrics" | "timers", Some(_)) => return Err(invalid("it has no parameter")),
            (_, Some(which)) if which.is_empty() || which.contains(char::is_whitespace) => {
                return Err(invalid("its parameter is empty or has blanks"));
            }
            (_, Some(which)) => which,
            (_, None) => return Err(invalid("there is none of that name, or it needs a parameter")),
        };
        let path = || {
            let path = Path::new(which);
            let plain = path.is_absolute() && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
            if plain { Ok(path.components().collect()) } else { Err(invalid("the path must be absolute and without \"..\"")) }
        };
        let host_port = || {
            let (host, port) = which.rsplit_once(':').ok_or_else(|| invalid("it needs a host and a port"))?;
            let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| invalid("the port must be 1 to 65535"))?;
            Ok::<_, Error>((host_name(host).ok_or_else(|| invalid("the host is not a name or an address"))?, port))
        };
        Ok(match what {
            "secret" | "reveal" if !is_file_name(which) => {
                return Err(invalid("a secret is named by letters, digits, \"-\", \"_\" and \".\""));
            }
            "secret" => Self::Secret(which.to_owned()),
            "reveal" => Self::Reveal(which.to_owned()),
            "files" => Self::Files(path()?),
            "unix" => Self::Unix(path()?),
            "mount" => Self::Mount(which.to_owned()),
            "objects" if OBJECTS.contains(&which) => Self::Objects(which.to_owned()),
            "objects" => return Err(invalid("the kinds are container, image, volume and network")),
            "http" => match host_name(which) {
                Some(host) => Self::Http(host, None),
                None => host_port().map(|(host, port)| Self::Http(host, Some(port)))?,
            },
            "tcp" => host_port().map(|(host, port)| Self::Tcp(host, port))?,
            "tls" => host_port().map(|(host, port)| Self::Tls(host, port))?,
            "udp" => host_port().map(|(host, port)| Self::Udp(host, port))?,
            _ => return Err(invalid("there is none of that name")),
        })
    }
}

/// Secrets are files of their names.
fn is_file_name(text: &str) -> bool {
    text.len() <= 128 && !text.starts_with('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// A name in lower case, an IPv4 address, or an IPv6 address in brackets; nothing else.
fn host_name(text: &str) -> Option<String> {
    let v6 =
        text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    let name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    (v6 || name).then(|| text.to_ascii_lowercase())
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("state"),
            Self::Events => f.write_str("events"),
            Self::Metrics => f.write_str("metrics"),
            Self::Timers => f.write_str("timers"),
            Self::Secret(name) => write!(f, "secret:{name}"),
            Self::Reveal(name) => write!(f, "reveal:{name}"),
            Self::Files(path) => write!(f, "files:{}", path.display()),
            Self::Http(host, None) => write!(f, "http:{host}"),
            Self::Http(host, Some(port)) => write!(f, "http:{host}:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp:{host}:{port}"),
            Self::Tls(host, port) => write!(f, "tls:{host}:{port}"),
            Self::Udp(host, port) => write!(f, "udp:{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Objects(kind) => write!(f, "objects:{kind}"),
            Self::Mount(fstype) => write!(f, "mount:{fstype}"),
        }
    }
}

/// A set of permissions, written as words with blanks between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(BTreeSet<Grant>);

impl Grants {
    /// Each once, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Grant> {
        self.0.iter()
    }

    /// Whether one of the set covers `grant`.
    pub fn covers(&self, grant: &Grant) -> bool {
        self.0.iter().any(|mine| mine.covers(grant))
    }

    /// Whether it allows anything that `other` does not: an operator must be asked again.
    pub fn is_wider_than(&self, other: &Self) -> bool {
        self.beyond(other).next().is_some()
    }

    /// What it has and `other` does not cover.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Grant> {
        self.0.iter().filter(|mine| !other.covers(mine))
    }
}

impl FromIterator<Grant> for Grants {
    fn from_iter<I: IntoIterator<Item = Grant>>(grants: I) -> Self {
        Self(grants.into_iter().collect())
    }
}

impl FromStr for Grants {
    type Err = Error;

    fn from_str(words: &str) -> Result<Self> {
        words.split_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(n, grant)| if n == 0 { write!(f, "{grant}") } else { write!(f, " {grant}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(words: &str) -> Grants {
        words.parse().unwrap()
    }

    #[test]
    fn words_come_back() {
        let words = "state events metrics timers secret:A reveal:A files:/etc/x http:h http:h:80 http:[::1]:80 tcp:h:1 tls:h:2 udp:h:3 unix:/s objects:image mount:nfs";
        assert_eq!(set(words).to_string(), words.replace("http:h http:h:80 http:[::1]:80", "http:[::1]:80 http:h http:h:80"));
    }

    #[test]
    fn nonsense_is_refused() {
        for word in [
            "",
            "x",
            "state:1",
            "secret",
            "secret:",
            "secret:../x",
            "secret:a/b",
            "reveal:.",
            "files:etc",
            "files:/a/../b",
            "http:h:0",
            "http:h:99999",
            "http:a/b",
            "tcp:h",
            "objects:exec",
            "http:http://h",
        ] {
            assert!(word.parse::<Grant>().is_err(), "{word}");
        }
    }

    #[test]
    fn wider_sets_are_seen() {
        for (new, old, wider) in [
            ("state", "state timers", false),
            ("state timers", "state", true),
            ("files:/etc/p/x", "files:/etc/p", false),
            ("files:/etc/p", "files:/etc/p/x", true),
            ("files:/etc/pp", "files:/etc/p", true),
            ("http:h:80", "http:h", false),
            ("http:h", "http:h:80", true),
            ("tls:h:80", "tcp:h:80", true),
        ] {
            assert_eq!(set(new).is_wider_than(&set(old)), wider, "{new} / {old}");
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_printed_so_that_it_is_parsed_again(word in "(secret|files|http|tcp|unix|mount):[a-z/:.0-9\\[\\]-]{1,16}") {
            if let Ok(grant) = word.parse::<Grant>() {
                prop_assert_eq!(grant.to_string().parse::<Grant>().unwrap(), grant);
            }
        }
    }
}
