//! The packet filter: which rules a bridge needs ([`Ruleset`], pure) and who installs them ([`Firewall`]; built in: [`Nft`]).

mod nft;

pub use nft::Nft;

use ipnet::Ipv4Net;
use wharf_types::Result;

/// Everything that a bridge network asks of the host's packet filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// Name of the bridge, and of the table that holds the rules.
    pub bridge: String,
    /// The network's subnet.
    pub subnet: Ipv4Net,
    /// Whether packets that leave by another interface get the host's address.
    pub masquerade: bool,
    /// Whether containers on the bridge may talk to each other.
    pub icc: bool,
}

/// Installs rules. Both functions block.
pub trait Firewall: Send + Sync {
    /// Replaces all rules of this bridge at once: packets see the old ones or the new ones.
    ///
    /// # Errors
    /// When the host cannot do it; the old rules stay.
    fn apply(&self, rules: &Ruleset) -> Result<()>;

    /// Removes all rules of `bridge`, if there are any.
    ///
    /// # Errors
    /// When the host cannot do it.
    fn clear(&self, bridge: &str) -> Result<()>;
}
