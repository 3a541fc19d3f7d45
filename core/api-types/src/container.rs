//! What a container is asked to be: `Config`, `HostConfig` and the create body. Docker persists and echoes these.

use crate::{
    mount::Mount,
    network::{NetworkingConfig, PortBinding},
    wire::Fields,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// Go's `map[string]struct{}`: names with nothing behind them.
pub type NameSet = BTreeMap<String, Empty>;

/// Go's `struct{}`; reads `{}` and `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(d).map(|_| Self {})
    }
}

/// A command line: on input a string or an array, on output always an array (`Cmd`, `Entrypoint`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(from = "StringOrList")]
pub struct StrSlice(pub Vec<String>);

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum StringOrList {
    One(String),
    Many(Vec<String>),
}

impl From<StringOrList> for StrSlice {
    fn from(form: StringOrList) -> Self {
        Self(match form {
            StringOrList::One(s) => vec![s],
            StringOrList::Many(v) => v,
        })
    }
}

wire! {
    /// What the image and the user say about the process, independent of the host.
    Config {
        "Hostname" hostname: String,
        "Domainname" domainname: String,
        "User" user: String,
        "AttachStdin" attach_stdin: bool,
        "AttachStdout" attach_stdout: bool,
        "AttachStderr" attach_stderr: bool,
        ? "ExposedPorts" exposed_ports: NameSet,
        "Tty" tty: bool,
        "OpenStdin" open_stdin: bool,
        "StdinOnce" stdin_once: bool,
        "Env" env: Option<Vec<String>>,
        "Cmd" cmd: Option<StrSlice>,
        ? "Healthcheck" healthcheck: Option<HealthConfig>,
        ? "ArgsEscaped" args_escaped: bool,
        "Image" image: String,
        "Volumes" volumes: Option<NameSet>,
        "WorkingDir" working_dir: String,
        "Entrypoint" entrypoint: Option<StrSlice>,
        ? "NetworkDisabled" network_disabled: bool,
        ? "MacAddress" mac_address: String,
        ? "OnBuild" on_build: Vec<String>,
        "Labels" labels: BTreeMap<String, String>,
        ? "StopSignal" stop_signal: String,
        ? "StopTimeout" stop_timeout: Option<i64>,
        ? "Shell" shell: Option<StrSlice>,
    }
}
wire! {
    /// A health check; times in nanoseconds, 0 means inherit or the default.
    HealthConfig {
        ? "Test" test: Vec<String>,
        ? "Interval" interval: i64,
        ? "Timeout" timeout: i64,
        ? "StartPeriod" start_period: i64,
        ? "StartInterval" start_interval: i64,
        ? "Retries" retries: i64,
    }
}
wire! {
    /// What the host is asked to give to the container. Sizes in bytes, times in microseconds unless named otherwise.
    HostConfig {
        "Binds" binds: Option<Vec<String>>,
        "ContainerIDFile" container_id_file: String,
        "LogConfig" log_config: LogConfig,
        "NetworkMode" network_mode: String,
        "PortBindings" port_bindings: BTreeMap<String, Option<Vec<PortBinding>>>,
        "RestartPolicy" restart_policy: RestartPolicy,
        "AutoRemove" auto_remove: bool,
        "VolumeDriver" volume_driver: String,
        "VolumesFrom" volumes_from: Option<Vec<String>>,
        "ConsoleSize" console_size: [u16; 2],
        ? "Annotations" annotations: BTreeMap<String, String>,
        "CapAdd" cap_add: Option<Vec<String>>,
        "CapDrop" cap_drop: Option<Vec<String>>,
        "CgroupnsMode" cgroupns_mode: String,
        "Dns" dns: Option<Vec<String>>,
        "DnsOptions" dns_options: Option<Vec<String>>,
        "DnsSearch" dns_search: Option<Vec<String>>,
        "ExtraHosts" extra_hosts: Option<Vec<String>>,
        "GroupAdd" group_add: Option<Vec<String>>,
        "IpcMode" ipc_mode: String,
        "Cgroup" cgroup: String,
        "Links" links: Option<Vec<String>>,
        "OomScoreAdj" oom_score_adj: i64,
        "PidMode" pid_mode: String,
        "Privileged" privileged: bool,
        "PublishAllPorts" publish_all_ports: bool,
        "ReadonlyRootfs" readonly_rootfs: bool,
        "SecurityOpt" security_opt: Option<Vec<String>>,
        ? "StorageOpt" storage_opt: BTreeMap<String, String>,
        ? "Tmpfs" tmpfs: BTreeMap<String, String>,
        "UTSMode" uts_mode: String,
        "UsernsMode" userns_mode: String,
        "ShmSize" shm_size: i64,
        ? "Sysctls" sysctls: BTreeMap<String, String>,
        ? "Runtime" runtime: String,
        "Isolation" isolation: String,
        "CpuShares" cpu_shares: i64,
        "Memory" memory: i64,
        "NanoCpus" nano_cpus: i64,
        "CgroupParent" cgroup_parent: String,
        "BlkioWeight" blkio_weight: u16,
        "BlkioWeightDevice" blkio_weight_device: Option<Vec<WeightDevice>>,
        "BlkioDeviceReadBps" blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
        "BlkioDeviceWriteBps" blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
        "BlkioDeviceReadIOps" blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
        "BlkioDeviceWriteIOps" blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
        "CpuPeriod" cpu_period: i64,
        "CpuQuota" cpu_quota: i64,
        "CpuRealtimePeriod" cpu_realtime_period: i64,
        "CpuRealtimeRuntime" cpu_realtime_runtime: i64,
        "CpusetCpus" cpuset_cpus: String,
        "CpusetMems" cpuset_mems: String,
        "Devices" devices: Option<Vec<DeviceMapping>>,
        "DeviceCgroupRules" device_cgroup_rules: Option<Vec<String>>,
        "DeviceRequests" device_requests: Option<Vec<Value>>,
        ? "KernelMemory" kernel_memory: i64,
        ? "KernelMemoryTCP" kernel_memory_tcp: i64,
        "MemoryReservation" memory_reservation: i64,
        "MemorySwap" memory_swap: i64,
        "MemorySwappiness" memory_swappiness: Option<i64>,
        "OomKillDisable" oom_kill_disable: Option<bool>,
        "PidsLimit" pids_limit: Option<i64>,
        "Ulimits" ulimits: Option<Vec<Ulimit>>,
        "CpuCount" cpu_count: i64,
        "CpuPercent" cpu_percent: i64,
        "IOMaximumIOps" io_maximum_iops: u64,
        "IOMaximumBandwidth" io_maximum_bandwidth: u64,
        ? "Mounts" mounts: Vec<Mount>,
        "MaskedPaths" masked_paths: Option<Vec<String>>,
        "ReadonlyPaths" readonly_paths: Option<Vec<String>>,
        ? "Init" init: Option<bool>,
    }
}
wire! {
    /// The log driver and its options.
    LogConfig {
        "Type" kind: String,
        "Config" config: BTreeMap<String, String>,
    }
}
wire! {
    /// What happens when the process ends: `no`, `always`, `unless-stopped`, `on-failure`.
    RestartPolicy {
        "Name" name: String,
        "MaximumRetryCount" maximum_retry_count: i64,
    }
}
wire! {
    /// A block device's weight, 10 to 1000.
    WeightDevice {
        "Path" path: String,
        "Weight" weight: u16,
    }
}
wire! {
    /// A block device's limit, in bytes or operations per second.
    ThrottleDevice {
        "Path" path: String,
        "Rate" rate: u64,
    }
}
wire! {
    /// A host device given to the container.
    DeviceMapping {
        "PathOnHost" path_on_host: String,
        "PathInContainer" path_in_container: String,
        "CgroupPermissions" cgroup_permissions: String,
    }
}
wire! {
    /// A resource limit (`getrlimit(2)`), -1 meaning unlimited.
    Ulimit {
        "Name" name: String,
        "Hard" hard: i64,
        "Soft" soft: i64,
    }
}

/// Body of `POST /containers/create`: `Config`'s fields beside `HostConfig` and `NetworkingConfig`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self")]
pub struct ContainerCreate {
    /// The fields of `Config`, at the top level of the body.
    #[serde(flatten)]
    pub config: Config,
    /// `HostConfig`.
    #[serde(rename = "HostConfig", default, deserialize_with = "crate::nullable")]
    pub host_config: HostConfig,
    /// `NetworkingConfig`.
    #[serde(rename = "NetworkingConfig", default, deserialize_with = "crate::nullable")]
    pub networking_config: NetworkingConfig,
    /// What old clients say at the top level.
    #[serde(flatten)]
    pub misplaced: Misplaced,
}

impl Serialize for ContainerCreate {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, s)
    }
}

impl<'de> Deserialize<'de> for ContainerCreate {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::deserialize(Fields(d, &["HostConfig", "NetworkingConfig"]))
    }
}

wire! {
    /// Fields of `HostConfig` that were at the top level of the create body before there was one in it.
    Misplaced {
        ? "Memory" memory: i64,
        ? "MemorySwap" memory_swap: i64,
        ? "CpuShares" cpu_shares: i64,
        ? "CpusetCpus" cpuset_cpus: String,
        ? "Cpuset" cpuset: String,
        ? "VolumeDriver" volume_driver: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_strings_are_read_as_go_reads_them() {
        let body = r#"{"Image":"busybox","Cmd":"true","Env":null,"Tty":null,"Labels":null,"HostConfig":{"Binds":null,"Memory":null},"NetworkingConfig":null}"#;
        let c: ContainerCreate = serde_json::from_str(body).unwrap();
        assert_eq!(c.config.cmd, Some(StrSlice(vec!["true".into()])));
        assert_eq!(c.host_config, HostConfig::default());
    }

    #[test]
    fn keys_are_read_in_any_case() {
        let body = r#"{"image":"a","HOSTCONFIG":{"privileged":true,"Memory":1},"labels":{"Image":"b"},"cpushares":3,"unknown":1}"#;
        let c: ContainerCreate = serde_json::from_str(body).unwrap();
        assert_eq!((c.config.image.as_str(), c.host_config.privileged, c.host_config.memory), ("a", true, 1));
        assert_eq!((c.config.labels["Image"].as_str(), c.misplaced.cpu_shares), ("b", 3));
        let host: HostConfig = serde_json::from_value(serde_json::json!({"privileged": true, "BINDS": ["/a:/b"]})).unwrap();
        assert_eq!((host.privileged, host.binds), (true, Some(vec!["/a:/b".to_owned()])));
        // Nobody shall read one and another the other.
        assert!(serde_json::from_str::<HostConfig>(r#"{"Privileged":false,"privileged":true}"#).is_err());
        assert!(serde_json::from_str::<ContainerCreate>(r#"{"HostConfig":{},"hostconfig":{"privileged":true}}"#).is_err());
    }

    #[test]
    fn arrays_are_no_objects() {
        for body in ["[]", r#"{"HostConfig":[]}"#, r#"{"Healthcheck":[["CMD"]]}"#, r#"{"HostConfig":{"Devices":[["/dev/null"]]}}"#] {
            assert!(serde_json::from_str::<ContainerCreate>(body).is_err(), "{body}");
        }
        assert!(serde_json::from_str::<HostConfig>("[null]").is_err());
    }

    #[test]
    fn zero_values_are_printed() {
        let v = serde_json::to_value(HostConfig::default()).unwrap();
        assert_eq!(v["Binds"], Value::Null);
        assert_eq!(v["PortBindings"], serde_json::json!({}));
        assert_eq!(v["ConsoleSize"], serde_json::json!([0, 0]));
        assert!(v.get("Annotations").is_none() && v.get("Init").is_none());
        let v = serde_json::to_value(Config::default()).unwrap();
        assert!(v.get("Healthcheck").is_none() && v["Cmd"].is_null() && v["Labels"] == serde_json::json!({}));
    }
}
