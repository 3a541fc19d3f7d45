//! Making the host ready: the bridge interface, its address, forwarding and the firewall. Every step finds what an earlier run
//! left and completes it.

use super::{
    config::{BridgeConfig, Surroundings},
    record::{self, Record},
};
use crate::{
    endpoint::Mac,
    firewall::{Firewall, Ruleset},
    netlink::{
        Socket,
        message::{self, Link},
    },
};
use ipnet::Ipv4Net;
use std::{fs, path::Path};
use wharf_store::{Doc, Durability};
use wharf_types::{Error, Result, error::Context};

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// A bridge that is ready for containers.
pub(super) struct Ready {
    pub record: Record,
    pub index: u32,
}

pub(super) fn set_up(config: &BridgeConfig, state_dir: &Path, firewall: &dyn Firewall) -> Result<Ready> {
    let mut socket = Socket::open().context("open a netlink socket")?;
    let existing = find(&mut socket, &config.name)?;
    let addresses = addresses(&mut socket)?;
    let document = state_dir.join(record::FILE);
    let old = Doc::<Record>::read(&document)?;

    let index = existing.as_ref().map(|l| l.index);
    let own: Vec<Ipv4Net> = addresses.iter().filter(|(i, _)| Some(*i) == index).map(|(_, a)| *a).collect();
    let surroundings = Surroundings {
        current: own.first().copied(),
        previous: old.as_ref().map(|old| old.body.address),
        occupied: occupied(&mut socket, &addresses, index)?,
    };
    let address = config.choose_address(&surroundings)?;
    let mut new = match &old {
        Some(old) => old.clone(),
        None => Doc::new(Record { network_id: record::random_id()?, address }),
    };
    new.body.address = address;
    if old.as_ref() != Some(&new) {
        // Before the interface exists: an interrupted start finds its choice again.
        fs::create_dir_all(state_dir).context(state_dir.display())?;
        new.write(&document, Durability::Synced)?;
    }

    let context = || format!("bridge {}", config.name);
    let link = if existing.is_some() { message::set_up(&config.name, Some(config.mtu)) } else { new_bridge(config)? };
    socket.batch(vec![link]).context(context())?;
    let index = find(&mut socket, &config.name)?.ok_or_else(|| Error::system(format!("{}: removed by someone else", context())))?.index;
    let mut changes: Vec<_> = own.iter().filter(|a| **a != address).map(|a| message::delete_address(index, *a)).collect();
    if !own.contains(&address) {
        changes.push(message::add_address(index, address));
    }
    socket.batch(changes).context(context())?;

    if config.ip_forward && fs::read_to_string(FORWARD).context(FORWARD)?.trim() != "1" {
        fs::write(FORWARD, "1").context(FORWARD)?;
    }
    if config.firewall {
        protect(config, address, firewall)?;
    }
    Ok(Ready { record: new.body, index })
}

/// The bridge called `name`.
pub(super) fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    let link = links(socket)?.into_iter().find(|l| l.name == name);
    match link {
        Some(link) if !link.is_bridge => Err(Error::system(format!("bridge {name}: there is an interface of this name that is no bridge"))),
        link => Ok(link),
    }
}

pub(super) fn links(socket: &mut Socket) -> Result<Vec<Link>> {
    Ok(socket.dump(message::links()).context("list links")?.into_iter().filter_map(message::read_link).collect())
}

fn addresses(socket: &mut Socket) -> Result<Vec<(u32, Ipv4Net)>> {
    Ok(socket.dump(message::addresses()).context("list addresses")?.into_iter().filter_map(message::read_address).collect())
}

/// The networks that other interfaces than the bridge lead to.
fn occupied(socket: &mut Socket, addresses: &[(u32, Ipv4Net)], bridge: Option<u32>) -> Result<Vec<Ipv4Net>> {
    let mut nets: Vec<_> = addresses.iter().filter(|(i, _)| Some(*i) != bridge).map(|(_, a)| a.trunc()).collect();
    for route in socket.dump(message::routes()).context("list routes")? {
        match message::read_route(route) {
            Some((out, net)) if bridge.is_none() || out != bridge => nets.push(net.trunc()),
            _ => {}
        }
    }
    Ok(nets)
}

fn new_bridge(config: &BridgeConfig) -> Result<crate::netlink::Request> {
    let [a, b, c, d] = record::random()?;
    Ok(message::new_bridge(&config.name, Mac([0x02, 0x42, a, b, c, d]), config.mtu))
}

/// Installs the rules. A host that cannot is refused only when containers would notice: without masquerading their packets get
/// no answers.
fn protect(config: &BridgeConfig, address: Ipv4Net, firewall: &dyn Firewall) -> Result<()> {
    let rules = Ruleset { bridge: config.name.clone(), subnet: address.trunc(), masquerade: config.ip_masq, icc: config.icc };
    match firewall.apply(&rules) {
        Err(e) if config.ip_masq => Err(Error::system(format!(
            "firewall for {}: {e}. Without it containers cannot reach other networks (masquerading); to run without, turn off ip-masq or iptables",
            config.name
        ))
        .with_source(e)),
        Err(e) => {
            tracing::warn!(bridge = config.name, "no firewall rules, so that unpublished ports are reachable from other hosts: {e}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
