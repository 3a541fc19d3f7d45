//! The default network's options: addresses parsed, relations checked.

use super::raw::{Raw, RawPool};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};
use wharf_types::{Error, Result};

/// The default network and what names resolve to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Which bridge.
    pub bridge: Bridge,
    /// The part of its network that containers get addresses from.
    pub fixed_cidr: Option<Ipv4Net>,
    /// The containers' gateway, when it is not the bridge.
    pub default_gateway: Option<Ipv4Addr>,
    /// MTU in bytes.
    pub mtu: u16,
    /// Whether containers reach each other.
    pub icc: bool,
    /// Whether the daemon turns on forwarding.
    pub ip_forward: bool,
    /// Whether outgoing packets are masqueraded; never without `packet_filter`.
    pub ip_masq: bool,
    /// Whether the daemon writes packet filter rules.
    pub packet_filter: bool,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Resolver options.
    pub dns_opts: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// What `host-gateway` stands for: at most one address of each family.
    pub host_gateway_ips: Vec<IpAddr>,
    /// Where networks get their subnets; empty for the built-in pools.
    pub address_pools: Vec<Pool>,
}

/// The default bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bridge {
    /// No default network.
    None,
    /// Wharf's own, with this address, or one from the pools.
    Own(Option<Ipv4Net>),
    /// One that exists already.
    Existing(String),
}

/// A range that is cut into subnets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The range.
    pub base: Ipv4Net,
    /// Prefix length of the subnets.
    pub size: u8,
}

/// What an Ethernet link carries.
const DEFAULT_MTU: u16 = 1500;
/// The kernel's limit for the length of an interface name.
const MAX_INTERFACE_NAME: usize = 15;

pub(super) fn network(raw: &Raw) -> Result<Network> {
    let bridge = bridge(raw)?;
    let fixed_cidr = raw.fixed_cidr.as_deref().map(|text| cidr("fixed-cidr", text)).transpose()?;
    let default_gateway = raw.default_gateway.as_deref().map(|text| address::<Ipv4Addr>("default-gateway", text)).transpose()?;
    if let Bridge::Own(Some(bip)) = bridge {
        if let Some(cidr) = fixed_cidr.filter(|cidr| !bip.trunc().contains(cidr)) {
            return Err(Error::invalid(format!("the option \"fixed-cidr\" {cidr} is not inside the bridge's network {}", bip.trunc())));
        }
        if let Some(gateway) = default_gateway.filter(|gateway| !bip.contains(gateway)) {
            return Err(Error::invalid(format!(
                "the option \"default-gateway\" {gateway} is not inside the bridge's network {}",
                bip.trunc()
            )));
        }
    }
    if !raw.iptables && !raw.icc {
        return Err(Error::invalid(
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true",
        ));
    }
    Ok(Network {
        bridge,
        fixed_cidr,
        default_gateway,
        mtu: mtu(raw.mtu)?,
        icc: raw.icc,
        ip_forward: raw.ip_forward,
        ip_masq: raw.ip_masq && raw.iptables,
        packet_filter: raw.iptables,
        dns: raw.dns.iter().map(|text| address("dns", text)).collect::<Result<_>>()?,
        dns_opts: raw.dns_opts.clone(),
        dns_search: raw.dns_search.iter().map(|text| search_domain(text)).collect::<Result<_>>()?,
        host_gateway_ips: host_gateway(raw)?,
        address_pools: raw.default_address_pools.iter().map(pool).collect::<Result<_>>()?,
    })
}

fn bridge(raw: &Raw) -> Result<Bridge> {
    match (raw.bridge.as_deref().filter(|b| !b.is_empty()), &raw.bip) {
        (Some(_), Some(_)) => Err(Error::invalid("You specified -b & --bip, mutually exclusive options. Please specify only one")),
        (Some("none"), None) => Ok(Bridge::None),
        (Some(name), None) if name.len() > MAX_INTERFACE_NAME || name.contains(['/', ' ', ':']) || name == "." || name == ".." => {
            Err(Error::invalid(format!("invalid bridge name: {name:?}")))
        }
        (Some(name), None) => Ok(Bridge::Existing(name.to_owned())),
        (None, None) => Ok(Bridge::Own(None)),
        (None, Some(text)) => {
            let bip = cidr("bip", text)?;
            let usable = bip.prefix_len() <= 30 && bip.addr() != bip.network() && bip.addr() != bip.broadcast();
            if !usable {
                return Err(Error::invalid(format!("invalid value for \"bip\": {text} is not the address of a host in its network")));
            }
            Ok(Bridge::Own(Some(bip)))
        }
    }
}

fn cidr(key: &str, text: &str) -> Result<Ipv4Net> {
    text.parse().map_err(|_| Error::invalid(format!("invalid value for {key:?}: invalid CIDR address: {text} (expected IPv4)")))
}

fn address<A: std::str::FromStr>(key: &str, text: &str) -> Result<A> {
    text.parse().map_err(|_| Error::invalid(format!("invalid value for {key:?}: IP address is not correctly formatted: {text}")))
}

fn mtu(value: i64) -> Result<u16> {
    match u16::try_from(value) {
        Ok(0) => Ok(DEFAULT_MTU),
        // An interface must carry the smallest IPv4 datagram that every host accepts (RFC 791).
        Ok(mtu) if mtu >= 68 => Ok(mtu),
        _ => Err(Error::invalid(format!("invalid default MTU: {value}"))),
    }
}

/// A domain name, or `.` for "search nothing".
fn search_domain(text: &str) -> Result<String> {
    let label = |l: &str| !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let name = text.strip_suffix('.').unwrap_or(text);
    if text == "." || (name.len() <= 253 && name.split('.').all(label)) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(format!("invalid value for \"dns-search\": {text} is not a valid domain")))
}

fn host_gateway(raw: &Raw) -> Result<Vec<IpAddr>> {
    if raw.host_gateway_ip.is_some() && !raw.host_gateway_ips.is_empty() {
        return Err(Error::invalid("conflicting options: host-gateway-ip and host-gateway-ips; use host-gateway-ips only"));
    }
    let texts = raw.host_gateway_ips.iter().chain(&raw.host_gateway_ip);
    let ips: Vec<IpAddr> = texts.map(|text| address("host-gateway-ips", text)).collect::<Result<_>>()?;
    let v4 = ips.iter().filter(|ip| ip.is_ipv4()).count();
    if v4 > 1 || ips.len() - v4 > 1 {
        return Err(Error::invalid("invalid value for \"host-gateway-ips\": only one IPv4 and one IPv6 address are allowed"));
    }
    Ok(ips)
}

fn pool(raw: &RawPool) -> Result<Pool> {
    let invalid = |why: String| Error::invalid(format!("invalid value for \"default-address-pools\": {why}"));
    let base = match raw.base.parse::<IpNet>() {
        Ok(IpNet::V4(base)) => base.trunc(),
        Ok(IpNet::V6(base)) => return Err(invalid(format!("IPv6 pool {base} is not supported by this version of wharfd"))),
        Err(_) => return Err(invalid(format!("invalid base pool {:?}", raw.base))),
    };
    match u8::try_from(raw.size) {
        // A subnet must have room for the bridge and one container.
        Ok(size) if size >= base.prefix_len() && size <= 30 => Ok(Pool { base, size }),
        _ => Err(invalid(format!("invalid size {} for pool {base} (from /{} to /30)", raw.size, base.prefix_len()))),
    }
}
