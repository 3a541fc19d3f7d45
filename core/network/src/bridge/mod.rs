//! The default bridge network: one Linux bridge, a veth pair per container, addresses from one subnet.
//!
//! [`config`] chooses the address, [`setup`] makes the host ready, [`wiring`] connects a container.
//! The network keeps no list of its endpoints on disk: the containers' records are the truth, see [`BridgeNetwork::adopt`].

mod config;
mod record;
mod setup;
#[cfg(test)]
mod tests;
mod wiring;

pub use config::BridgeConfig;

use crate::{
    endpoint::{Endpoint, EndpointRequest, Mac},
    firewall::{Firewall, Nft},
    ipam::{Ipam, Pool},
    netlink::Socket,
};
use ipnet::Ipv4Net;
use std::{collections::HashSet, net::Ipv4Addr, path::Path, sync::Arc, thread, time::Duration};
use tokio::{sync::oneshot, task::spawn_blocking};
use wharf_types::{ContainerId, Error, Result, error::Context};

/// The network's name in the API.
const NAME: &str = "bridge";
/// The host's ends are called this and the first [`VETH_DIGITS`] digits of the endpoint's id: 15 characters, the kernel's limit.
const VETH_PREFIX: &str = "veth";
const VETH_DIGITS: usize = 11;

/// How long a disconnected pair may wait for the end of its namespace. To delete it takes the kernel tens of milliseconds, during
/// which no other container can be connected; together with the namespace, and with others, much less.
const LINGER: Duration = Duration::from_secs(1);

/// The default bridge network, ready for use. Clones are the same network.
#[derive(Clone)]
pub struct BridgeNetwork(Arc<Inner>);

struct Inner {
    config: BridgeConfig,
    network_id: String,
    address: Ipv4Net,
    index: u32,
    ipam: Box<dyn Ipam>,
    firewall: Arc<dyn Firewall>,
}

impl BridgeNetwork {
    /// Creates the bridge, or adopts the one that is there, and installs its firewall rules with `nft`. The address that is chosen
    /// once stays: `state_dir` remembers it, and the network's id.
    ///
    /// # Errors
    /// When the options contradict each other or the host lacks something; the text says what containers would lose.
    pub async fn ensure(config: BridgeConfig, state_dir: &Path) -> Result<Self> {
        Self::ensure_with(config, state_dir, Arc::new(Nft::default())).await
    }

    /// [`BridgeNetwork::ensure`] with another packet filter.
    ///
    /// # Errors
    /// As there.
    pub async fn ensure_with(config: BridgeConfig, state_dir: &Path, firewall: Arc<dyn Firewall>) -> Result<Self> {
        let state_dir = state_dir.to_owned();
        blocking(move || {
            let ready = setup::set_up(&config, &state_dir, &*firewall)?;
            let address = ready.record.address;
            let gateways: Vec<Ipv4Addr> = config.default_gateway.into_iter().chain([address.addr()]).collect();
            let ipam = Box::new(Pool::new(NAME, address, config.fixed_cidr, &gateways));
            let network_id = ready.record.network_id;
            Ok(Self(Arc::new(Inner { config, network_id, address, index: ready.index, ipam, firewall })))
        })
        .await
    }

    /// The network's id, 64 hex digits, the same in every run.
    pub fn network_id(&self) -> &str {
        &self.0.network_id
    }

    /// Where containers send what leaves the subnet.
    pub fn gateway(&self) -> Ipv4Addr {
        self.0.config.default_gateway.unwrap_or(self.0.address.addr())
    }

    /// The bridge's own address on the host: what `host-gateway` stands for.
    pub fn bridge_address(&self) -> Ipv4Addr {
        self.0.address.addr()
    }

    /// Whether packets are filtered (`--iptables`).
    pub fn has_firewall(&self) -> bool {
        self.0.config.firewall
    }

    /// The subnet.
    pub fn subnet(&self) -> Ipv4Net {
        self.0.address.trunc()
    }

    /// Leases an address and connects the network namespace at `netns` with an interface `eth0`. Dropping the future undoes it.
    ///
    /// # Errors
    /// Those of [`Ipam::lease`], and what the kernel refuses. Nothing is left behind.
    pub async fn attach(&self, owner: &ContainerId, netns: &Path, request: EndpointRequest) -> Result<Endpoint> {
        let (network, netns) = (self.clone(), netns.to_owned());
        let (sender, receiver) = oneshot::channel();
        // A thread of its own, because it ends up in the container's namespace.
        thread::Builder::new()
            .name("attach".to_owned())
            .spawn(move || {
                let _ = sender.send(network.attach_here(&netns, request));
            })
            .context("start a thread")?;
        let attached = receiver.await.unwrap_or_else(|_| Err(Error::system("the thread panicked")));
        attached.and_then(Unclaimed::claim).map_err(|e| e.context(format!("container {}", owner.short())))
    }

    /// Moves the calling thread into the container's namespace.
    fn attach_here(&self, netns: &Path, request: EndpointRequest) -> Result<Unclaimed> {
        let inner = &self.0;
        let mut host = open()?;
        let endpoint_id = record::random_id()?;
        let address = inner.ipam.lease(&endpoint_id, request.address)?;
        let endpoint = Endpoint {
            network_id: inner.network_id.clone(),
            address,
            prefix_len: inner.address.prefix_len(),
            gateway: self.gateway(),
            mac: request.mac.unwrap_or_else(|| Mac::for_address(address)),
            host_veth: format!("{VETH_PREFIX}{}", endpoint_id.get(..VETH_DIGITS).unwrap_or(&endpoint_id)),
            endpoint_id,
        };
        let plug = wiring::Plug { bridge: inner.index, mtu: inner.config.mtu, isolated: !inner.config.icc };
        match wiring::connect(&mut host, &endpoint, netns, &plug) {
            Ok(()) => Ok(Unclaimed { network: self.clone(), host, endpoint: Some(endpoint) }),
            Err(e) => {
                inner.ipam.release(&endpoint.endpoint_id, address);
                Err(e)
            }
        }
    }

    /// Disconnects a container that is over and frees its address. Nothing happens when that was done before.
    ///
    /// No packet passes any more when this returns. The interface itself disappears with its namespace, which the kernel does
    /// cheaply in the background; a namespace that lives on loses it after a second, and cannot be attached again before.
    ///
    /// # Errors
    /// When the kernel refuses; the address stays leased.
    pub async fn detach(&self, endpoint: &Endpoint) -> Result<()> {
        let (network, endpoint) = (self.clone(), endpoint.clone());
        let lingering = blocking(move || {
            let lingering = wiring::silence(&mut open()?, &endpoint.host_veth)?;
            network.0.ipam.release(&endpoint.endpoint_id, endpoint.address);
            Ok(lingering.then_some(endpoint.host_veth))
        })
        .await?;
        if let Some(host_veth) = lingering {
            tokio::spawn(async move {
                tokio::time::sleep(LINGER).await;
                if let Err(e) = blocking(move || wiring::disconnect(&mut open()?, &host_veth)).await {
                    tracing::warn!("{e}");
                }
            });
        }
        Ok(())
    }

    /// At boot: takes the lease of a container that runs.
    ///
    /// # Errors
    /// When the endpoint belongs to another network, or its address is not one of this network (any more) or taken.
    pub fn adopt(&self, owner: &ContainerId, endpoint: &Endpoint) -> Result<()> {
        let context = || format!("container {}: address {}", owner.short(), endpoint.address);
        if endpoint.network_id != self.0.network_id {
            return Err(Error::invalid(format!("{}: not of this network", context())));
        }
        self.0.ipam.lease(&endpoint.endpoint_id, Some(endpoint.address)).map(drop).map_err(|e| e.context(context()))
    }

    /// At boot: removes the host's ends that no live endpoint owns, as an interrupted run leaves them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub async fn sweep(&self, live: &[Endpoint]) -> Result<()> {
        let live: HashSet<String> = live.iter().map(|e| e.host_veth.clone()).collect();
        let bridge = self.0.index;
        blocking(move || {
            let mut socket = open()?;
            for link in setup::links(&mut socket)? {
                let ours = link.is_veth && link.bridge == Some(bridge) && link.name.starts_with(VETH_PREFIX);
                if ours && !live.contains(&link.name) {
                    tracing::info!(link = link.name, "removing the network interface of a container that is gone");
                    wiring::disconnect(&mut socket, &link.name)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes the bridge and its firewall rules.
    ///
    /// # Errors
    /// When the host refuses.
    pub async fn remove(self) -> Result<()> {
        blocking(move || {
            wiring::disconnect(&mut open()?, &self.0.config.name)?;
            if self.0.config.firewall { self.0.firewall.clear(&self.0.config.name) } else { Ok(()) }
        })
        .await
    }
}

/// An endpoint on its way to the caller of [`BridgeNetwork::attach`], who may be gone: then it is undone.
struct Unclaimed {
    network: BridgeNetwork,
    /// In the host's namespace, whatever thread drops this.
    host: Socket,
    endpoint: Option<Endpoint>,
}

impl Unclaimed {
    fn claim(mut self) -> Result<Endpoint> {
        self.endpoint.take().ok_or_else(|| Error::system("an endpoint was claimed twice"))
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            // Nobody is left to report to. A pair that stays is removed with its namespace or by the next sweep.
            let _ = wiring::disconnect(&mut self.host, &endpoint.host_veth);
            self.network.0.ipam.release(&endpoint.endpoint_id, endpoint.address);
        }
    }
}

fn open() -> Result<Socket> {
    Socket::open().context("open a netlink socket")
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(f).await.context("network task")?
}
