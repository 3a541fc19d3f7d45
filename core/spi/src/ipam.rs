//! Address management: which addresses networks and their endpoints have. The shapes are those of the WIT package `wharf:ipam`.
//!
//! The engine writes every lease down, with its owner, before it is used, and never uses one that it could not write down. Every
//! call may come again, with the same key, and then means the same.
//!
//! This is the interface of drivers that know pools and may be far away. The allocator of one network that is compiled in, in
//! memory and at hand, is `wharf_network::ipam`: a network has either.

use async_trait::async_trait;
use ipnet::IpNet;
use std::net::IpAddr;
use wharf_types::{Result, Timestamp};

/// What a network needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolRequest {
    /// As `--subnet`; none for one of the driver's choice.
    pub subnet: Option<IpNet>,
    /// As `--ip-range`; none for all of it.
    pub range: Option<IpNet>,
    /// Of which family, where no subnet tells.
    pub ipv6: bool,
    /// As `--ipam-opt`.
    pub options: Vec<(String, String)>,
}

/// The addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The driver's own.
    pub id: String,
    /// All of them.
    pub subnet: IpNet,
    /// None for the first address.
    pub gateway: Option<IpAddr>,
}

/// Who has an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseOwner {
    /// The id of a container; empty for what belongs to the network itself, such as its gateway.
    pub container: String,
    /// The id of the endpoint.
    pub endpoint: String,
    /// The container's name.
    pub name: String,
    /// The container's labels.
    pub labels: Vec<(String, String)>,
    /// As `02:42:ac:11:00:02`; empty when it has none yet.
    pub mac: String,
}

/// An address in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// [`AddressPool::id`].
    pub pool: String,
    /// The address.
    pub address: IpAddr,
    /// Who has it.
    pub owner: LeaseOwner,
    /// The engine calls [`IpamDriver::renew`] at half of the time. None for ever.
    pub expires: Option<Timestamp>,
}

/// How full a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// Addresses.
    pub total: u64,
    /// Addresses that somebody has; not more than there are.
    pub used: u64,
}

/// Gives addresses to networks and endpoints.
///
/// After an error the engine has no address, and no endpoint. [`wharf_types::ErrorKind::Unavailable`] when there was no answer at all.
///
/// ```
/// use wharf_spi::ipam::*;
/// use wharf_types::{Error, Result};
///
/// /// Everybody gets what they ask for.
/// struct Trusting;
///
/// #[async_trait::async_trait]
/// impl IpamDriver for Trusting {
///     fn name(&self) -> &str {
///         "trusting"
///     }
///     async fn open_pool(&self, _: &str, request: &PoolRequest) -> Result<AddressPool> {
///         let subnet = request.subnet.ok_or_else(|| Error::invalid("trusting needs a subnet"))?;
///         Ok(AddressPool { id: subnet.to_string(), subnet, gateway: None })
///     }
///     async fn close_pool(&self, _: &str, _: &AddressPool) -> Result<()> {
///         Ok(())
///     }
///     async fn allocate(&self, _: &str, pool: &AddressPool, owner: &LeaseOwner, preferred: Option<std::net::IpAddr>) -> Result<Lease> {
///         let address = preferred.ok_or_else(|| Error::invalid("trusting needs --ip"))?;
///         Ok(Lease { pool: pool.id.clone(), address, owner: owner.clone(), expires: None })
///     }
///     async fn release(&self, _: &str, _: &Lease) -> Result<()> {
///         Ok(())
///     }
///     async fn renew(&self, lease: &Lease) -> Result<Lease> {
///         Ok(lease.clone())
///     }
///     async fn usage(&self, _: &AddressPool) -> Result<PoolUsage> {
///         Err(Error::not_implemented("trusting does not count"))
///     }
///     async fn reconcile(&self, _: &[Lease]) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait IpamDriver: Send + Sync {
    /// As `--ipam-driver` has it.
    fn name(&self) -> &str;

    /// Addresses for a network: of the subnet that was asked for, or another one of that family.
    async fn open_pool(&self, key: &str, request: &PoolRequest) -> Result<AddressPool>;

    /// The network is gone.
    async fn close_pool(&self, key: &str, pool: &AddressPool) -> Result<()>;

    /// An address of the pool. `preferred` is what the user asked for (`--ip`): it is that one or an error.
    async fn allocate(&self, key: &str, pool: &AddressPool, owner: &LeaseOwner, preferred: Option<IpAddr>) -> Result<Lease>;

    /// The address is free again.
    async fn release(&self, key: &str, lease: &Lease) -> Result<()>;

    /// The lease with its new time; an error ends it.
    async fn renew(&self, lease: &Lease) -> Result<Lease>;

    /// How full a pool is.
    async fn usage(&self, pool: &AddressPool) -> Result<PoolUsage>;

    /// All leases that are in use, at start and on demand: others may be given away again.
    async fn reconcile(&self, leases: &[Lease]) -> Result<()>;
}
