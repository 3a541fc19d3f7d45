//! The built-in allocator: the next free address after the last one given, so that an address rests before it is used again.

use super::Ipam;
use ipnet::Ipv4Net;
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
};
use wharf_types::{Error, Result};

/// The addresses of one subnet.
pub struct Pool {
    network: String,
    subnet: Ipv4Net,
    /// Where unasked-for addresses come from: the subnet or a part of it.
    range: Ipv4Net,
    reserved: Vec<Ipv4Addr>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    holders: BTreeMap<Ipv4Addr, String>,
    last: Option<Ipv4Addr>,
}

impl Pool {
    /// The addresses of `subnet` except its first and last one and `taken` (gateways). `range` limits what is given to those
    /// who do not ask for an address; `network` is the name for error texts.
    pub fn new(network: &str, subnet: Ipv4Net, range: Option<Ipv4Net>, taken: &[Ipv4Addr]) -> Self {
        let subnet = subnet.trunc();
        let mut reserved = vec![subnet.network(), subnet.broadcast()];
        reserved.extend_from_slice(taken);
        Self { network: network.to_owned(), subnet, range: range.unwrap_or(subnet).trunc(), reserved, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first address of the range, from `start` on and around, that nobody holds. Looks at each held address once at most.
    fn next_free(&self, state: &State, start: Ipv4Addr) -> Option<Ipv4Addr> {
        let (low, high) = (u32::from(self.range.network()), u32::from(self.range.broadcast()));
        let start = u32::from(start).clamp(low, high);
        (start..=high).chain(low..start).map(Ipv4Addr::from).find(|a| !self.reserved.contains(a) && !state.holders.contains_key(a))
    }
}

impl Ipam for Pool {
    fn lease(&self, holder: &str, wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
        let mut state = self.state();
        let address = match wanted {
            Some(address) if !self.subnet.contains(&address) => {
                return Err(Error::invalid(format!("no configured subnet contains IP address {address}")));
            }
            Some(address) => {
                let held_by_another = state.holders.get(&address).is_some_and(|h| h != holder);
                if held_by_another || self.reserved.contains(&address) {
                    return Err(Error::forbidden("Address already in use"));
                }
                address
            }
            None => {
                let start = state.last.map_or(self.range.network(), |last| Ipv4Addr::from(u32::from(last).wrapping_add(1)));
                let start = if self.range.contains(&start) { start } else { self.range.network() };
                let address = self.next_free(&state, start).ok_or_else(|| {
                    Error::unavailable(format!(
                        "no available IPv4 addresses on this network's address pools: {} ({})",
                        self.network, self.subnet
                    ))
                })?;
                state.last = Some(address);
                address
            }
        };
        state.holders.insert(address, holder.to_owned());
        Ok(address)
    }

    fn release(&self, holder: &str, address: Ipv4Addr) {
        let mut state = self.state();
        if state.holders.get(&address).is_some_and(|h| h == holder) {
            state.holders.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use wharf_types::ErrorKind;

    fn net(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_rest_before_they_come_again() {
        let pool = Pool::new("bridge", net("172.17.0.0/16"), None, &[ip("172.17.0.1")]);
        assert_eq!(pool.lease("a", None).unwrap(), ip("172.17.0.2"));
        pool.release("a", ip("172.17.0.2"));
        assert_eq!(pool.lease("b", None).unwrap(), ip("172.17.0.3"));
    }

    #[test]
    fn wanted_addresses_are_checked() {
        let pool = Pool::new("bridge", net("10.0.0.0/24"), Some(net("10.0.0.128/25")), &[ip("10.0.0.1")]);
        assert_eq!(pool.lease("a", Some(ip("10.0.0.5"))).unwrap(), ip("10.0.0.5"), "outside the range but inside the subnet");
        assert_eq!(pool.lease("a", Some(ip("10.0.0.5"))).unwrap(), ip("10.0.0.5"), "again by its holder");
        assert_eq!(pool.lease("b", Some(ip("10.0.0.5"))).unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(pool.lease("b", Some(ip("10.0.0.1"))).unwrap_err().message(), "Address already in use");
        assert_eq!(pool.lease("b", Some(ip("10.0.1.5"))).unwrap_err().message(), "no configured subnet contains IP address 10.0.1.5");
        pool.release("b", ip("10.0.0.5"));
        assert!(pool.lease("b", Some(ip("10.0.0.5"))).is_err(), "only its holder can release it");
        assert_eq!(pool.lease("c", None).unwrap(), ip("10.0.0.128"));
    }

    #[test]
    fn exhaustion_names_the_subnet() {
        let pool = Pool::new("bridge", net("10.0.0.0/30"), None, &[ip("10.0.0.1")]);
        assert_eq!(pool.lease("a", None).unwrap(), ip("10.0.0.2"));
        let e = pool.lease("b", None).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable);
        assert_eq!(e.message(), "no available IPv4 addresses on this network's address pools: bridge (10.0.0.0/30)");
        pool.release("a", ip("10.0.0.2"));
        assert_eq!(pool.lease("b", None).unwrap(), ip("10.0.0.2"));
    }

    proptest! {
        /// Against a model: never a used, reserved or foreign address, and an error only when nothing is left.
        #[test]
        fn leases_are_exclusive(prefix in 24u8..=30, steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..400)) {
            let subnet = Ipv4Net::new(ip("10.1.2.0"), prefix).unwrap();
            let gateway = ip("10.1.2.1");
            let pool = Pool::new("n", subnet, None, &[gateway]);
            let usable = subnet.hosts().count() - 1;
            let mut held: BTreeSet<Ipv4Addr> = BTreeSet::new();
            for (take, which) in steps {
                if take {
                    match pool.lease("h", None) {
                        Ok(a) => {
                            prop_assert!(subnet.hosts().any(|h| h == a) && a != gateway);
                            prop_assert!(held.insert(a), "{a} twice");
                        }
                        Err(_) => prop_assert_eq!(held.len(), usable),
                    }
                } else if !held.is_empty() {
                    let a = *which.get(&held.iter().copied().collect::<Vec<_>>());
                    held.remove(&a);
                    pool.release("h", a);
                }
            }
        }
    }
}
