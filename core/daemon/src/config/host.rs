//! Addresses that the API is served on, as `-H` writes them.

use std::{fmt, path::PathBuf};
use wharf_types::{Error, Result};

/// Where the API is served when nothing is said.
pub const DEFAULT_SOCKET: &str = "/run/wharf.sock";
/// The ports that Docker's clients try first: without and with TLS.
const DEFAULT_PORTS: (u16, u16) = (2375, 2376);

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A unix socket.
    Unix(PathBuf),
    /// A host name or address (IPv6 without brackets) and a port.
    Tcp(String, u16),
    /// Sockets that the service manager opened: all of them, or the one with this descriptor number.
    Fd(Option<u32>),
}

impl Host {
    /// Reads an address; `tls` decides the port of a TCP address that names none.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`], with the text.
    pub fn parse(text: &str, tls: bool) -> Result<Self> {
        let port = if tls { DEFAULT_PORTS.1 } else { DEFAULT_PORTS.0 };
        let invalid = || Error::invalid(format!("invalid bind address format: {text}"));
        match text.split_once("://") {
            _ if text.is_empty() => Ok(Self::Unix(DEFAULT_SOCKET.into())),
            Some(("unix", "")) => Ok(Self::Unix(DEFAULT_SOCKET.into())),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => tcp(address, port).ok_or_else(invalid),
            Some(("fd", "" | "*")) => Ok(Self::Fd(None)),
            Some(("fd", number)) => number.parse().map(|fd| Self::Fd(Some(fd))).map_err(|_| invalid()),
            Some((scheme @ ("npipe" | "ssh"), _)) => {
                Err(Error::invalid(format!("the option \"hosts\" with {scheme}:// is not supported by this version of wharfd: {text}")))
            }
            Some(_) => Err(invalid()),
            None => tcp(text, port).ok_or_else(invalid),
        }
    }
}

/// `host`, `host:port`, `:port` or `[v6]:port`; a missing host is the loopback one, never all of them.
fn tcp(address: &str, default_port: u16) -> Option<Host> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => default_port,
    };
    let named = !host.contains(['/', ' ']) && (address.starts_with('[') || !host.contains(':'));
    named.then(|| Host::Tcp(if host.is_empty() { "127.0.0.1".into() } else { host.into() }, port))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Fd(None) => f.write_str("fd://"),
            Self::Fd(Some(fd)) => write!(f, "fd://{fd}"),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("", "unix:///run/wharf.sock"),
            ("unix://", "unix:///run/wharf.sock"),
            ("unix:///tmp/a b.sock", "unix:///tmp/a b.sock"),
            ("tcp://", "tcp://127.0.0.1:2375"),
            ("tcp://:80", "tcp://127.0.0.1:80"),
            ("tcp://0.0.0.0:80", "tcp://0.0.0.0:80"),
            ("tcp://example.org", "tcp://example.org:2375"),
            ("tcp://[::1]:80", "tcp://[::1]:80"),
            ("localhost:80", "tcp://localhost:80"),
            ("fd://", "fd://"),
            ("fd://*", "fd://"),
            ("fd://3", "fd://3"),
        ] {
            assert_eq!(Host::parse(text, false).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Host::parse("tcp://example.org", true).unwrap().to_string(), "tcp://example.org:2376");
    }

    #[test]
    fn refusals_repeat_the_address() {
        for text in [
            "unix://a",
            "tcp://a:b",
            "tcp://a:99999",
            "tcp://::1:80",
            "tcp://[::1",
            "tcp://a/b",
            "http://a",
            "/run/x.sock",
            "fd://name",
            "npipe:////./pipe/x",
        ] {
            let e = Host::parse(text, false).unwrap_err();
            assert!(e.message().ends_with(text), "{}", e.message());
        }
    }
}
