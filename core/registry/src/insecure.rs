//! Registries that may go without TLS or with a certificate that nobody vouches for: those of this host, and those of the option
//! `insecure-registries`.

use crate::Address;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wharf_types::{Error, Result};

/// The value of the option `insecure-registries`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Insecure {
    given: Vec<String>,
    names: Vec<String>,
    networks: Vec<IpNet>,
}

impl Insecure {
    /// Reads hosts, hosts with ports, and networks in CIDR notation.
    ///
    /// # Errors
    /// 400, naming the entry.
    pub fn parse(given: Vec<String>) -> Result<Self> {
        let (mut names, mut networks) = (Vec::new(), Vec::new());
        for entry in &given {
            // dockerd takes URLs, too.
            let lower = entry.to_ascii_lowercase();
            let scheme = ["http://", "https://"].iter().find(|scheme| lower.starts_with(**scheme)).map_or(0, |scheme| scheme.len());
            let entry = entry.get(scheme..).unwrap_or_default();
            if entry.contains("://") {
                return Err(Error::invalid(format!("insecure registry {entry} should not contain '://'")));
            }
            if let Ok(network) = entry.parse::<IpNet>() {
                networks.push(network.trunc());
            } else if is_host(entry) {
                names.push(entry.to_owned());
            } else {
                return Err(Error::invalid(format!("insecure registry {entry} is not valid: invalid host {entry:?}")));
            }
        }
        networks.extend([IpNet::V6(Ipv6Net::from(Ipv6Addr::LOCALHOST)), IpNet::V4(LOOPBACK)]);
        let mut seen = std::collections::HashSet::new();
        networks.retain(|network| seen.insert(*network));
        Ok(Self { given, names, networks })
    }

    /// The entries as they were given.
    pub fn given(&self) -> &[String] {
        &self.given
    }

    /// The hosts among them, each with its port when it has one.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The networks among them, then this host's own.
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// Whether this registry is one: by name, or because its address, looked up if need be, is in a network.
    pub(crate) async fn covers(&self, registry: &Address) -> bool {
        if registry.is_hub() {
            return false;
        }
        if self.names.iter().any(|name| name == registry.as_str()) {
            return true;
        }
        let within = |ip: IpAddr| self.networks.iter().any(|network| network.contains(&ip.to_canonical()));
        match registry.host().parse() {
            Ok(ip) => within(ip),
            Err(_) => tokio::net::lookup_host((registry.host(), 0)).await.is_ok_and(|mut found| found.any(|a| within(a.ip()))),
        }
    }
}

const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

/// A host name or an IP address, with or without a port.
fn is_host(entry: &str) -> bool {
    let edge = |c: char| c == '-' || c == '.';
    let name = |host: &str| !host.is_empty() && !host.contains(':') && !host.starts_with(edge) && !host.ends_with(edge);
    let address = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let named =
        || Address::parse(entry).is_ok_and(|read| read.is_hub() || read.as_str() == entry && (address(read.host()) || name(read.host())));
    address(entry) || (!entry.is_empty() && named())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[&str]) -> Result<Insecure> {
        Insecure::parse(entries.iter().map(|e| (*e).to_owned()).collect())
    }

    #[test]
    fn entries() {
        let read =
            parse(&["reg.example:5000", "10.1.2.3/8", "HTTP://other", "127.0.0.0/8", "10.0.0.0/8", "::1", "[fd00::1]:5000"]).unwrap();
        assert_eq!(read.names(), ["reg.example:5000", "other", "::1", "[fd00::1]:5000"]);
        let networks: Vec<_> = read.networks().iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "127.0.0.0/8", "::1/128"]);
        assert_eq!(read.given().len(), 7);
    }

    #[test]
    fn entries_that_name_nothing() {
        let text = |entry: &str| parse(&[entry]).unwrap_err().message().to_owned();
        assert_eq!(text("ftp://a"), "insecure registry ftp://a should not contain '://'");
        for entry in ["", "-a", "a-", "a b", "a/b", "a:port", "10.0.0.0/33", "http://"] {
            assert!(text(entry).ends_with(&format!("invalid host {:?}", entry.trim_start_matches("http://"))), "{entry}");
        }
    }

    #[tokio::test]
    async fn what_is_covered() {
        let covers = async |list: &[&str], name: &str| parse(list).unwrap().covers(&Address::parse(name).unwrap()).await;
        for local in ["127.0.0.1", "127.9.9.9:5000", "localhost:5000", "[::1]:5000", "[::ffff:127.0.0.1]"] {
            assert!(covers(&[], local).await, "{local}");
        }
        assert!(!covers(&[], "10.1.1.1").await);
        assert!(covers(&["10.0.0.0/8"], "10.1.1.1:80").await);
        // A name stands for itself alone, its port included.
        assert!(covers(&["10.1.1.1:80"], "10.1.1.1:80").await);
        assert!(!covers(&["10.1.1.1"], "10.1.1.1:80").await);
        assert!(!covers(&["docker.io", "0.0.0.0/0"], "").await);
    }
}
