//! A plugin as an [`IpamDriver`]. Addresses cross as text and are read here: what is none, or not of its pool, never comes further.

use super::{
    bindings::ipam_driver as wit,
    context::Cx,
    pool::{Pool, ask, export},
};
use async_trait::async_trait;
use ipnet::IpNet;
use std::net::IpAddr;
use wharf_spi::{
    ipam::{AddressPool, IpamDriver, Lease, LeaseOwner, PoolRequest, PoolUsage},
    plugin::PluginKind as Kind,
};
use wharf_types::{Result, Timestamp};

/// Bytes of a pool's id: it is written down with every lease.
const ID_MAX: usize = 512;

pub(super) struct Ipam;

export!(Ipam, Kind::Ipam);

#[async_trait]
impl IpamDriver for Pool<Ipam> {
    fn name(&self) -> &str {
        &self.shared.name
    }

    async fn open_pool(&self, key: &str, request: &PoolRequest) -> Result<AddressPool> {
        let text = |net: Option<IpNet>| net.map(|net| net.to_string()).unwrap_or_default();
        let PoolRequest { subnet, range, ipv6, options } = request;
        let asked = wit::PoolRequest { subnet: text(*subnet), range: text(*range), ipv6: *ipv6, options: options.clone() };
        ask!(self, IpamOpenPool, call_open_pool(key, &asked), |pool, _| address_pool(pool, request))
    }

    async fn close_pool(&self, key: &str, pool: &AddressPool) -> Result<()> {
        ask!(self, IpamClosePool, call_close_pool(key, &pool.id), |(), _| Ok(()))
    }

    async fn allocate(&self, key: &str, pool: &AddressPool, owner: &LeaseOwner, preferred: Option<IpAddr>) -> Result<Lease> {
        let wanted = preferred.map(|address| address.to_string());
        ask!(self, IpamAllocate, call_allocate(key, &pool.id, &owner_of(owner), wanted.as_deref()), |lease, cx| {
            let lease = lease_from(lease, &pool.id, owner, cx)?;
            match preferred {
                _ if !pool.subnet.contains(&lease.address) => Err(format!("{} is no address of {}", lease.address, pool.subnet)),
                Some(preferred) if preferred != lease.address => Err(format!("it gave {} instead of {preferred}", lease.address)),
                _ => Ok(lease),
            }
        })
    }

    async fn release(&self, key: &str, lease: &Lease) -> Result<()> {
        ask!(self, IpamRelease, call_release(key, &lease_of(lease)), |(), _| Ok(()))
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease> {
        ask!(self, IpamRenew, call_renew(&lease_of(lease)), |new, cx| {
            let new = lease_from(new, &lease.pool, &lease.owner, cx)?;
            if new.address == lease.address { Ok(new) } else { Err(format!("it renewed {} as {}", lease.address, new.address)) }
        })
    }

    async fn usage(&self, pool: &AddressPool) -> Result<PoolUsage> {
        ask!(self, IpamUsage, call_usage(&pool.id), |usage, _| match usage {
            wit::PoolUsage { total, used } if used <= total => Ok(PoolUsage { total, used }),
            wit::PoolUsage { total, used } => Err(format!("{used} of {total} addresses are used")),
        })
    }

    async fn reconcile(&self, leases: &[Lease]) -> Result<()> {
        let leases: Vec<wit::Lease> = leases.iter().map(lease_of).collect();
        ask!(self, IpamReconcile, call_reconcile(&leases), |(), _| Ok(()))
    }
}

fn address_pool(pool: wit::Pool, request: &PoolRequest) -> Result<AddressPool, String> {
    let wit::Pool { id, subnet, gateway } = pool;
    if id.is_empty() || id.len() > ID_MAX || id.chars().any(char::is_control) {
        return Err(format!("{id:?} is no id of a pool"));
    }
    let net: IpNet = subnet.parse().ok().filter(|net: &IpNet| net.trunc() == *net).ok_or_else(|| format!("{subnet:?} is no subnet"))?;
    let v6 = |net: &IpNet| matches!(net, IpNet::V6(_));
    match request.subnet {
        Some(wanted) if wanted.trunc() != net => return Err(format!("it gave {net} instead of {wanted}")),
        None if v6(&net) != request.ipv6 => return Err(format!("{net} is of the wrong family")),
        _ => {}
    }
    let gateway = match gateway.as_str() {
        "" => None,
        text => match text.parse() {
            Ok(address) if net.contains(&address) => Some(address),
            _ => return Err(format!("{text:?} is no gateway of {net}")),
        },
    };
    Ok(AddressPool { id, subnet: net, gateway })
}

fn lease_from(lease: wit::Lease, pool: &str, owner: &LeaseOwner, cx: &Cx) -> Result<Lease, String> {
    if lease.pool != pool {
        return Err(format!("it was asked about pool {pool:?} and answered about {:?}", lease.pool));
    }
    let wit::Owner { container, endpoint, name, labels, mac } = lease.owner;
    if *owner != (LeaseOwner { container, endpoint, name, labels, mac }) {
        return Err("it gave the address to another owner".to_owned());
    }
    let address = lease.address.parse().map_err(|_| format!("{:?} is no address", lease.address))?;
    let expires = match lease.expires {
        None => None,
        Some(nanos) => match i64::try_from(nanos) {
            Ok(nanos) if nanos > cx.shared.around.clock.now().nanos() => Some(Timestamp::from_nanos(nanos)),
            _ => return Err(format!("the lease of {address} ends at {nanos} ns, which is not to come")),
        },
    };
    Ok(Lease { pool: lease.pool, address, owner: owner.clone(), expires })
}

fn owner_of(owner: &LeaseOwner) -> wit::Owner {
    let LeaseOwner { container, endpoint, name, labels, mac } = owner.clone();
    wit::Owner { container, endpoint, name, labels, mac }
}

fn lease_of(lease: &Lease) -> wit::Lease {
    wit::Lease {
        pool: lease.pool.clone(),
        address: lease.address.to_string(),
        owner: owner_of(&lease.owner),
        expires: lease.expires.and_then(|time| u64::try_from(time.nanos()).ok()),
    }
}
