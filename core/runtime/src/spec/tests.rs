//! Whole specs, compared with the snapshots in `snapshots/`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::host::{Controllers, KernelVersion};
use super::limits::{ResourceRequest, check_resources, ulimit};
use super::*;

/// Four CPUs, cgroup v1, every controller, no `CAP_SYS_RESOURCE`.
pub(super) fn test_host() -> HostFacts {
    HostFacts {
        cgroup: CgroupVersion::V1,
        cgroup_v1_mounts: vec!["cpu".into(), "memory".into()],
        controllers: Controllers {
            memory: true,
            swap: true,
            memory_reservation: true,
            swappiness: true,
            oom_kill_disable: true,
            cpu_shares: true,
            cpu_cfs: true,
            cpu_realtime: true,
            cpuset: true,
            pids: true,
            blkio_weight: true,
            blkio_throttle: true,
        },
        bounding: CapSet::ALL.minus(CapSet::from_iter([oci_spec::runtime::Capability::SysResource])),
        kernel: KernelVersion(6, 1),
        cpus: "0-3".parse().unwrap(),
        mems: "0".parse().unwrap(),
        apparmor: false,
        may_raise_limits: false,
        hard_limits: Vec::new(),
        oom_score_adj: 0,
        thermal_throttle: vec!["/sys/devices/system/cpu/cpu0/thermal_throttle".into()],
        dev: "/nonexistent".into(),
    }
}

/// `docker run busybox sleep 60` on a root that has no users.
pub(super) fn test_plan(rootfs: &Path) -> LaunchPlan {
    LaunchPlan {
        id: "c0ffee".into(),
        hostname: "c0ffee".into(),
        rootfs: rootfs.into(),
        process: ProcessPlan { args: vec!["sleep".into(), "60".into()], ..ProcessPlan::default() },
        shm_size: 64 << 20,
        cgroup_path: "/docker/c0ffee".into(),
        ..LaunchPlan::default()
    }
}

fn rootfs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("etc")).unwrap();
    fs::write(dir.path().join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/srv:/bin/sh\n").unwrap();
    fs::write(dir.path().join("etc/group"), "root:x:0:\nwheel:x:10:root\naudio:x:29:\n").unwrap();
    dir
}

/// The spec as JSON, with what has no order sorted and the filter shortened to its outline.
fn outline(change: impl FnOnce(&mut LaunchPlan)) -> Value {
    let dir = rootfs();
    let mut plan = test_plan(dir.path());
    change(&mut plan);
    let mut spec = serde_json::to_value(build(&plan, &test_host()).unwrap().spec).unwrap();
    spec["root"]["path"] = json!("ROOTFS");
    for set in spec["process"]["capabilities"].as_object_mut().unwrap().values_mut() {
        let names = set.as_array_mut().unwrap();
        names.sort_by_key(Value::to_string);
        *set = json!(names.iter().map(|n| n.as_str().unwrap()).collect::<Vec<_>>().join(" "));
    }
    if let Some(rules) = spec["linux"]["seccomp"]["syscalls"].as_array() {
        spec["linux"]["seccomp"]["syscalls"] = json!(format!("{} rules", rules.len()));
    } else {
        spec["linux"].as_object_mut().unwrap().shift_remove("seccomp");
    }
    for list in ["/linux/namespaces", "/linux/resources/devices", "/mounts"] {
        for item in spec.pointer_mut(list).unwrap().as_array_mut().unwrap() {
            *item = json!(item.to_string().replace('"', ""));
        }
    }
    spec
}

macro_rules! snapshot {
    ($name:literal, $change:expr) => {
        insta::with_settings!({sort_maps => true, prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_json_snapshot!($name, outline($change));
        });
    };
}

#[test]
fn default_container() {
    snapshot!("default", |_| {});
}

#[test]
fn privileged_container() {
    snapshot!("privileged", |p| p.privileged = true);
}

#[test]
fn host_namespaces() {
    snapshot!("host-namespaces", |p| {
        p.domainname = "dropped.example".into();
        p.namespaces =
            Namespaces { network: NetworkNs::Host, pid: PidNs::Host, ipc: IpcNs::Host, uts: UtsNs::Host, cgroup: CgroupNs::Host };
    });
}

#[test]
fn joined_namespaces() {
    snapshot!("joined-namespaces", |p| {
        p.shm_path = Some("/run/other/shm".into());
        p.namespaces = Namespaces {
            network: NetworkNs::Joined("/proc/7/ns/net".into()),
            pid: PidNs::Path("/proc/7/ns/pid".into()),
            ipc: IpcNs::Path("/proc/7/ns/ipc".into()),
            uts: UtsNs::Private,
            cgroup: CgroupNs::Private,
        };
    });
}

#[test]
fn read_only_with_tmpfs_and_binds() {
    let bind =
        |source: &str, target: &str, read_only| BindPlan { source: source.into(), target: target.into(), read_only, ..BindPlan::default() };
    snapshot!("read-only-tmpfs-binds", |p| {
        p.readonly_rootfs = true;
        let options = ["size=10m", "exec", "mode=700"].map(str::to_owned).into();
        p.mounts = vec![
            MountPlan::Tmpfs(TmpfsPlan { target: "/t/a".into(), options, ..TmpfsPlan::default() }),
            MountPlan::Tmpfs(TmpfsPlan { target: "/run".into(), ..TmpfsPlan::default() }),
            MountPlan::Bind(bind("/managed/hosts", "/etc/hosts", true)),
            MountPlan::Bind(BindPlan { non_recursive: true, ..bind("/src", "/e", false) }),
        ];
    });
}

#[test]
fn limits_user_and_security() {
    snapshot!("limits", |p| {
        let request = ResourceRequest {
            memory: 64 << 20,
            memory_reservation: 32 << 20,
            nano_cpus: 500_000_000,
            cpu_shares: 512,
            cpuset_cpus: "0".into(),
            pids_limit: Some(50),
            ..ResourceRequest::default()
        };
        p.resources = check_resources(&request, &test_host(), false).unwrap().0;
        p.process.rlimits = vec![ulimit("nofile", 1000, 1000).unwrap()];
        p.process.oom_score_adj = 100;
        p.process.user = "www:audio".into();
        p.process.groups_add = vec!["wheel".into(), "99".into()];
        p.process.no_new_privileges = true;
        p.domainname = "example".into();
        p.sysctls = [("net.ipv4.ip_unprivileged_port_start".to_owned(), "1024".to_owned())].into();
        p.seccomp = SeccompChoice::Unconfined;
        p.masked_paths = Some(vec![]);
        p.readonly_paths = Some(vec![]);
        p.annotations = [("a".to_owned(), "b".to_owned())].into();
    });
}

#[test]
fn init_devices_and_terminal() {
    snapshot!("init-devices-terminal", |p| {
        p.init = Some("/usr/libexec/init".into());
        p.devices = vec![DevicePlan { host: "/dev/null".into(), container: "/dev/f".into(), permissions: "r".into() }];
        p.device_cgroup_rules = vec!["c 42:* rmw".into()];
        p.cap_add = vec!["SYS_ADMIN".into()];
        p.cap_drop = vec!["CHOWN".into()];
        p.namespaces.ipc = IpcNs::None;
        p.namespaces.network = NetworkNs::Path("/run/netns/x".into());
        p.process.tty = true;
        p.process.console_size = Some(ConsoleSize { height: 24, width: 80 });
        p.process.cwd = "/tmp".into();
        p.process.env = vec!["A=1".into(), "HOSTNAME=z".into()];
    });
}

#[test]
fn propagated_binds_open_the_root_only_as_far_as_needed() {
    let bind =
        BindPlan { source: "/".into(), target: "/h".into(), propagation: Some(mounts::Propagation::RPrivate), ..BindPlan::default() };
    let spec = outline(|p| p.mounts = vec![MountPlan::Bind(bind)]);
    assert_eq!(spec["linux"]["rootfsPropagation"], "private");
}

#[test]
fn a_bind_of_cgroups_keeps_its_mode() {
    let bind = BindPlan { source: "/sys/fs/cgroup".into(), target: "/sys/fs/cgroup".into(), ..BindPlan::default() };
    let spec = outline(|p| p.mounts = vec![MountPlan::Bind(bind)]);
    assert!(!spec["linux"]["readonlyPaths"].to_string().contains("cgroup"));
}

#[test]
fn an_explicit_profile_holds_even_when_privileged() {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]});
    let spec = outline(|p| {
        p.privileged = true;
        p.seccomp = SeccompChoice::Profile(profile);
    });
    assert_eq!(spec["linux"]["seccomp"]["syscalls"], "1 rules");
}

#[test]
fn apparmor_needs_a_host_that_has_it() {
    let dir = rootfs();
    let plan = LaunchPlan { apparmor: Some("docker-default".into()), ..test_plan(dir.path()) };
    let without = build(&plan, &test_host()).unwrap();
    assert_eq!((without.spec.process().as_ref().unwrap().apparmor_profile(), without.warnings.len()), (&None, 1));
    let with = build(&plan, &HostFacts { apparmor: true, ..test_host() }).unwrap();
    assert_eq!(with.spec.process().as_ref().unwrap().apparmor_profile().as_deref(), Some("docker-default"));
    let privileged = LaunchPlan { privileged: true, ..test_plan(dir.path()) };
    let host = HostFacts { apparmor: true, ..test_host() };
    let process = build(&privileged, &host).unwrap().spec.process().clone().unwrap();
    assert_eq!(process.apparmor_profile().as_deref(), Some("unconfined"));
}

#[test]
fn runtimes_read_what_is_written() {
    let dir = rootfs();
    let spec = build(&test_plan(dir.path()), &test_host()).unwrap().spec;
    let path = dir.path().join("config.json");
    spec.save(&path).unwrap();
    assert_eq!(Spec::load(&path).unwrap(), spec);
}
