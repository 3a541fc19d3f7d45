//! `GET /containers/json`: one container in a list.

use crate::{mount::MountPoint, network::EndpointSettings};
use std::collections::BTreeMap;

wire! {
    /// A container in a list.
    ContainerSummary {
        "Id" id: String,
        "Names" names: Vec<String>,
        "Image" image: String,
        "ImageID" image_id: String,
        "Command" command: String,
        "Created" created: i64,
        "Ports" ports: Vec<PortSummary>,
        ? "SizeRw" size_rw: i64,
        ? "SizeRootFs" size_root_fs: i64,
        "Labels" labels: BTreeMap<String, String>,
        "State" state: String,
        "Status" status: String,
        "HostConfig" host_config: HostConfigSummary,
        ? "Health" health: Option<HealthSummary>,
        "NetworkSettings" network_settings: NetworkSettingsSummary,
        "Mounts" mounts: Vec<MountPoint>,
    }
}
wire! {
    /// An exposed or published port.
    PortSummary {
        ? "IP" ip: String,
        "PrivatePort" private_port: u16,
        ? "PublicPort" public_port: u16,
        "Type" kind: String,
    }
}
wire! {
    /// The part of `HostConfig` that a list shows.
    HostConfigSummary {
        ? "NetworkMode" network_mode: String,
        ? "Annotations" annotations: BTreeMap<String, String>,
    }
}
wire! {
    /// Health in a word: `none`, `starting`, `healthy`, `unhealthy`.
    HealthSummary {
        "Status" status: String,
        "FailingStreak" failing_streak: u32,
    }
}
wire! {
    /// Endpoints by network name.
    NetworkSettingsSummary {
        "Networks" networks: BTreeMap<String, EndpointSettings>,
    }
}
