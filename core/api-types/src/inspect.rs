//! `GET /containers/{id}/json` and the small answers of the other container endpoints.

use crate::{
    container::{Config, HostConfig},
    mount::MountPoint,
    network::{EndpointSettings, PortBinding},
};
use serde_json::Value;
use std::collections::BTreeMap;

wire! {
    /// Everything about a container. `Mounts` came with 1.20, which took `Volumes` and `VolumesRW` away.
    ContainerInspect {
        "Id" id: String,
        "Created" created: String,
        "Path" path: String,
        "Args" args: Vec<String>,
        "State" state: StateInspect,
        "Image" image: String,
        "ResolvConfPath" resolv_conf_path: String,
        "HostnamePath" hostname_path: String,
        "HostsPath" hosts_path: String,
        "LogPath" log_path: String,
        "Name" name: String,
        "RestartCount" restart_count: u32,
        "Driver" driver: String,
        "Platform" platform: String,
        "MountLabel" mount_label: String,
        "ProcessLabel" process_label: String,
        "AppArmorProfile" app_armor_profile: String,
        "ExecIDs" exec_ids: Option<Vec<String>>,
        "HostConfig" host_config: WithOlder<HostConfig>,
        ? "GraphDriver" graph_driver: Option<GraphDriver>,
        ? "SizeRw" size_rw: Option<i64>,
        ? "SizeRootFs" size_root_fs: Option<i64>,
        ? "Mounts" mounts: Option<Vec<MountPoint>>,
        "Config" config: WithOlder<Config>,
        "NetworkSettings" network_settings: NetworkSettings,
        ? "Volumes" volumes: Option<BTreeMap<String, String>>,
        ? "VolumesRW" volumes_rw: Option<BTreeMap<String, bool>>,
    }
}
/// A configuration, with what was part of it in older API versions, or shown although it was empty.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WithOlder<T> {
    /// The fields of every version.
    #[serde(flatten)]
    pub config: T,
    /// Fields that newer versions do not have here.
    #[serde(flatten)]
    pub older: serde_json::Map<String, Value>,
}

wire! {
    /// The state of a container; times in RFC 3339, `0001-01-01T00:00:00Z` for never.
    StateInspect {
        "Status" status: String,
        "Running" running: bool,
        "Paused" paused: bool,
        "Restarting" restarting: bool,
        "OOMKilled" oom_killed: bool,
        "Dead" dead: bool,
        "Pid" pid: i32,
        "ExitCode" exit_code: i32,
        "Error" error: String,
        "StartedAt" started_at: String,
        "FinishedAt" finished_at: String,
        ? "Health" health: Option<HealthInspect>,
    }
}
wire! {
    /// What the health check of a container found.
    HealthInspect {
        "Status" status: String,
        "FailingStreak" failing_streak: u32,
        "Log" log: Vec<HealthLogEntry>,
    }
}
wire! {
    /// One run of a health check; times in RFC 3339.
    HealthLogEntry {
        "Start" start: String,
        "End" end: String,
        "ExitCode" exit_code: i32,
        "Output" output: String,
    }
}
wire! {
    /// The snapshotter and its directories.
    GraphDriver {
        "Data" data: BTreeMap<String, String>,
        "Name" name: String,
    }
}
wire! {
    /// The network of a container. The fields that may be left out are those of API versions below 1.52, and `Networks`, which came
    /// with 1.21.
    NetworkSettings {
        ? "Bridge" bridge: Option<String>,
        "SandboxID" sandbox_id: String,
        "SandboxKey" sandbox_key: String,
        "Ports" ports: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
        ? "HairpinMode" hairpin_mode: Option<bool>,
        ? "LinkLocalIPv6Address" link_local_ipv6_address: Option<String>,
        ? "LinkLocalIPv6PrefixLen" link_local_ipv6_prefix_len: Option<u8>,
        ? "SecondaryIPAddresses" secondary_ip_addresses: Option<Value>,
        ? "SecondaryIPv6Addresses" secondary_ipv6_addresses: Option<Value>,
        ? "EndpointID" endpoint_id: Option<String>,
        ? "Gateway" gateway: Option<String>,
        ? "GlobalIPv6Address" global_ipv6_address: Option<String>,
        ? "GlobalIPv6PrefixLen" global_ipv6_prefix_len: Option<u8>,
        ? "IPAddress" ip_address: Option<String>,
        ? "IPPrefixLen" ip_prefix_len: Option<u8>,
        ? "IPv6Gateway" ipv6_gateway: Option<String>,
        ? "MacAddress" mac_address: Option<String>,
        ? "Networks" networks: Option<BTreeMap<String, EndpointSettings>>,
    }
}
wire! {
    /// Answer of container create. `Warnings` is never null.
    CreateResponse {
        "Id" id: String,
        "Warnings" warnings: Vec<String>,
    }
}
wire! {
    /// Answer of container update. `Warnings` is never null.
    UpdateResponse {
        "Warnings" warnings: Vec<String>,
    }
}
wire! {
    /// Body of the copy of before 1.20.
    CopyRequest {
        "Resource" resource: String,
    }
}
wire! {
    /// A path that a container changed: 0 modified, 1 added, 2 deleted.
    FileChange {
        "Path" path: String,
        "Kind" kind: u8,
    }
}
wire! {
    /// An id alone.
    IdResponse {
        "Id" id: String,
    }
}
wire! {
    /// Answer of wait.
    WaitResponse {
        "StatusCode" status_code: i64,
        ? "Error" error: Option<WaitError>,
    }
}
wire! {
    /// Why a waited-for removal failed.
    WaitError {
        "Message" message: String,
    }
}
wire! {
    /// Answer of top.
    TopResponse {
        "Titles" titles: Vec<String>,
        "Processes" processes: Vec<Vec<String>>,
    }
}
wire! {
    /// Answer of container prune.
    PruneResponse {
        "ContainersDeleted" containers_deleted: Option<Vec<String>>,
        "SpaceReclaimed" space_reclaimed: u64,
    }
}
