//! Where a registry is.

use reqwest::Url;
use std::fmt;
use wharf_types::{Error, Result};

/// The host of Docker Hub's registry, which goes by other names.
const HUB: &str = "registry-1.docker.io";
/// Names of Docker Hub.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", HUB];

/// A registry as `host` or `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads what clients name a registry by: a host, a host with port, or a URL with anything after them. Nothing and
    /// Docker Hub's names mean Docker Hub.
    ///
    /// # Errors
    /// 400 for what names no host.
    pub fn parse(text: &str) -> Result<Self> {
        let rest = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if text.is_empty() || HUB_NAMES.contains(&authority) {
            return Ok(Self(HUB.to_owned()));
        }
        // It becomes part of a path, too (certs.d), and URLs drop some characters.
        let plain = authority.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c)) && !["", ".", ".."].contains(&authority);
        let url = Url::parse(&format!("https://{authority}/v2/"));
        let named = url.ok().filter(|_| plain).map(|_| Self(authority.to_owned()));
        named.ok_or_else(|| Error::invalid(format!("unable to parse server address: {text:?} names no host")))
    }

    /// Whether this is Docker Hub.
    pub fn is_hub(&self) -> bool {
        self.0 == HUB
    }

    /// `host` or `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        let port = self.0.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        let host = port.filter(|(host, _)| !host.contains(':') || host.ends_with(']')).map_or(self.0.as_str(), |(host, _)| host);
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// The root of the registry's API.
    ///
    /// # Errors
    /// None that [`Address::parse`] lets through.
    pub(crate) fn url(&self, scheme: &str) -> Result<Url> {
        let text = format!("{scheme}://{self}/v2/");
        Url::parse(&text).map_err(|e| Error::invalid(format!("invalid registry address {text:?}: {e}")))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_registries() {
        for hub in ["", "docker.io", "index.docker.io", "https://index.docker.io/v1/", "registry-1.docker.io"] {
            assert!(Address::parse(hub).unwrap().is_hub(), "{hub}");
        }
        for (text, address, host) in [
            ("localhost:5000", "localhost:5000", "localhost"),
            ("http://Registry.example/v2/", "Registry.example", "Registry.example"),
            ("https://10.0.0.1:443?x#y", "10.0.0.1:443", "10.0.0.1"),
            ("[::1]:5000", "[::1]:5000", "::1"),
            ("[::1]", "[::1]", "::1"),
        ] {
            let read = Address::parse(text).unwrap();
            assert_eq!((read.as_str(), read.host(), read.is_hub()), (address, host, false));
            assert_eq!(read.url("http").unwrap().path(), "/v2/");
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in ["https://", "/v2/", "a b", "host:port", "host:99999", "u:p@host", "..", "https://../x", "[::1"] {
            assert_eq!(Address::parse(text).unwrap_err().kind(), wharf_types::ErrorKind::InvalidParameter, "{text}");
        }
    }
}
