//! Gives the addresses of an IPv4 network one after the other. Who has which is in the plugin's state: it survives every restart, and
//! a call that comes again gives the same answer.

use std::net::Ipv4Addr;
use wharf_plugin::{
    Plugin, export_ipam_driver,
    host::state::{self, Changes},
    ipam::{IpamDriver, Lease, Owner, Pool, PoolRequest, PoolUsage},
};

struct Sequence;

/// A network: its first address, and the length of its prefix.
struct Net(u32, u32);

impl Net {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} is not the subnet of an IPv4 network with 8 addresses or more, like 10.1.0.0/24");
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let (address, prefix) = (address.parse::<Ipv4Addr>().map_err(|_| bad())?, prefix.parse().map_err(|_| bad())?);
        let net = Self(u32::from(address), prefix);
        if (8..=29).contains(&prefix) && net.0 & (net.size() - 1) == 0 { Ok(net) } else { Err(bad()) }
    }

    fn size(&self) -> u32 {
        1 << (32 - self.1)
    }

    /// All but the network's own address, the gateway's (the first) and the one for all.
    fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        (self.0 + 2..self.0 + self.size() - 1).map(Ipv4Addr::from)
    }
}

fn key(pool: &str, address: &str) -> String {
    format!("lease/{pool}/{address}")
}

/// The endpoint, and what belongs to the network itself by its key.
fn holder(owner: &Owner, key: &str) -> Vec<u8> {
    if owner.endpoint.is_empty() { key } else { &owner.endpoint }.as_bytes().to_vec()
}

impl Plugin for Sequence {
    fn start() -> Result<Self, String> {
        Ok(Self)
    }
}

impl IpamDriver for Sequence {
    fn open_pool(&mut self, _key: &str, request: &PoolRequest) -> Result<Pool, String> {
        Net::parse(&request.subnet)?;
        if !request.range.is_empty() || !request.options.is_empty() {
            return Err("this driver has no ranges and no options".to_owned());
        }
        Ok(Pool { id: request.subnet.clone(), subnet: request.subnet.clone(), gateway: String::new() })
    }

    fn close_pool(&mut self, _key: &str, pool: &str) -> Result<(), String> {
        let mut changes = Changes::new();
        for entry in state::entries(&key(pool, "")) {
            changes = changes.delete(&entry?.key);
        }
        Ok(changes.commit()?)
    }

    fn allocate(&mut self, call: &str, pool: &str, owner: &Owner, preferred: Option<&str>) -> Result<Lease, String> {
        let lease = |address: String| Lease { pool: pool.to_owned(), address, owner: owner.clone(), expires: None };
        let holder = holder(owner, call);
        for entry in state::entries(&key(pool, "")) {
            let entry = entry?;
            let address = entry.key.rsplit('/').next().unwrap_or_default();
            if entry.value == holder && preferred.is_none_or(|preferred| preferred == address) {
                return Ok(lease(address.to_owned()));
            }
        }
        let wanted = |address: &Ipv4Addr| preferred.is_none_or(|preferred| preferred == address.to_string());
        for address in Net::parse(pool)?.addresses().filter(wanted) {
            let key = key(pool, &address.to_string());
            match Changes::new().expect(&key, None).put(&key, &holder).commit() {
                Ok(()) => return Ok(lease(address.to_string())),
                Err(state::Failure::Conflict(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        Err(preferred.map_or_else(|| format!("{pool} has no free address"), |address| format!("{address} is not free")))
    }

    fn release(&mut self, _key: &str, lease: &Lease) -> Result<(), String> {
        Ok(state::delete(&key(&lease.pool, &lease.address))?)
    }

    fn usage(&mut self, pool: &str) -> Result<PoolUsage, String> {
        let used = state::entries(&key(pool, "")).collect::<Result<Vec<_>, _>>()?.len() as u64;
        Ok(PoolUsage { total: u64::from(Net::parse(pool)?.size() - 3), used })
    }

    fn reconcile(&mut self, leases: &[Lease]) -> Result<(), String> {
        let used: Vec<String> = leases.iter().map(|lease| key(&lease.pool, &lease.address)).collect();
        let mut changes = Changes::new();
        for entry in state::entries("lease/") {
            let entry = entry?;
            if !used.contains(&entry.key) {
                changes = changes.delete(&entry.key);
            }
        }
        for (lease, key) in leases.iter().zip(&used) {
            changes = changes.put(key, &holder(&lease.owner, key));
        }
        Ok(changes.commit()?)
    }
}

export_ipam_driver!(Sequence);
