//! IPAM drivers: what the engine writes down of their pools and leases is remembered here.

use super::{Keyed, Keys, Pairs, done, object};
use ipnet::IpNet;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr};
use wharf_spi::ipam::{AddressPool, IpamDriver, Lease, LeaseOwner, PoolRequest, PoolUsage};
use wharf_types::{Error, Result, Timestamp};

/// A function of `wharf:ipam/driver`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ipam {
    /// Addresses for a network.
    OpenPool(Keyed<Wanted>),
    /// The network is gone.
    ClosePool(Keyed<Which>),
    /// An address.
    Allocate(Keyed<Allocation>),
    /// It is free again.
    Release(Keyed<Used>),
    /// Half of its time is over.
    Renew(Used),
    /// How full a pool is.
    Usage(Which),
    /// All leases that are in use.
    Reconcile(Vec<Used>),
}

/// A pool that is to be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    subnet: Option<IpNet>,
    range: Option<IpNet>,
    ipv6: bool,
    options: Pairs,
}

/// A pool that was opened, by its id.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    pool: String,
}

/// Who wants an address, and from where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    pool: String,
    #[serde(default)]
    owner: Owner,
    #[serde(default)]
    preferred: Option<IpAddr>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Owner {
    container: String,
    endpoint: String,
    name: String,
    labels: Pairs,
    mac: String,
}

/// A lease: what is left out is as it was given last.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    pool: String,
    address: IpAddr,
    #[serde(default)]
    owner: Option<Owner>,
    #[serde(default)]
    expires: Option<Timestamp>,
}

impl From<Owner> for LeaseOwner {
    fn from(owner: Owner) -> Self {
        let Owner { container, endpoint, name, labels, mac } = owner;
        Self { container, endpoint, name, labels: labels.into(), mac }
    }
}

/// What the driver gave.
#[derive(Default)]
pub struct Given {
    pools: BTreeMap<String, AddressPool>,
    leases: BTreeMap<(String, IpAddr), Lease>,
}

impl Given {
    /// What the driver answers.
    pub async fn call(&mut self, driver: &dyn IpamDriver, call: Ipam, keys: &mut Keys) -> Result<Value> {
        Ok(match call {
            Ipam::OpenPool(call) => {
                let (key, Wanted { subnet, range, ipv6, options }) = keys.of(call);
                let pool = driver.open_pool(&key, &PoolRequest { subnet, range, ipv6, options: options.into() }).await?;
                self.pools.insert(pool.id.clone(), pool.clone());
                json!({"id": pool.id, "subnet": pool.subnet, "gateway": pool.gateway})
            }
            Ipam::ClosePool(call) => {
                let (key, which) = keys.of(call);
                driver.close_pool(&key, self.pool(&which.pool)?).await?;
                self.pools.remove(&which.pool);
                done()
            }
            Ipam::Allocate(call) => {
                let (key, Allocation { pool, owner, preferred }) = keys.of(call);
                let lease = driver.allocate(&key, self.pool(&pool)?, &owner.into(), preferred).await?;
                self.keep(lease)
            }
            Ipam::Release(call) => {
                let (key, used) = keys.of(call);
                let lease = self.lease(used);
                driver.release(&key, &lease).await?;
                self.leases.remove(&(lease.pool, lease.address));
                done()
            }
            Ipam::Renew(used) => {
                let lease = driver.renew(&self.lease(used)).await?;
                self.keep(lease)
            }
            Ipam::Usage(which) => {
                let PoolUsage { total, used } = driver.usage(self.pool(&which.pool)?).await?;
                json!({"total": total, "used": used})
            }
            Ipam::Reconcile(all) => {
                let all: Vec<Lease> = all.into_iter().map(|used| self.lease(used)).collect();
                driver.reconcile(&all).await?;
                done()
            }
        })
    }

    fn pool(&self, id: &str) -> Result<&AddressPool> {
        self.pools.get(id).ok_or_else(|| Error::not_found(format!("no pool {id:?} was opened")))
    }

    fn lease(&self, Used { pool, address, owner, expires }: Used) -> Lease {
        let given = self.leases.get(&(pool.clone(), address));
        let owner = owner.map(Into::into).or_else(|| Some(given?.owner.clone())).unwrap_or_default();
        Lease { pool, address, owner, expires: expires.or_else(|| given?.expires) }
    }

    fn keep(&mut self, lease: Lease) -> Value {
        let LeaseOwner { container, endpoint, name, labels, mac } = lease.owner.clone();
        let owner = json!({"container": container, "endpoint": endpoint, "name": name, "labels": object(labels), "mac": mac});
        let shown = json!({"pool": lease.pool, "address": lease.address, "owner": owner, "expires": lease.expires});
        self.leases.insert((lease.pool.clone(), lease.address), lease);
        shown
    }
}
