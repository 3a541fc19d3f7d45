//! What a bridge network remembers between runs of the daemon.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use wharf_types::{Error, Result};

/// Name of the document in the state directory.
pub(super) const FILE: &str = "bridge.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// 64 hex digits.
    pub network_id: String,
    /// The bridge's own address with the subnet's prefix length.
    pub address: Ipv4Net,
}

/// `N` random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::system(format!("random source: {e}")))?;
    Ok(bytes)
}

/// A network's or an endpoint's id: 64 hex digits.
pub(super) fn random_id() -> Result<String> {
    random::<32>().map(hex::encode)
}
