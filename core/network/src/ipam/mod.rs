//! Who has which address. The leases live in memory only: at boot they are taken again from the records of the containers.

mod pool;

pub use pool::Pool;

use std::net::Ipv4Addr;
use wharf_types::Result;

/// Hands out the addresses of one network.
pub trait Ipam: Send + Sync {
    /// Leases `wanted`, or the next free address, to `holder`. A holder may ask again for the address that it has.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::Unavailable`] when none is left, [`wharf_types::ErrorKind::InvalidParameter`] when `wanted` cannot be
    /// in this network, [`wharf_types::ErrorKind::Forbidden`] when another holder has it.
    fn lease(&self, holder: &str, wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr>;

    /// Ends a lease. Does nothing when `holder` does not have the address (any more).
    fn release(&self, holder: &str, address: Ipv4Addr);
}
