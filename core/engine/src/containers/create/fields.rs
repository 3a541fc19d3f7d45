//! Every field of a create body, and what becomes of it. A new field of the wire types does not compile here until it is listed,
//! and one that is listed as refused is refused.

use super::{defaults, refuse};
use serde_json::{Value, json};
use wharf_api_types::{
    container::{Config, HostConfig},
    network::{EndpointIpamConfig, EndpointSettings, NetworkingConfig},
};
use wharf_types::Result;

/// What becomes of a field.
enum Fate {
    /// It is carried out.
    Honoured,
    /// It says something to other programs, and is kept for them.
    Told,
    /// A value that asks for something is refused, and the refusal names it.
    Refused(Value, &'static str),
    /// A value that asks for something is taken away with a warning.
    Discarded(Value),
    /// It is part of answers only.
    Answered,
}
use Fate::{Answered, Discarded, Honoured, Refused, Told};

/// Lists all fields of a struct, by destructuring it.
macro_rules! fates {
    ($ty:ident { $($field:ident: $fate:expr,)* }) => {{
        // Not to be run: it only has to compile.
        let _ = |all: $ty| { let $ty { $($field: _,)* } = all; };
        vec![$((stringify!($field), $fate),)*]
    }};
}

fn config() -> Vec<(&'static str, Fate)> {
    fates!(Config {
        hostname: Honoured,
        domainname: Honoured,
        user: Honoured,
        attach_stdin: Told,
        attach_stdout: Told,
        attach_stderr: Told,
        exposed_ports: Told,
        tty: Honoured,
        open_stdin: Honoured,
        stdin_once: Honoured,
        env: Honoured,
        cmd: Honoured,
        healthcheck: Honoured,
        args_escaped: Told,
        image: Honoured,
        volumes: Refused(json!({"Volumes": {"/v": {}}}), "/v"),
        working_dir: Honoured,
        entrypoint: Honoured,
        network_disabled: Honoured,
        mac_address: Honoured,
        on_build: Told,
        labels: Honoured,
        stop_signal: Honoured,
        stop_timeout: Honoured,
        shell: Honoured,
    })
}

fn host_config() -> Vec<(&'static str, Fate)> {
    fates!(HostConfig {
        binds: Honoured,
        container_id_file: Told,
        log_config: Honoured,
        network_mode: Honoured,
        port_bindings: Refused(json!({"PortBindings": {"80/tcp": null}}), "80/tcp"),
        restart_policy: Honoured,
        auto_remove: Honoured,
        volume_driver: Refused(json!({"VolumeDriver": "x"}), "VolumeDriver"),
        volumes_from: Refused(json!({"VolumesFrom": ["x"]}), "VolumesFrom"),
        console_size: Honoured,
        annotations: Honoured,
        cap_add: Honoured,
        cap_drop: Honoured,
        cgroupns_mode: Honoured,
        dns: Honoured,
        dns_options: Honoured,
        dns_search: Honoured,
        extra_hosts: Honoured,
        group_add: Honoured,
        ipc_mode: Honoured,
        cgroup: Refused(json!({"Cgroup": "x"}), "Cgroup"),
        links: Refused(json!({"Links": ["x:y"]}), "Links"),
        oom_score_adj: Honoured,
        pid_mode: Honoured,
        privileged: Honoured,
        publish_all_ports: Refused(json!({"PublishAllPorts": true}), "PublishAllPorts"),
        readonly_rootfs: Honoured,
        security_opt: Honoured,
        storage_opt: Refused(json!({"StorageOpt": {"size": "1G"}}), "StorageOpt"),
        tmpfs: Honoured,
        uts_mode: Honoured,
        userns_mode: Refused(json!({"UsernsMode": "x"}), "USER"),
        shm_size: Honoured,
        sysctls: Honoured,
        runtime: Honoured,
        isolation: Refused(json!({"Isolation": "hyperv"}), "isolation"),
        cpu_shares: Honoured,
        memory: Honoured,
        nano_cpus: Honoured,
        cgroup_parent: Honoured,
        blkio_weight: Honoured,
        blkio_weight_device: Honoured,
        blkio_device_read_bps: Honoured,
        blkio_device_write_bps: Honoured,
        blkio_device_read_iops: Honoured,
        blkio_device_write_iops: Honoured,
        cpu_period: Honoured,
        cpu_quota: Honoured,
        cpu_realtime_period: Honoured,
        cpu_realtime_runtime: Honoured,
        cpuset_cpus: Honoured,
        cpuset_mems: Honoured,
        devices: Honoured,
        device_cgroup_rules: Honoured,
        device_requests: Refused(json!({"DeviceRequests": [{"Driver": "nvidia"}]}), "DeviceRequests"),
        kernel_memory: Discarded(json!({"KernelMemory": 5})),
        kernel_memory_tcp: Discarded(json!({"KernelMemoryTCP": 5})),
        memory_reservation: Honoured,
        memory_swap: Honoured,
        memory_swappiness: Honoured,
        oom_kill_disable: Honoured,
        pids_limit: Honoured,
        ulimits: Honoured,
        cpu_count: Refused(json!({"CpuCount": 1}), "CpuCount"),
        cpu_percent: Refused(json!({"CpuPercent": 1}), "CpuPercent"),
        io_maximum_iops: Refused(json!({"IOMaximumIOps": 1}), "IOMaximumIOps"),
        io_maximum_bandwidth: Refused(json!({"IOMaximumBandwidth": 1}), "IOMaximumBandwidth"),
        mounts: Honoured,
        masked_paths: Honoured,
        readonly_paths: Honoured,
        init: Honoured,
    })
}

fn endpoint() -> Vec<(&'static str, Fate)> {
    let _ = |all: EndpointIpamConfig| {
        let EndpointIpamConfig { ipv4_address: _, ipv6_address: _, link_local_ips: _ } = all;
    };
    fates!(EndpointSettings {
        ipam_config: Refused(json!({"IPAMConfig": {"IPv4Address": "172.17.0.9"}}), "user-specified IP address"),
        links: Refused(json!({"Links": ["x:y"]}), "Links"),
        aliases: Refused(json!({"Aliases": ["x"]}), "network-scoped aliases"),
        driver_opts: Refused(json!({"DriverOpts": {"x": "y"}}), "DriverOpts"),
        gw_priority: Told,
        network_id: Answered,
        endpoint_id: Answered,
        gateway: Answered,
        ip_address: Answered,
        mac_address: Honoured,
        ip_prefix_len: Answered,
        ipv6_gateway: Answered,
        global_ipv6_address: Answered,
        global_ipv6_prefix_len: Answered,
        dns_names: Answered,
    })
}

fn read<T: serde::de::DeserializeOwned>(body: &Value) -> T {
    serde_json::from_value(body.clone()).unwrap()
}

/// Checks the fields that are refused or discarded.
fn check(fates: Vec<(&'static str, Fate)>, judge: impl Fn(&Value) -> Result<Vec<String>>) {
    for (field, fate) in fates {
        match fate {
            Refused(body, named) => {
                let message = judge(&body).expect_err(field).message().to_owned();
                assert!(message.contains(named), "{field}: {message}");
            }
            Discarded(body) => assert!(!judge(&body).unwrap().is_empty(), "{field}"),
            Honoured | Told | Answered => {}
        }
    }
}

#[test]
fn every_field_is_honoured_or_refused_by_name() {
    check(config(), |body| refuse::unsupported_options(&read(body), &HostConfig::default()).map(|()| Vec::new()));
    check(host_config(), |body| {
        let mut host: HostConfig = read(body);
        refuse::unsupported_options(&Config::default(), &host).map(|()| defaults::discard(&mut host))
    });
    let judge = |settings: EndpointSettings| {
        let host = HostConfig { network_mode: "bridge".to_owned(), ..HostConfig::default() };
        refuse::endpoints(&host, &NetworkingConfig { endpoints_config: [("bridge".to_owned(), Some(settings))].into() })
    };
    check(endpoint(), |body| judge(read(body)).map(|()| Vec::new()));
    for address in ["IPv6Address", "LinkLocalIPs"] {
        let value = if address == "LinkLocalIPs" { json!(["169.254.1.1"]) } else { json!("fe80::1") };
        assert!(judge(read(&json!({ "IPAMConfig": { address: value } }))).is_err(), "{address}");
    }
}
