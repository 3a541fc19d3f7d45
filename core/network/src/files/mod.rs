//! The files that the engine writes for a container because they tell of the network. Rendering is pure; the engine mounts them.

mod extra_hosts;
mod hosts;
mod resolv;

pub use extra_hosts::extra_hosts;
pub use hosts::{HostsInput, hosts, hosts_of_host};
pub use resolv::{ResolvInput, host_resolv_conf, resolv_conf};
