//! What a container's record keeps about its place in a network.

use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv4Addr, str::FromStr};
use wharf_types::{Error, Result};

/// What a container asks of a network.
#[derive(Debug, Clone, Default)]
pub struct EndpointRequest {
    /// A hardware address; made from the IP address when absent.
    pub mac: Option<Mac>,
    /// A fixed address; the next free one when absent.
    pub address: Option<Ipv4Addr>,
}

/// One attachment of a container to a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The network, 64 hex digits.
    pub network_id: String,
    /// This attachment, 64 hex digits.
    pub endpoint_id: String,
    /// The container's address.
    pub address: Ipv4Addr,
    /// Prefix length of the network.
    pub prefix_len: u8,
    /// Where the default route points.
    pub gateway: Ipv4Addr,
    /// Hardware address of the interface in the container.
    pub mac: Mac,
    /// Name of the host's end of the pair.
    pub host_veth: String,
}

/// An Ethernet address, written `02:42:ac:11:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The locally administered address that Docker gives to an interface with this IP address.
    pub fn for_address(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = Error;

    /// Six hex pairs between `:` or `-`.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid(format!("invalid MAC address: address {text}: invalid MAC address"));
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(invalid)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| invalid())?;
        }
        if parts.next().is_none() { Ok(Self(bytes)) } else { Err(invalid()) }
    }
}

impl TryFrom<String> for Mac {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_text() {
        let mac = Mac::for_address(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!("02-42-AC-11-00-02".parse::<Mac>().unwrap(), mac);
        for bad in ["", "02:42", "02:42:ac:11:00:02:03", "2:42:ac:11:00:02", "02:42:ac:11:00:zz", "+2:42:ac:11:00:02"] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }
}
