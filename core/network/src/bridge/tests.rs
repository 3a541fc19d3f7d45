//! On real bridges, in network namespaces of the tests' own.

use super::*;
use crate::{firewall::Ruleset, netns};
use nix::sched::{CloneFlags, unshare};
use std::{fs, process::Command, sync::Mutex};
use wharf_types::ErrorKind;

pub(super) fn config(name: &str) -> BridgeConfig {
    BridgeConfig {
        name: name.to_owned(),
        subnet: None,
        fixed_cidr: None,
        default_gateway: None,
        mtu: 1500,
        ip_masq: true,
        icc: true,
        ip_forward: true,
        firewall: true,
        pools: Vec::new(),
    }
}

/// Runs `test` on a thread in a network namespace of its own; the threads that it starts inherit it.
fn isolated(test: impl AsyncFnOnce(&Path) + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(test(dir.path()));
        });
        thread.join().unwrap();
    });
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn ip(args: &str) -> String {
    output("ip", &args.split(' ').collect::<Vec<_>>())
}

/// `ip` in a namespace.
fn ip_in(netns: &Path, args: &str) -> String {
    let net = format!("--net={}", netns.display());
    let mut all = vec![net.as_str(), "ip"];
    all.extend(args.split(' '));
    output("nsenter", &all)
}

fn pings(netns: &Path, address: Ipv4Addr) -> bool {
    // An ICMP echo would need a ping program; a connection to a closed port is refused at once, and an unreachable host is not.
    let (netns, address) = (netns.to_owned(), std::net::SocketAddr::from((address, 9)));
    thread::spawn(move || {
        netns::enter(&fs::File::open(netns).unwrap()).unwrap();
        // Long enough for a second ARP request: the first is lost when the bridge port is not up yet.
        let result = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(1500));
        result.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
    })
    .join()
    .unwrap()
}

fn owner() -> ContainerId {
    ContainerId::random().unwrap()
}

struct Namespace(std::path::PathBuf);

impl Namespace {
    fn new(dir: &Path, name: &str) -> Self {
        let path = dir.join("netns").join(name);
        netns::create(&path).unwrap();
        Self(path)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        netns::delete(&self.0).unwrap();
    }
}

#[test]
fn the_life_of_an_endpoint() {
    isolated(async |dir| {
        let network = BridgeNetwork::ensure(config("wt0"), dir).await.unwrap();
        assert_eq!((network.subnet(), network.gateway()), ("172.17.0.0/16".parse().unwrap(), Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim(), "1");
        assert!(output("nft", &["list", "table", "ip", "wt0"]).contains("masquerade"));

        let (a, b) = (Namespace::new(dir, "a"), Namespace::new(dir, "b"));
        let first = network.attach(&owner(), &a.0, EndpointRequest::default()).await.unwrap();
        assert_eq!((first.address, first.prefix_len), (Ipv4Addr::new(172, 17, 0, 2), 16));
        assert_eq!(first.mac.to_string(), "02:42:ac:11:00:02");
        let link = ip_in(&a.0, "-4 addr show eth0");
        assert!(link.contains("172.17.0.2/16 brd 172.17.255.255") && link.contains("mtu 1500") && link.contains(",UP"), "{link}");
        assert!(ip_in(&a.0, "link show lo").contains("LOOPBACK,UP"));
        assert!(ip_in(&a.0, "link show eth0").contains("02:42:ac:11:00:02"));
        assert!(!ip_in(&a.0, "addr show eth0").contains("inet6"));
        assert!(ip_in(&a.0, "route").contains("default via 172.17.0.1 dev eth0"));
        assert!(ip("link show master wt0").contains(&first.host_veth));

        let wanted = EndpointRequest { mac: Some("02:00:00:00:00:07".parse().unwrap()), address: Some(Ipv4Addr::new(172, 17, 9, 9)) };
        let second = network.attach(&owner(), &b.0, wanted.clone()).await.unwrap();
        assert_eq!((second.address, second.mac), (wanted.address.unwrap(), wanted.mac.unwrap()));
        assert!(pings(&b.0, network.gateway()) && pings(&b.0, first.address));

        let e = network.attach(&owner(), &b.0, EndpointRequest { address: Some(first.address), ..Default::default() }).await.unwrap_err();
        assert!(e.kind() == ErrorKind::Forbidden && e.message().ends_with("Address already in use"), "{e}");
        network.detach(&second).await.unwrap();
        network.detach(&second).await.unwrap();
        assert!(!pings(&b.0, network.gateway()));
        let c = Namespace::new(dir, "c");
        let again = network.attach(&owner(), &c.0, wanted).await.unwrap();
        network.detach(&second).await.unwrap();
        assert!(network.adopt(&owner(), &second).is_err(), "a stale endpoint does not free the address of the new one");
        assert!(pings(&c.0, network.gateway()), "the bridge has forgotten the port of the same address");
        network.detach(&again).await.unwrap();
        network.detach(&first).await.unwrap();
        tokio::time::sleep(LINGER * 2).await;
        assert_eq!(ip("link show master wt0"), "", "gone although the namespaces live");
        network.remove().await.unwrap();
        assert!(!ip("link").contains("wt0") && !output("nft", &["list", "tables"]).contains("wt0"));
    });
}

#[test]
fn a_restart_keeps_everything_and_sweeps_the_rest() {
    isolated(async |dir| {
        let network = BridgeNetwork::ensure(config("wt0"), dir).await.unwrap();
        let id = network.network_id().to_owned();
        let (a, b) = (Namespace::new(dir, "a"), Namespace::new(dir, "b"));
        let live = network.attach(&owner(), &a.0, EndpointRequest::default()).await.unwrap();
        let lost = network.attach(&owner(), &b.0, EndpointRequest::default()).await.unwrap();
        drop(network);

        // A pool that would be chosen now, had nothing been chosen before.
        let pools = vec![("10.77.0.0/16".parse().unwrap(), 24)];
        let network = BridgeNetwork::ensure(BridgeConfig { pools: pools.clone(), ..config("wt0") }, dir).await.unwrap();
        assert_eq!((network.network_id(), network.subnet()), (id.as_str(), "172.17.0.0/16".parse().unwrap()));
        network.adopt(&owner(), &live).unwrap();
        network.adopt(&owner(), &live).unwrap();
        let rival = Endpoint { endpoint_id: "0".repeat(64), ..live.clone() };
        assert!(network.adopt(&owner(), &rival).is_err());
        assert!(network.adopt(&owner(), &Endpoint { network_id: "0".repeat(64), ..live.clone() }).is_err());
        network.sweep(std::slice::from_ref(&live)).await.unwrap();
        let ports = ip("link show master wt0");
        assert!(ports.contains(&live.host_veth) && !ports.contains(&lost.host_veth), "{ports}");
        assert!(pings(&a.0, network.gateway()));

        // After a reboot there is no bridge; the record alone keeps the choice. An explicit address wins over both.
        network.remove().await.unwrap();
        let network = BridgeNetwork::ensure(BridgeConfig { pools, ..config("wt0") }, dir).await.unwrap();
        assert_eq!(network.subnet(), "172.17.0.0/16".parse().unwrap());
        let explicit = BridgeConfig { subnet: Some("10.78.0.9/24".parse().unwrap()), ..config("wt0") };
        let network = BridgeNetwork::ensure(explicit, dir).await.unwrap();
        assert_eq!((network.bridge_address(), network.network_id()), (Ipv4Addr::new(10, 78, 0, 9), id.as_str()));
        let addresses = ip("-4 addr show wt0");
        assert!(addresses.contains("10.78.0.9/24") && !addresses.contains("172.17"), "{addresses}");
        network.remove().await.unwrap();
    });
}

#[test]
fn a_failed_attach_leaves_nothing() {
    isolated(async |dir| {
        let one_address = BridgeConfig { subnet: Some("10.79.0.1/30".parse().unwrap()), ..config("wt0") };
        let network = BridgeNetwork::ensure(one_address, dir).await.unwrap();
        let e = network.attach(&owner(), &dir.join("nowhere"), EndpointRequest::default()).await.unwrap_err();
        assert!(e.message().contains("nowhere"), "{e}");
        let a = Namespace::new(dir, "a");
        // The namespace has an eth0 already: the kernel refuses the pair.
        ip_in(&a.0, "link add eth0 type veth");
        let e = network.attach(&owner(), &a.0, EndpointRequest::default()).await.unwrap_err();
        assert!(e.message().contains("create the veth pair: File exists"), "{e}");
        assert_eq!(ip("link show master wt0"), "");
        ip_in(&a.0, "link del eth0");
        // Dropped before it ends: it is undone, and the only address is free again.
        let container = owner();
        let mut attach = Box::pin(network.attach(&container, &a.0, EndpointRequest::default()));
        let at_once = std::future::poll_fn(|cx| std::task::Poll::Ready(attach.as_mut().poll(cx))).await;
        assert!(at_once.is_pending());
        drop(attach);
        let mut last = None;
        for _ in 0..1000 {
            last = Some(network.attach(&owner(), &a.0, EndpointRequest::default()).await);
            if matches!(last, Some(Ok(_))) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let endpoint = last.unwrap().unwrap();
        network.detach(&endpoint).await.unwrap();
        network.remove().await.unwrap();
    });
}

#[test]
fn without_icc_containers_are_apart() {
    isolated(async |dir| {
        let network = BridgeNetwork::ensure(BridgeConfig { icc: false, ..config("wt0") }, dir).await.unwrap();
        let (a, b) = (Namespace::new(dir, "a"), Namespace::new(dir, "b"));
        let first = network.attach(&owner(), &a.0, EndpointRequest::default()).await.unwrap();
        network.attach(&owner(), &b.0, EndpointRequest::default()).await.unwrap();
        assert!(pings(&b.0, network.gateway()));
        assert!(!pings(&b.0, first.address));
        network.remove().await.unwrap();
    });
}

/// A host without a packet filter.
struct Missing(Mutex<u32>);

impl Firewall for Missing {
    fn apply(&self, _: &Ruleset) -> Result<()> {
        *self.0.lock().unwrap() += 1;
        Err(Error::system("nft: program not found"))
    }
    fn clear(&self, _: &str) -> Result<()> {
        Err(Error::system("nft: program not found"))
    }
}

#[test]
fn a_host_without_nft() {
    isolated(async |dir| {
        let missing = Arc::new(Missing(Mutex::new(0)));
        let e = BridgeNetwork::ensure_with(config("wt0"), dir, missing.clone()).await.map(drop).unwrap_err();
        assert!(e.message().contains("nft: program not found. Without it containers cannot reach other networks"), "{e}");
        BridgeNetwork::ensure_with(BridgeConfig { ip_masq: false, ..config("wt0") }, dir, missing.clone()).await.map(drop).unwrap();
        let network = BridgeNetwork::ensure_with(BridgeConfig { firewall: false, ..config("wt0") }, dir, missing.clone()).await.unwrap();
        assert_eq!(*missing.0.lock().unwrap(), 2, "not asked when firewall rules are off");
        network.remove().await.unwrap();
    });
}

#[test]
fn a_foreign_interface_is_left_alone() {
    isolated(async |dir| {
        ip("link add wt0 type veth");
        let e = BridgeNetwork::ensure(config("wt0"), dir).await.map(drop).unwrap_err();
        assert_eq!(e.message(), "bridge wt0: there is an interface of this name that is no bridge");
    });
}
