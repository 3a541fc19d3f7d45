//! Identifiers: random 64-hex ids of containers and execs, and content digests.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// Length of the short form that Docker prints (`docker ps`), in hex digits.
pub const SHORT_LEN: usize = 12;

fn is_hex(s: &str) -> bool {
    s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// A fresh random id (256 bits). As Docker does, ids whose short form is all decimal are avoided:
            /// such a hostname breaks programs.
            ///
            /// # Errors
            /// When the kernel's random source fails.
            pub fn random() -> Result<Self> {
                loop {
                    let mut bytes = [0u8; 32];
                    getrandom::fill(&mut bytes).map_err(|e| Error::system(format!("random source: {e}")))?;
                    let text = hex::encode(bytes);
                    if text.get(..SHORT_LEN).is_some_and(|s| s.parse::<u64>().is_err()) {
                        return Ok(Self(text.into()));
                    }
                }
            }

            /// All 64 hex digits.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first 12 hex digits.
            pub fn short(&self) -> &str {
                self.0.get(..SHORT_LEN).unwrap_or(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(s: &str) -> Result<Self> {
                if s.len() == 64 && is_hex(s) { Ok(Self(s.into())) } else { Err(Error::invalid(format!("invalid id: {s:?}"))) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(s: String) -> Result<Self> {
                s.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.to_string()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.short())
            }
        }
        impl std::borrow::Borrow<str> for $name {
            /// Ordered and hashed as its text, so maps can be searched by prefix.
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

random_id! {
    /// A container's id: 64 lower-case hex digits.
    ContainerId
}
random_id! {
    /// An exec instance's id: 64 lower-case hex digits.
    ExecId
}

/// A content digest, `sha256:` and 64 lower-case hex digits. Image ids are digests too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Arc<str>);

impl Digest {
    const PREFIX: &'static str = "sha256:";

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_sha256(&sha2::Sha256::digest(bytes))
    }

    /// Wraps a finished SHA-256.
    pub fn from_sha256(sum: &[u8]) -> Self {
        Self(format!("{}{}", Self::PREFIX, hex::encode(sum)).into())
    }

    /// `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hex digits alone.
    pub fn hex(&self) -> &str {
        self.0.get(Self::PREFIX.len()..).unwrap_or("")
    }

    /// The first 12 hex digits.
    pub fn short(&self) -> &str {
        self.hex().get(..SHORT_LEN).unwrap_or("")
    }
}

impl FromStr for Digest {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s.strip_prefix(Self::PREFIX) {
            Some(h) if h.len() == 64 && is_hex(h) => Ok(Self(s.into())),
            _ => Err(Error::invalid(format!("invalid digest: {s:?}"))),
        }
    }
}
impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}
impl From<Digest> for String {
    fn from(d: Digest) -> String {
        d.0.to_string()
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_parse_back_and_differ() {
        let (a, b) = (ContainerId::random().unwrap(), ContainerId::random().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.as_str().parse::<ContainerId>().unwrap(), a);
        assert_eq!(a.short().len(), SHORT_LEN);
    }

    #[test]
    fn digests_are_checked() {
        let d = Digest::of(b"");
        assert_eq!(d.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!("sha256:E3".parse::<Digest>().is_err());
        assert!("md5:00".parse::<Digest>().is_err());
    }
}
