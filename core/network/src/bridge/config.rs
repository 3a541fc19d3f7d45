//! The options of the default bridge and the choice of its address.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use wharf_types::{Error, Result};

/// The default bridge as the daemon's options describe it.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The interface, `wharf0`. Also the name of its firewall table.
    pub name: String,
    /// `--bip`: the bridge's own address with the prefix length of its subnet.
    pub subnet: Option<Ipv4Net>,
    /// `--fixed-cidr`: the part of the subnet that containers get addresses from.
    pub fixed_cidr: Option<Ipv4Net>,
    /// `--default-gateway`: where containers send what leaves the subnet, instead of the bridge.
    pub default_gateway: Option<Ipv4Addr>,
    /// `--mtu` of the bridge and of its containers' interfaces, in bytes.
    pub mtu: u32,
    /// `--ip-masq`: packets of containers leave the host with its address.
    pub ip_masq: bool,
    /// `--icc`: containers may talk to each other.
    pub icc: bool,
    /// `--ip-forward`: turn on the kernel's `net.ipv4.ip_forward`.
    pub ip_forward: bool,
    /// `--iptables`: install firewall rules at all.
    pub firewall: bool,
    /// `--default-address-pool`s: a base and the prefix length of the subnets cut from it. Docker's own ones when empty.
    pub pools: Vec<(Ipv4Net, u8)>,
}

/// What the host tells about addresses before the bridge gets its own.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The address of an existing bridge.
    pub current: Option<Ipv4Net>,
    /// The address of the last run.
    pub previous: Option<Ipv4Net>,
    /// Networks that the host reaches by other interfaces.
    pub occupied: Vec<Ipv4Net>,
}

/// Docker's pools for local networks: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in sixteen parts.
fn docker_pools() -> Vec<(Ipv4Net, u8)> {
    let mut pools: Vec<_> = (17..=31).map(|second| (Ipv4Net::new_assert(Ipv4Addr::new(172, second, 0, 0), 16), 16)).collect();
    pools.push((Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16), 20));
    pools
}

impl BridgeConfig {
    /// The bridge's address: as configured, or as it is, or as it was, or from the first pool that no other network overlaps.
    pub(super) fn choose_address(&self, host: &Surroundings) -> Result<Ipv4Net> {
        let free = |net: &Ipv4Net| !host.occupied.iter().any(|o| o.contains(&net.network()) || net.contains(&o.network()));
        let address = match (self.subnet, host.current, self.fixed_cidr) {
            (Some(configured), ..) => configured,
            (None, Some(current), _) => current,
            (None, None, Some(part)) => first_host(part)?,
            (None, None, None) => match host.previous.filter(free) {
                Some(previous) => previous,
                None => first_host(self.first_pool(free)?)?,
            },
        };
        self.validate(address)?;
        Ok(address)
    }

    fn first_pool(&self, free: impl Fn(&Ipv4Net) -> bool) -> Result<Ipv4Net> {
        let pools = if self.pools.is_empty() { docker_pools() } else { self.pools.clone() };
        for (base, size) in pools {
            let subnets =
                base.subnets(size).map_err(|_| Error::invalid(format!("default address pool {base}: no subnets of size {size} in it")))?;
            if let Some(found) = subnets.into_iter().find(&free) {
                return Ok(found);
            }
        }
        Err(Error::invalid("all predefined address pools have been fully subnetted"))
    }

    fn validate(&self, address: Ipv4Net) -> Result<()> {
        let subnet = address.trunc();
        if address.addr() == subnet.network() || (address.addr() == subnet.broadcast() && subnet.prefix_len() < 31) {
            return Err(Error::invalid(format!("bridge {}: {address} is not an address of a host", self.name)));
        }
        if let Some(part) = self.fixed_cidr.filter(|part| !subnet.contains(part)) {
            return Err(Error::invalid(format!("bridge {}: fixed-cidr {part} is not in the subnet {subnet}", self.name)));
        }
        if let Some(gateway) = self.default_gateway.filter(|g| !subnet.contains(g)) {
            return Err(Error::invalid(format!("bridge {}: default gateway {gateway} is not in the subnet {subnet}", self.name)));
        }
        Ok(())
    }
}

/// The first address that a host can have in `net`, with the prefix length.
fn first_host(net: Ipv4Net) -> Result<Ipv4Net> {
    let first = net.hosts().next().ok_or_else(|| Error::invalid(format!("no address for a host in {net}")))?;
    Ipv4Net::new(first, net.prefix_len()).map_err(|e| Error::invalid(format!("{net}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn config() -> BridgeConfig {
        super::super::tests::config("wharf0")
    }

    #[test]
    fn the_order_of_choice() {
        let mut host = Surroundings::default();
        assert_eq!(config().choose_address(&host).unwrap(), net("172.17.0.1/16"));
        host.occupied = vec![net("172.17.5.0/24"), net("172.18.0.0/15"), net("10.0.0.0/8")];
        assert_eq!(config().choose_address(&host).unwrap(), net("172.20.0.1/16"));
        host.previous = Some(net("172.25.0.1/16"));
        assert_eq!(config().choose_address(&host).unwrap(), net("172.25.0.1/16"));
        host.previous = Some(net("10.3.0.1/16"));
        assert_eq!(config().choose_address(&host).unwrap(), net("172.20.0.1/16"), "a new network took the old choice");
        host.current = Some(net("10.9.0.7/24"));
        assert_eq!(config().choose_address(&host).unwrap(), net("10.9.0.7/24"));
        let configured = BridgeConfig { subnet: Some(net("10.8.0.1/24")), ..config() };
        assert_eq!(configured.choose_address(&host).unwrap(), net("10.8.0.1/24"));
    }

    #[test]
    fn all_pools_taken() {
        let host = Surroundings { occupied: vec![net("172.16.0.0/12"), net("192.168.0.0/17")], ..Surroundings::default() };
        assert_eq!(config().choose_address(&host).unwrap(), net("192.168.128.1/20"));
        let host = Surroundings { occupied: vec![net("172.16.0.0/12"), net("192.168.0.0/16")], ..Surroundings::default() };
        let e = config().choose_address(&host).unwrap_err();
        assert_eq!(e.message(), "all predefined address pools have been fully subnetted");
        let own = BridgeConfig { pools: vec![(net("10.0.0.0/8"), 24)], ..config() };
        assert_eq!(own.choose_address(&host).unwrap(), net("10.0.0.1/24"));
    }

    #[test]
    fn contradictions_are_refused() {
        let host = Surroundings::default();
        let bip = Some(net("10.8.0.1/24"));
        for bad in [
            BridgeConfig { subnet: Some(net("10.8.0.0/24")), ..config() },
            BridgeConfig { subnet: bip, fixed_cidr: Some(net("10.9.0.0/25")), ..config() },
            BridgeConfig { subnet: bip, default_gateway: Some(Ipv4Addr::new(10, 9, 0, 1)), ..config() },
        ] {
            assert!(bad.choose_address(&host).is_err(), "{bad:?}");
        }
        let part = BridgeConfig { fixed_cidr: Some(net("10.9.0.0/25")), ..config() };
        assert_eq!(part.choose_address(&host).unwrap(), net("10.9.0.1/25"));
    }
}
