//! The few rtnetlink messages that a bridge network needs, and readers of the kernel's answers.

use super::Request;
use crate::endpoint::Mac;
use ipnet::Ipv4Net;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use std::{
    net::{IpAddr, Ipv4Addr},
    os::fd::RawFd,
};

const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

fn link(name: &str, up: bool) -> LinkMessage {
    let mut link = LinkMessage::default();
    if up {
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
    }
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

/// A bridge that is up. Its own hardware address keeps it from changing whenever a container comes or goes.
pub(crate) fn new_bridge(name: &str, mac: Mac, mtu: u32) -> Request {
    let mut link = link(name, true);
    link.attributes.extend([
        LinkAttribute::Address(mac.0.to_vec()),
        LinkAttribute::Mtu(mtu),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
    ]);
    Request { what: "create the bridge", message: RouteNetlinkMessage::NewLink(link), flags: NEW }
}

/// Sets the MTU of an existing link and brings it up.
pub(crate) fn set_up(name: &str, mtu: Option<u32>) -> Request {
    let mut link = link(name, true);
    link.attributes.extend(mtu.map(LinkAttribute::Mtu));
    Request { what: "set the link up", message: RouteNetlinkMessage::SetLink(link), flags: 0 }
}

/// A veth pair, nearly complete in one message: the host's end in bridge `bridge` and up, the other end in another namespace. (That
/// end cannot be up yet: the kernel joins the two after it has set flags.)
pub(crate) struct Veth<'a> {
    pub host: &'a str,
    pub bridge: u32,
    pub peer: &'a str,
    pub peer_mac: Mac,
    pub peer_netns: RawFd,
    pub mtu: u32,
}

impl Veth<'_> {
    pub fn create(&self) -> Request {
        let mut peer = link(self.peer, false);
        peer.attributes.extend([
            LinkAttribute::NetNsFd(self.peer_netns),
            LinkAttribute::Address(self.peer_mac.0.to_vec()),
            LinkAttribute::Mtu(self.mtu),
        ]);
        let mut host = link(self.host, true);
        host.attributes.extend([
            LinkAttribute::Controller(self.bridge),
            LinkAttribute::Mtu(self.mtu),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer)))]),
        ]);
        Request { what: "create the veth pair", message: RouteNetlinkMessage::NewLink(host), flags: NEW }
    }
}

/// Takes a link down: no packet passes any more, and the bridge forgets who was behind it.
pub(crate) fn set_down(name: &str) -> Request {
    let mut link = link(name, false);
    link.header.change_mask = LinkFlags::Up;
    Request { what: "set the link down", message: RouteNetlinkMessage::SetLink(link), flags: 0 }
}

/// Forbids a bridge port to talk to other isolated ports.
pub(crate) fn isolate(name: &str) -> Request {
    let mut port = link(name, false);
    port.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::PortKind(InfoPortKind::Bridge),
        LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(true)])),
    ]));
    Request { what: "isolate the bridge port", message: RouteNetlinkMessage::NewLink(port), flags: 0 }
}

pub(crate) fn delete_link(name: &str) -> Request {
    Request { what: "delete the link", message: RouteNetlinkMessage::DelLink(link(name, false)), flags: 0 }
}

fn address(index: u32, address: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = address.prefix_len();
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(address.addr())),
        AddressAttribute::Address(IpAddr::V4(address.addr())),
        AddressAttribute::Broadcast(address.broadcast()),
    ];
    message
}

/// Gives `net.addr()` to the link.
pub(crate) fn add_address(index: u32, net: Ipv4Net) -> Request {
    Request { what: "set the address", message: RouteNetlinkMessage::NewAddress(address(index, net)), flags: NEW }
}

pub(crate) fn delete_address(index: u32, net: Ipv4Net) -> Request {
    Request { what: "remove the old address", message: RouteNetlinkMessage::DelAddress(address(index, net)), flags: 0 }
}

pub(crate) fn default_route(gateway: Ipv4Addr) -> Request {
    let mut route = RouteMessage::default();
    route.header.address_family = AddressFamily::Inet;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    Request { what: "add the default route", message: RouteNetlinkMessage::NewRoute(route), flags: NEW }
}

/// Asks for all links.
pub(crate) fn links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(LinkMessage::default())
}

/// Asks for all IPv4 addresses.
pub(crate) fn addresses() -> RouteNetlinkMessage {
    let mut query = AddressMessage::default();
    query.header.family = AddressFamily::Inet;
    RouteNetlinkMessage::GetAddress(query)
}

/// Asks for all IPv4 routes.
pub(crate) fn routes() -> RouteNetlinkMessage {
    let mut query = RouteMessage::default();
    query.header.address_family = AddressFamily::Inet;
    RouteNetlinkMessage::GetRoute(query)
}

/// What matters of a link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub index: u32,
    pub name: String,
    pub is_bridge: bool,
    pub is_veth: bool,
    /// Index of the bridge that it is a port of.
    pub bridge: Option<u32>,
}

pub(crate) fn read_link(answer: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = answer else { return None };
    let mut link = Link { index: message.header.index, name: String::new(), is_bridge: false, is_veth: false, bridge: None };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Controller(index) => link.bridge = Some(index),
            LinkAttribute::LinkInfo(infos) => {
                link.is_bridge = infos.contains(&LinkInfo::Kind(InfoKind::Bridge));
                link.is_veth = infos.contains(&LinkInfo::Kind(InfoKind::Veth));
            }
            _ => {}
        }
    }
    Some(link)
}

/// The index of a link and one of its addresses with the prefix length.
pub(crate) fn read_address(answer: RouteNetlinkMessage) -> Option<(u32, Ipv4Net)> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    // IFA_ADDRESS is the far end on point-to-point links; IFA_LOCAL is always ours.
    let own = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(IpAddr::V4(a)) => Some(*a),
        _ => None,
    })?;
    Some((message.header.index, Ipv4Net::new(own, message.header.prefix_len).ok()?))
}

/// The output link and the destination of a route; none for a default route.
pub(crate) fn read_route(answer: RouteNetlinkMessage) -> Option<(Option<u32>, Ipv4Net)> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let (mut out, mut destination) = (None, None);
    for attribute in message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => out = Some(index),
            RouteAttribute::Destination(RouteAddress::Inet(a)) => destination = Some(a),
            _ => {}
        }
    }
    Some((out, Ipv4Net::new(destination?, message.header.destination_prefix_length).ok()?))
}
