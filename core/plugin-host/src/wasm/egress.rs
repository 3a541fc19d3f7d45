//! Where plugins may connect to: what they name must be granted, and so must be what the name turns out to be.
//!
//! A name is resolved once, its addresses are judged, and exactly those are connected to: a name server that says something else a
//! moment later is not asked. Addresses of this host, of its links and of its containers are reached only when a permission names
//! the address itself.

use super::grant::{Grant, Grants};
use async_trait::async_trait;
use ipnet::IpNet;
use rustls::RootCertStore;
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
};

/// Addresses of one name that are tried.
const TRIED: usize = 8;
/// Names that are looked up at once.
const LOOKUPS: usize = 8;
/// How long one address may take while others are left to be tried.
const PATIENCE: Duration = Duration::from_secs(3);

/// Turns names into addresses.
#[async_trait]
pub(super) trait Resolver: Send + Sync {
    /// A look-up that goes on when nobody waits for it any more keeps the plugin's `share`.
    async fn resolve(&self, host: &str, share: OwnedSemaphorePermit) -> io::Result<Vec<IpAddr>>;
}

/// As the host does it. A look-up goes on when nobody waits for it any more, and blocks one of the daemon's threads meanwhile: so there
/// are [`LOOKUPS`] at the most.
struct OfTheHost(Arc<Semaphore>);

#[async_trait]
impl Resolver for OfTheHost {
    async fn resolve(&self, host: &str, share: OwnedSemaphorePermit) -> io::Result<Vec<IpAddr>> {
        let turn = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let host = host.to_owned();
        let look_up = move || {
            let found = (host.as_str(), 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect());
            drop((turn, share));
            found
        };
        tokio::task::spawn_blocking(look_up).await?
    }
}

/// The way out, for all plugins.
pub(super) struct Network {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) own: Vec<IpNet>,
    /// The host's authorities, read when the first plugin needs them.
    pub(super) authorities: OnceCell<Arc<RootCertStore>>,
}

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Http,
    Tcp,
    Tls,
    Udp,
}

/// Why there is no connection, or no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not allowed.
    Denied(String),
    /// It cannot be sent.
    Invalid(String),
    Timeout,
    Unreachable(String),
}

impl From<io::Error> for Refusal {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::TimedOut { Self::Timeout } else { Self::Unreachable(e.to_string()) }
    }
}

/// A name in lower case, or an address; IPv4 in the clothes of IPv6 is IPv4.
#[derive(PartialEq, Eq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse::<IpAddr>().map_or_else(|_| Self::Name(text.to_ascii_lowercase()), |ip| Self::Address(ip.to_canonical()))
    }
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
        }
    }

    /// Whether a permission names this host and port.
    fn is_granted(self, grants: &Grants, host: &Host, port: u16) -> bool {
        grants.iter().any(|grant| {
            let (named, on) = match (self, grant) {
                (Self::Http, Grant::Http(named, on)) => (named, on.unwrap_or(port)),
                (Self::Tcp, Grant::Tcp(named, on)) | (Self::Tls, Grant::Tls(named, on)) | (Self::Udp, Grant::Udp(named, on)) => {
                    (named, *on)
                }
                _ => return false,
            };
            on == port && Host::parse(named) == *host
        })
    }
}

impl Network {
    pub fn new(own: Vec<IpNet>) -> Self {
        Self { resolver: Arc::new(OfTheHost(Arc::new(Semaphore::new(LOOKUPS)))), own, authorities: OnceCell::new() }
    }

    /// The addresses of a host that may be connected to. `lookups` is the plugin's share of those.
    ///
    /// # Errors
    /// [`Refusal::Denied`] when no permission names the host, or none of its addresses is allowed.
    pub async fn addresses(
        &self,
        grants: &Grants,
        lookups: &Arc<Semaphore>,
        way: Way,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let asked = Host::parse(host);
        if !way.is_granted(grants, &asked, port) {
            return Err(Refusal::Denied(format!("no permission {}:{host}:{port}", way.word())));
        }
        let found = match &asked {
            Host::Address(ip) => vec![*ip],
            Host::Name(name) => {
                let unreachable = |e: &dyn fmt::Display| Refusal::Unreachable(format!("{name}: {e}"));
                let share = Arc::clone(lookups).acquire_owned().await.map_err(|e| unreachable(&e))?;
                self.resolver.resolve(name, share).await.map_err(|e| unreachable(&e))?
            }
        };
        let allowed = |ip: &IpAddr| !self.is_near(*ip) || way.is_granted(grants, &Host::Address(ip.to_canonical()), port);
        let addresses: Vec<_> = found.iter().copied().filter(allowed).take(TRIED).map(|ip| SocketAddr::new(ip, port)).collect();
        match (addresses.is_empty(), found.first()) {
            (false, _) => Ok(addresses),
            (true, None) => Err(Refusal::Unreachable(format!("{host} has no address"))),
            (true, Some(ip)) => Err(Refusal::Denied(format!(
                "{host} is {ip}, an address of this host or its containers: that needs the permission {}:{}:{port}",
                way.word(),
                Shown(*ip)
            ))),
        }
    }

    /// Connects to the first of these that answers.
    ///
    /// # Errors
    /// What the last said.
    pub async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Refusal> {
        let mut last = Refusal::Unreachable("no address".to_owned());
        for (n, address) in addresses.iter().enumerate() {
            let attempt = TcpStream::connect(address);
            let outcome = if n + 1 < addresses.len() {
                tokio::time::timeout(PATIENCE, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            } else {
                attempt.await
            };
            match outcome {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(e) => last = e.into(),
            }
        }
        Err(last)
    }

    /// Whether it belongs to this host, its links or its containers, or is nobody's address.
    fn is_near(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let near = match ip {
            IpAddr::V4(ip) => near_v4(ip),
            IpAddr::V6(ip) => {
                ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unicast_link_local()
                    || carried(ip).is_some_and(near_v4)
            }
        };
        let inside = |ip: IpAddr| self.own.iter().any(|net| net.contains(&ip));
        let carried = if let IpAddr::V6(ip) = ip { carried(ip).map(IpAddr::V4) } else { None };
        near || inside(ip) || carried.is_some_and(inside)
    }
}

/// `0.0.0.0/8` is this host, too (RFC 1122, 3.2.1.3).
fn near_v4(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.octets().first() == Some(&0) || ip.is_link_local() || ip.is_multicast() || ip.is_broadcast()
}

/// The IPv4 address that packets to this one end at: IPv4-compatible (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

/// As in a permission.
struct Shown(IpAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_canonical() {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name has these addresses.
    struct All(Vec<IpAddr>);

    #[async_trait]
    impl Resolver for All {
        async fn resolve(&self, _: &str, _: OwnedSemaphorePermit) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    /// No name is found, and somebody goes on to look for it.
    #[derive(Default)]
    struct Never(std::sync::Mutex<Vec<OwnedSemaphorePermit>>);

    #[async_trait]
    impl Resolver for Never {
        async fn resolve(&self, _: &str, share: OwnedSemaphorePermit) -> io::Result<Vec<IpAddr>> {
            self.0.lock().unwrap().push(share);
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn nobody_takes_the_look_ups_of_others() {
        let never = Arc::new(Never::default());
        let network = Network { resolver: never.clone(), ..Network::new(Vec::new()) };
        let (mine, others) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(2)));
        for (lookups, times, begun) in [(&mine, 5, 2), (&others, 1, 3)] {
            for _ in 0..times {
                let grants = "http:x".parse().unwrap();
                let look_up = network.addresses(&grants, lookups, Way::Http, "x", 80);
                tokio::time::timeout(Duration::from_millis(10), look_up).await.unwrap_err();
            }
            assert_eq!(never.0.lock().unwrap().len(), begun);
        }
    }

    fn network(found: &[&str]) -> Network {
        let resolver = Arc::new(All(found.iter().map(|ip| ip.parse().unwrap()).collect()));
        Network { resolver, ..Network::new(vec!["172.17.0.0/16".parse().unwrap()]) }
    }

    async fn outcome(grants: &str, host: &str, found: &[&str]) -> Result<Vec<String>, Refusal> {
        let addresses = network(found).addresses(&grants.parse().unwrap(), &Arc::new(Semaphore::new(1)), Way::Http, host, 80).await?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn names_and_ports_must_be_granted() {
        for (grants, host, allowed) in [
            ("http:example.org", "example.org", true),
            ("http:example.org", "EXAMPLE.org", true),
            ("http:example.org:80", "example.org", true),
            ("http:example.org:443", "example.org", false),
            ("http:example.org", "www.example.org", false),
            ("http:example.org", "example.org.", false),
            ("tcp:example.org:80", "example.org", false),
            ("http:127.0.0.1", "127.0.0.1", true),
            ("http:127.0.0.1", "[::ffff:127.0.0.1]", true),
            ("http:[::1]", "[::1]", true),
            ("http:[0:0::1]", "[::1]", true),
            ("http:[::1]", "127.0.0.1", false),
            ("http:127.0.0.1:81", "127.0.0.1", false),
            ("state", "example.org", false),
        ] {
            let outcome = outcome(grants, host, &["93.184.216.34"]).await;
            assert_eq!(outcome.is_ok(), allowed, "{grants} {host}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn the_host_resolves() {
        let network = Network::new(Vec::new());
        let share = async || Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let found = network.resolver.resolve("localhost", share().await).await.unwrap();
        assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
        assert!(network.resolver.resolve("nothing.invalid", share().await).await.is_err());
    }

    #[tokio::test]
    async fn near_addresses_must_be_named_themselves() {
        for near in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "172.17.0.5",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:172.17.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::1",
            "2002:ac11:5::",
        ] {
            let Err(Refusal::Denied(text)) = outcome("http:x", "x", &[near]).await else { panic!("{near}") };
            let named = text.rsplit_once("permission ").unwrap().1;
            assert!(outcome(&format!("http:x {named}"), "x", &[near]).await.is_ok(), "{near}: {text}");
        }
        for far in ["93.184.216.34", "10.0.0.1", "192.168.1.1", "172.18.0.1", "2606:4700::1", "fd00::1", "64:ff9b::5db8:d822"] {
            assert!(outcome("http:x", "x", &[far]).await.is_ok(), "{far}");
        }
        // What is allowed is taken, what is not is left out.
        assert_eq!(outcome("http:x", "x", &["127.0.0.1", "93.184.216.34", "::1"]).await.unwrap(), ["93.184.216.34:80"]);
        assert!(matches!(outcome("http:x", "x", &[]).await, Err(Refusal::Unreachable(_))));
        // A name that an address was granted for is not granted by that.
        assert!(matches!(outcome("http:127.0.0.1", "localhost", &["127.0.0.1"]).await, Err(Refusal::Denied(_))));
    }
}
