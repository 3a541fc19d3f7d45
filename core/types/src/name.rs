//! Container names.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// A container's name without the leading slash that the API prints: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, so two characters at least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(Arc<str>);

impl ContainerName {
    /// The name as users type it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = Error;
    /// Accepts one leading slash, as Docker does.
    fn from_str(given: &str) -> Result<Self> {
        let s = given.strip_prefix('/').unwrap_or(given);
        let mut bytes = s.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
        let rest = s.len() >= 2 && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if first && rest {
            Ok(Self(s.into()))
        } else {
            Err(Error::invalid(format!("Invalid container name ({given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
        }
    }
}
impl TryFrom<String> for ContainerName {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}
impl From<ContainerName> for String {
    fn from(n: ContainerName) -> String {
        n.0.to_string()
    }
}
impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for good in ["ab", "/ab", "a.b-c_d", "0x"] {
            assert!(good.parse::<ContainerName>().is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "-ab", "a b", "a/b", "é1", "//ab"] {
            let e = bad.parse::<ContainerName>().unwrap_err();
            assert!(e.message().contains(&format!("({bad})")), "{e}");
        }
    }
}
