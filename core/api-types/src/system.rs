//! `GET /info` and `GET /version`.

use crate::{image::ImageSummary, summary::ContainerSummary};
use serde_json::Value;
use std::collections::BTreeMap;

wire! {
    /// Answer of `/info`. Fields that may be left out are absent in some API versions.
    Info {
        "ID" id: String,
        "Containers" containers: usize,
        "ContainersRunning" containers_running: usize,
        "ContainersPaused" containers_paused: usize,
        "ContainersStopped" containers_stopped: usize,
        "Images" images: usize,
        "Driver" driver: String,
        "DriverStatus" driver_status: Vec<(String, String)>,
        "Plugins" plugins: PluginsInfo,
        "MemoryLimit" memory_limit: bool,
        "SwapLimit" swap_limit: bool,
        "CpuCfsPeriod" cpu_cfs_period: bool,
        "CpuCfsQuota" cpu_cfs_quota: bool,
        "CPUShares" cpu_shares: bool,
        "CPUSet" cpu_set: bool,
        ? "KernelMemory" kernel_memory: Option<bool>,
        ? "KernelMemoryTCP" kernel_memory_tcp: Option<bool>,
        "PidsLimit" pids_limit: bool,
        "IPv4Forwarding" ipv4_forwarding: bool,
        ? "BridgeNfIptables" bridge_nf_iptables: Option<bool>,
        ? "BridgeNfIp6tables" bridge_nf_ip6tables: Option<bool>,
        "Debug" debug: bool,
        "NFd" n_fd: usize,
        "OomKillDisable" oom_kill_disable: bool,
        "NGoroutines" n_goroutines: usize,
        "SystemTime" system_time: String,
        "LoggingDriver" logging_driver: String,
        "CgroupDriver" cgroup_driver: String,
        ? "CgroupVersion" cgroup_version: String,
        "NEventsListener" n_events_listener: usize,
        "KernelVersion" kernel_version: String,
        "OperatingSystem" operating_system: String,
        "OSVersion" os_version: String,
        "OSType" os_type: String,
        "Architecture" architecture: String,
        "IndexServerAddress" index_server_address: String,
        "RegistryConfig" registry_config: RegistryConfig,
        "NCPU" ncpu: usize,
        "MemTotal" mem_total: u64,
        "GenericResources" generic_resources: Option<Vec<String>>,
        "DockerRootDir" docker_root_dir: String,
        "HttpProxy" http_proxy: String,
        "HttpsProxy" https_proxy: String,
        "NoProxy" no_proxy: String,
        "Name" name: String,
        "Labels" labels: Vec<String>,
        "ExperimentalBuild" experimental_build: bool,
        "ServerVersion" server_version: String,
        ? "ExecutionDriver" execution_driver: String,
        "Runtimes" runtimes: BTreeMap<String, RuntimeInfo>,
        "DefaultRuntime" default_runtime: String,
        "Swarm" swarm: SwarmInfo,
        "LiveRestoreEnabled" live_restore_enabled: bool,
        "Isolation" isolation: String,
        "InitBinary" init_binary: String,
        "ContainerdCommit" containerd_commit: CommitInfo,
        "RuncCommit" runc_commit: CommitInfo,
        "InitCommit" init_commit: CommitInfo,
        "SecurityOptions" security_options: Vec<String>,
        ? "FirewallBackend" firewall_backend: Option<FirewallInfo>,
        "CDISpecDirs" cdi_spec_dirs: Vec<String>,
        "Warnings" warnings: Vec<String>,
    }
}
wire! {
    /// Drivers by kind.
    PluginsInfo {
        "Volume" volume: Vec<String>,
        "Network" network: Vec<String>,
        "Authorization" authorization: Option<Vec<String>>,
        "Log" log: Vec<String>,
    }
}
wire! {
    /// What the engine believes of registries.
    RegistryConfig {
        ? "AllowNondistributableArtifactsCIDRs" allow_nondistributable_artifacts_cidrs: Option<serde_json::Value>,
        ? "AllowNondistributableArtifactsHostnames" allow_nondistributable_artifacts_hostnames: Option<serde_json::Value>,
        "InsecureRegistryCIDRs" insecure_registry_cidrs: Vec<String>,
        "IndexConfigs" index_configs: BTreeMap<String, IndexInfo>,
        "Mirrors" mirrors: Vec<String>,
    }
}
wire! {
    /// One registry.
    IndexInfo {
        "Name" name: String,
        "Mirrors" mirrors: Vec<String>,
        "Secure" secure: bool,
        "Official" official: bool,
    }
}
wire! {
    /// One OCI runtime.
    RuntimeInfo {
        ? "path" path: String,
        ? "runtimeArgs" runtime_args: Vec<String>,
    }
}
wire! {
    /// The swarm that this engine is not part of.
    SwarmInfo {
        "NodeID" node_id: String,
        "NodeAddr" node_addr: String,
        "LocalNodeState" local_node_state: String,
        "ControlAvailable" control_available: bool,
        "Error" error: String,
        "RemoteManagers" remote_managers: Option<Vec<String>>,
    }
}
wire! {
    /// A component's commit; `Expected` exists below API 1.49.
    CommitInfo {
        "ID" id: String,
        ? "Expected" expected: Option<String>,
    }
}
wire! {
    /// How packets are filtered.
    FirewallInfo {
        "Driver" driver: String,
    }
}
wire! {
    /// Answer of `/version`.
    VersionResponse {
        "Platform" platform: PlatformName,
        "Version" version: String,
        "ApiVersion" api_version: String,
        "MinAPIVersion" min_api_version: String,
        "Os" os: String,
        "Arch" arch: String,
        "Components" components: Vec<Component>,
        "GitCommit" git_commit: String,
        "GoVersion" go_version: String,
        "KernelVersion" kernel_version: String,
        ? "Experimental" experimental: bool,
        "BuildTime" build_time: String,
    }
}
wire! {
    /// The product's name.
    PlatformName {
        "Name" name: String,
    }
}
wire! {
    /// A part of the engine with its own version.
    Component {
        "Name" name: String,
        "Version" version: String,
        "Details" details: BTreeMap<String, String>,
    }
}

wire! {
    /// Answer of `/system/df`: the lists up to 1.51 (null when they were not asked for), the sums from 1.52 on. There is no build
    /// cache.
    DiskUsage {
        ? "ImageUsage" image_usage: Option<Usage<ImageSummary>>,
        ? "ContainerUsage" container_usage: Option<Usage<ContainerSummary>>,
        ? "VolumeUsage" volume_usage: Option<Usage<Value>>,
        ? "BuildCacheUsage" build_cache_usage: Option<Usage<Value>>,
        ? "LayersSize" layers_size: Option<u64>,
        ? "Images" images: Option<Option<Vec<ImageSummary>>>,
        ? "Containers" containers: Option<Option<Vec<ContainerSummary>>>,
        ? "Volumes" volumes: Option<Option<Vec<Value>>>,
        ? "BuildCache" build_cache: Option<Option<Vec<Value>>>,
        ? "BuilderSize" builder_size: Option<u64>,
    }
}

/// How much space the objects of one kind take, in bytes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "{T}Usage"))]
#[serde(rename_all = "PascalCase")]
pub struct Usage<T> {
    /// Objects in use.
    pub active_count: usize,
    /// All objects.
    pub total_count: usize,
    /// What those that are not in use take.
    pub reclaimable: u64,
    /// What all take.
    pub total_size: u64,
    /// The objects, when they were asked for.
    #[serde(default = "Vec::<T>::new", skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<T>,
}

impl<T> Default for Usage<T> {
    fn default() -> Self {
        Self { active_count: 0, total_count: 0, reclaimable: 0, total_size: 0, items: Vec::new() }
    }
}
