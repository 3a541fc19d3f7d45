//! How a container reaches the world: the default bridge, network namespaces, addresses, the firewall, and the files
//! (`/etc/hosts`, `/etc/resolv.conf`) that describe it all to a process.
//!
//! Not here: which container is attached to what (the engine's records own that; leases are derived from them at boot),
//! and the namespace switch of the container's process (the monitor does that).
//!
//! Start with [`bridge`], which joins the others; [`files`] and [`firewall`] hold the pure rendering.

pub mod bridge;
mod endpoint;
pub mod files;
pub mod firewall;
pub mod ipam;
mod netlink;
pub mod netns;

pub use bridge::{BridgeConfig, BridgeNetwork};
pub use endpoint::{Endpoint, EndpointRequest, Mac};
