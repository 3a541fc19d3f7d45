//! The veth pair between a container's network namespace and the bridge.

use crate::{
    endpoint::Endpoint,
    netlink::{Socket, message},
    netns,
};
use ipnet::Ipv4Net;
use rustix::{io::Errno, net::netdevice::name_to_index};
use std::{fs::File, io, os::fd::AsRawFd, path::Path};
use wharf_types::{Result, error::Context};

/// The interface's name in the container.
const IN_CONTAINER: &str = "eth0";

/// What the ends are plugged into.
pub(super) struct Plug {
    pub bridge: u32,
    pub mtu: u32,
    pub isolated: bool,
}

/// Creates the pair and sets up both ends. Moves the calling thread into the namespace for good. After an error nothing is left.
pub(super) fn connect(host: &mut Socket, endpoint: &Endpoint, netns: &Path, plug: &Plug) -> Result<()> {
    let file = File::open(netns).context(format!("network namespace {}", netns.display()))?;
    let veth = message::Veth {
        host: &endpoint.host_veth,
        bridge: plug.bridge,
        peer: IN_CONTAINER,
        peer_mac: endpoint.mac,
        peer_netns: file.as_raw_fd(),
        mtu: plug.mtu,
    };
    let mut changes = vec![veth.create()];
    if plug.isolated {
        changes.push(message::isolate(&endpoint.host_veth));
    }
    let connected = host.batch(changes).context(&endpoint.host_veth).and_then(|()| set_up_inside(endpoint, &file));
    if connected.is_err() {
        let _ = disconnect(host, &endpoint.host_veth);
    }
    connected
}

fn set_up_inside(endpoint: &Endpoint, netns: &File) -> Result<()> {
    netns::enter(netns)?;
    let mut inside = Socket::open().context("open a netlink socket")?;
    let index = name_to_index(&inside, IN_CONTAINER).map_err(io::Error::from).context(IN_CONTAINER)?;
    let address = Ipv4Net::new(endpoint.address, endpoint.prefix_len).context(IN_CONTAINER)?;
    let changes = vec![message::set_up(IN_CONTAINER, None), message::add_address(index, address), message::default_route(endpoint.gateway)];
    inside.batch(changes).context(IN_CONTAINER)
}

/// Stops all traffic of a pair at once. Returns whether it still exists and is to be removed.
pub(super) fn silence(host: &mut Socket, host_veth: &str) -> Result<bool> {
    match host.batch(vec![message::set_down(host_veth)]) {
        Ok(()) => Ok(true),
        Err(e) if e.errno() == Some(Errno::NODEV.raw_os_error()) => Ok(false),
        Err(e) => Err(e).context(host_veth),
    }
}

/// Removes the pair (or any link); it is fine when it is gone already.
pub(super) fn disconnect(host: &mut Socket, link: &str) -> Result<()> {
    match host.batch(vec![message::delete_link(link)]) {
        Err(e) if e.errno() != Some(Errno::NODEV.raw_os_error()) => Err(e).context(link),
        _ => Ok(()),
    }
}
