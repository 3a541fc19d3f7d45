//! API versions.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An Engine API version such as 1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiVersion {
    major: u16,
    minor: u16,
}

/// The newest version that Wharf speaks, and the one that unversioned paths get.
pub const MAX_API_VERSION: ApiVersion = ApiVersion::new(1, 55);
/// The oldest version that Wharf speaks.
pub const MIN_API_VERSION: ApiVersion = ApiVersion::new(1, 19);

impl ApiVersion {
    /// `major.minor`.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
    /// Whether this version is older than 1.`minor`.
    pub fn before(self, minor: u16) -> bool {
        self < Self::new(1, minor)
    }
    /// Whether this version is 1.`minor` or newer.
    pub fn since(self, minor: u16) -> bool {
        !self.before(minor)
    }
}

impl FromStr for ApiVersion {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let parse = || {
            let (major, minor) = s.split_once('.')?;
            Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
        };
        parse().ok_or_else(|| format!("invalid API version: {s:?}"))
    }
}
impl TryFrom<String> for ApiVersion {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}
impl From<ApiVersion> for String {
    fn from(v: ApiVersion) -> String {
        v.to_string()
    }
}
impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_numeric() {
        assert!("1.9".parse::<ApiVersion>().unwrap() < "1.19".parse().unwrap());
        assert!(MIN_API_VERSION.before(24) && MAX_API_VERSION.since(52));
        assert!("1".parse::<ApiVersion>().is_err());
    }
}
