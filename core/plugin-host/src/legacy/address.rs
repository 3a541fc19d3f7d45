//! Where a plugin is: what `.spec` and `.json` files say.

use serde::Deserialize;
use std::path::{Path, PathBuf};
use wharf_types::{Error, Result};

/// The end of a plugin that calls go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// The socket of a process that the engine runs. The process owns the directory: a link there is not followed.
    Own(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// A shared library (`native:///path`), which Docker does not have.
    Native(PathBuf),
}

/// Where a plugin is, and how its connection is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where.
    pub endpoint: Endpoint,
    /// TLS, when there is any.
    pub tls: Option<TlsFiles>,
}

/// `TLSConfig` of a `.json` file. A key that is not known is refused rather than taken for less security than was meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsFiles {
    /// Do not verify the plugin's certificate.
    #[serde(rename = "InsecureSkipVerify")]
    pub insecure_skip_verify: bool,
    /// PEM file of the authorities that are believed. Without one a `.json` file means that none needs to be, as in Docker.
    #[serde(rename = "CAFile")]
    pub ca: PathBuf,
    /// PEM file of the certificate that is shown to the plugin.
    #[serde(rename = "CertFile")]
    pub cert: PathBuf,
    /// PEM file of its key.
    #[serde(rename = "KeyFile")]
    pub key: PathBuf,
}

/// A `.json` file. Its `Name` means nothing: a plugin is called what its file is called.
#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "Addr")]
    addr: String,
    #[serde(rename = "TLSConfig")]
    tls: Option<TlsFiles>,
}

impl Address {
    /// A unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { endpoint: Endpoint::Unix(path.into()), tls: None }
    }

    /// Reads the one line of a `.spec` file, a URL. Of `http` and `https` URLs only host and port count, as in Docker.
    ///
    /// # Errors
    /// 400 for a URL without or with an unknown scheme, or without what its scheme needs.
    pub fn parse(url: &str) -> Result<Self> {
        let url = url.trim();
        let invalid = |why: &str| Error::invalid(format!("invalid plugin address {url:?}: {why}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("Unknown protocol"))?;
        let path = || Some(PathBuf::from(rest)).filter(|p| p.is_absolute()).ok_or_else(|| invalid("the path is not absolute"));
        let host = |port: u16| {
            let host = rest.split_once('/').map_or(rest, |(host, _)| host);
            let authority: ::http::uri::Authority = host.parse().map_err(|_| invalid("no host"))?;
            if authority.host().is_empty() || host.contains('@') {
                return Err(invalid("no host"));
            }
            let port = authority.port_u16().unwrap_or(port);
            Ok(Endpoint::Tcp(format!("{}:{port}", authority.host())))
        };
        let (endpoint, tls) = match scheme {
            "unix" => (Endpoint::Unix(path()?), None),
            "native" => (Endpoint::Native(path()?), None),
            "tcp" | "http" => (host(80)?, None),
            "https" => (host(443)?, Some(TlsFiles::default())),
            _ => return Err(invalid("Unknown protocol")),
        };
        Ok(Self { endpoint, tls })
    }

    /// Reads a `.json` file. `TLSConfig` means TLS whatever the scheme is; Docker takes it for `https` only and is silent about that.
    ///
    /// # Errors
    /// 400 for what cannot be read or means nothing.
    pub fn parse_json(text: &[u8]) -> Result<Self> {
        let spec: Spec = serde_json::from_slice(text).map_err(|e| Error::invalid(format!("invalid plugin description: {e}")))?;
        let mut address = Self::parse(&spec.addr)?;
        if let Some(mut tls) = spec.tls {
            if !matches!(address.endpoint, Endpoint::Tcp(_)) {
                return Err(Error::invalid(format!("invalid plugin description: TLSConfig is for tcp addresses, not for {}", spec.addr)));
            }
            tls.insecure_skip_verify |= tls.ca == Path::new("");
            address.tls = Some(tls);
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let end = |url: &str| Address::parse(url).map(|a| (a.endpoint, a.tls.is_some())).map_err(|e| e.message().to_owned());
        let tcp = |to: &str| Endpoint::Tcp(to.to_owned());
        assert_eq!(end(" unix:///run/x.sock\n"), Ok((Endpoint::Unix("/run/x.sock".into()), false)));
        assert_eq!(end("tcp://localhost:8080"), Ok((tcp("localhost:8080"), false)));
        assert_eq!(end("https://example.com/docker/plugin"), Ok((tcp("example.com:443"), true)));
        assert_eq!(end("tcp://[::1]:99"), Ok((tcp("[::1]:99"), false)));
        assert_eq!(end("native:///usr/lib/a.so"), Ok((Endpoint::Native("/usr/lib/a.so".into()), false)));
        for bad in ["/run/x.sock", "ftp://x", "unix://x.sock", "tcp://", "tcp://:80", "tcp://u@h:1", "native://x", ""] {
            assert!(end(bad).is_err(), "{bad}");
        }
        assert_eq!(end("x"), Err("invalid plugin address \"x\": Unknown protocol".to_owned()));
    }

    #[test]
    fn json() {
        let tls = |text: &str| Address::parse_json(text.as_bytes()).unwrap().tls;
        assert_eq!(tls(r#"{"Name": "x", "Addr": "unix:///x"}"#), None);
        let skips = tls(r#"{"Addr": "tcp://h:1", "TLSConfig": {}}"#).unwrap();
        assert!(skips.insecure_skip_verify);
        let verifies = tls(r#"{"Addr": "tcp://h:1", "TLSConfig": {"InsecureSkipVerify": false, "CAFile": "/ca"}}"#).unwrap();
        assert!(!verifies.insecure_skip_verify);
        for bad in [r#"{"Addr": "tcp://h:1", "TLSConfig": {"cafile": "/ca"}}"#, r#"{"Addr": "unix:///x", "TLSConfig": {}}"#, "{}", "["] {
            assert!(Address::parse_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
