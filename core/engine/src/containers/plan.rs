//! From what was asked for to what the runtime is told: the typed plan of a start.
//!
//! [`draft`] is also run at create, where it only checks: what starts later is what was judged then.

mod mounts;

use super::{AllowedBind, ContainerSpec, files, places, security, shared::Shared};
use crate::{EngineConfig, Reloadable, config::BUILTIN_RUNTIME};
pub use mounts::{bind_source_exists, held, shows_mounts};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use wharf_api_types::container::{HostConfig, ThrottleDevice};
use wharf_network::Endpoint;
use wharf_runtime::spec::{
    BindPlan, CgroupNs, ConsoleSize, DevicePlan, HostFacts, IpcNs, LaunchPlan, MountPlan, Namespaces, NetworkNs, PidNs, ProcessPlan, UtsNs,
    limits,
};
use wharf_shim_proto::{Launch, LogSettings, RuntimeKind};
use wharf_types::{ContainerId, Error, Result, error::Context as _};

/// Another container whose namespace is joined.
pub struct JoinedContainer {
    /// Its id.
    pub container: ContainerId,
    /// Its first process, which holds the namespace.
    pub pid: i32,
}

/// The containers whose namespaces a container joins, looked up at each start.
#[derive(Default)]
pub struct Joined {
    /// `NetworkMode: container:…`.
    pub network: Option<JoinedContainer>,
    /// `PidMode: container:…`.
    pub pid: Option<JoinedContainer>,
    /// `IpcMode: container:…`.
    pub ipc: Option<JoinedContainer>,
}

impl Joined {
    /// Looks them up.
    ///
    /// # Errors
    /// 409 when one does not run, 400 when its IPC namespace may not be shared.
    pub fn resolve(shared: &Shared, spec: &ContainerSpec) -> Result<Self> {
        let host = &spec.host_config;
        let join = |mode: &str, what: &str| -> Result<Option<JoinedContainer>> {
            let Some(name) = mode.strip_prefix("container:") else { return Ok(None) };
            let view = shared.index.resolve(name)?.published.borrow().view.clone();
            if view.state.pid == 0 {
                return Err(Error::conflict(format!("cannot join {what} of a non running container: {}", view.id())));
            }
            if what == "IPC" && view.spec.host_config.ipc_mode != "shareable" {
                let text = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)";
                return Err(Error::invalid(format!("cannot join IPC of container {}: {text}", view.id())));
            }
            Ok(Some(JoinedContainer { container: view.id().clone(), pid: view.state.pid }))
        };
        Ok(Self { network: join(&host.network_mode, "network")?, pid: join(&host.pid_mode, "PID")?, ipc: join(&host.ipc_mode, "IPC")? })
    }
}

fn namespace(joined: Option<&JoinedContainer>, kind: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/ns/{kind}", joined.map_or(0, |j| j.pid)))
}

/// Where the `local` driver's log of a container lies.
pub fn local_log(shared: &Shared, id: &ContainerId) -> PathBuf {
    shared.dir(id).join("local-logs").join("container.log")
}

/// The plan as far as it follows from the request alone, with warnings for the client. Nothing is looked up but device nodes.
///
/// # Errors
/// 400 in Docker's words for what cannot be right.
pub fn draft(config: &EngineConfig, host_facts: &HostFacts, spec: &ContainerSpec) -> Result<(LaunchPlan, Vec<String>)> {
    let (host, user) = (&spec.host_config, &spec.config);
    let security = security::parse(config, host)?;
    let (resources, warnings) = limits::check_resources(&resource_request(host), host_facts, false)?;
    let list = |values: &Option<Vec<String>>| values.clone().unwrap_or_default();
    let init = host.init.unwrap_or(config.init) && host.pid_mode.is_empty();
    let parents = [host.cgroup_parent.as_str(), config.cgroup_parent.as_str(), "/wharf"];
    let parent = parents.into_iter().find(|p| !p.is_empty()).unwrap_or_default();
    let mut args = vec![spec.path.clone()];
    args.extend(spec.args.iter().cloned());
    let size = |[height, width]: [u16; 2]| ConsoleSize { height: height.into(), width: width.into() };
    let plan = LaunchPlan {
        id: spec.id.to_string(),
        hostname: user.hostname.clone(),
        domainname: user.domainname.clone(),
        rootfs: PathBuf::new(),
        readonly_rootfs: host.readonly_rootfs,
        process: ProcessPlan {
            args,
            env: list(&user.env),
            cwd: user.working_dir.clone(),
            user: user.user.clone(),
            groups_add: list(&host.group_add),
            tty: user.tty,
            console_size: (host.console_size != [0, 0]).then(|| size(host.console_size)),
            no_new_privileges: security.no_new_privileges,
            rlimits: ulimits(config, host)?,
            oom_score_adj: limits::oom_score_adj(host.oom_score_adj)?,
        },
        privileged: host.privileged,
        cap_add: list(&host.cap_add),
        cap_drop: list(&host.cap_drop),
        seccomp: security.seccomp,
        apparmor: security.apparmor,
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        namespaces: Namespaces {
            network: if host.network_mode == "host" { NetworkNs::Host } else { NetworkNs::New },
            pid: if host.pid_mode == "host" { PidNs::Host } else { PidNs::Private },
            ipc: match host.ipc_mode.as_str() {
                "host" => IpcNs::Host,
                "none" => IpcNs::None,
                "shareable" => IpcNs::Shareable,
                _ => IpcNs::Private,
            },
            uts: if host.uts_mode == "host" { UtsNs::Host } else { UtsNs::Private },
            cgroup: if host.cgroupns_mode == "host" { CgroupNs::Host } else { CgroupNs::Private },
        },
        mounts: mounts::planned(&config.data_root, host)?,
        shm_size: limits::shm_size(host.shm_size)?,
        shm_path: None,
        devices: devices(host),
        device_cgroup_rules: list(&host.device_cgroup_rules),
        sysctls: host.sysctls.clone(),
        resources,
        cgroup_path: format!("{}/{}", parent.trim_end_matches('/'), spec.id),
        init: init.then(|| config.init_path.clone().unwrap_or_else(|| config.shim.clone())),
        annotations: host.annotations.clone(),
    };
    Ok((plan, warnings))
}

/// The OCI spec and the monitor's orders. Blocks: devices, users and bind sources are looked up.
///
/// # Errors
/// 400 for what does not exist, in Docker's words.
pub fn build(
    shared: &Shared,
    spec: &Arc<ContainerSpec>,
    rootfs: PathBuf,
    endpoint: Option<&Endpoint>,
    joined: &Joined,
    allowed: Option<&[AllowedBind]>,
) -> Result<(Launch, oci_spec::runtime::Spec)> {
    let host = &spec.host_config;
    let (mut plan, _) = draft(&shared.config, &shared.host, spec)?;
    plan.rootfs = rootfs;
    if joined.network.is_some() {
        plan.namespaces.network = NetworkNs::Joined(namespace(joined.network.as_ref(), "net"));
    } else if endpoint.is_some() {
        plan.namespaces.network = NetworkNs::Path(shared.netns(&spec.id));
    }
    if joined.pid.is_some() {
        plan.namespaces.pid = PidNs::Path(namespace(joined.pid.as_ref(), "pid"));
    }
    if let Some(donor) = &joined.ipc {
        plan.namespaces.ipc = IpcNs::Path(namespace(Some(donor), "ipc"));
        plan.shm_path = Some(shared.shm(&donor.container));
    } else if host.ipc_mode == "shareable" {
        plan.shm_path = Some(shared.shm(&spec.id));
    }
    mounts::make_bind_sources(host)?;
    if let Some(allowed) = allowed {
        mounts::hold(&mut plan.mounts, allowed)?;
    }
    plan.mounts.iter_mut().for_each(|mount| mounts::follow_unmounts(&shared.config.data_root, mount));
    for (name, target) in files::MANAGED {
        let target = Path::new(target);
        if plan.mounts.iter().any(|m| m.target() == target) {
            continue;
        }
        let source = files::path(shared, &spec.id, joined, name);
        let read_only = host.readonly_rootfs;
        plan.mounts.push(MountPlan::Bind(BindPlan { source, target: target.to_owned(), read_only, ..BindPlan::default() }));
    }
    let runtime = runtime(&shared.live.load(), &host.runtime)?;
    places::settle(&plan.rootfs, &mut plan.mounts)?;
    places::refuse_shared_dev(&runtime, &plan.mounts)?;
    let built = wharf_runtime::spec::build(&plan, &shared.host)?;
    for warning in built.warnings {
        tracing::warn!(container = ?spec.id, "{warning}");
    }
    let launch = Launch {
        id: spec.id.clone(),
        runtime,
        runtime_root: shared.config.exec_root.join("oci"),
        tty: spec.config.tty,
        console_size: (host.console_size != [0, 0]).then_some(host.console_size),
        open_stdin: spec.config.open_stdin,
        stdin_once: spec.config.stdin_once,
        log: log_settings(shared, spec)?,
        cgroup_path: Some(plan.cgroup_path.into()),
    };
    Ok((launch, built.spec))
}

/// The OCI runtime by its configured name.
///
/// # Errors
/// 400 `unknown or invalid runtime name: X`.
pub fn runtime(live: &Reloadable, name: &str) -> Result<RuntimeKind> {
    match live.runtimes.get(name) {
        Some(runtime) => Ok(RuntimeKind::External { path: runtime.path.clone(), args: runtime.args.clone() }),
        None if name == BUILTIN_RUNTIME => Ok(RuntimeKind::Builtin),
        None => Err(Error::invalid(format!("unknown or invalid runtime name: {name}"))),
    }
}

fn log_settings(shared: &Shared, spec: &ContainerSpec) -> Result<LogSettings> {
    let log = &spec.host_config.log_config;
    let options = wharf_logs::parse_options(&log.kind, &log.config)?;
    match log.kind.as_str() {
        "none" => Ok(LogSettings::None),
        "local" => {
            let path = local_log(shared, &spec.id);
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir).context(dir.display())?;
            }
            Ok(LogSettings::Local { path, max_size: options.max_size, max_file: options.max_file, compress: options.compress })
        }
        _ => Ok(LogSettings::JsonFile {
            path: spec.log_path.clone(),
            max_size: options.max_size,
            max_file: options.max_file,
            compress: options.compress,
            attrs: log_attributes(spec, &options),
        }),
    }
}

fn log_attributes(spec: &ContainerSpec, options: &wharf_logs::LogOptions) -> std::collections::BTreeMap<String, String> {
    let env = spec.config.env.clone().unwrap_or_default();
    let command = std::iter::once(&spec.path).chain(&spec.args).map(String::as_str).collect::<Vec<_>>().join(" ");
    let names = wharf_logs::TagContext {
        container_id: spec.id.as_str(),
        container_name: spec.name.as_str(),
        image_id: spec.image.as_str(),
        image_name: &spec.config.image,
        command: &command,
    };
    wharf_logs::attributes(options, &spec.config.labels, &env, &names)
}

fn devices(host: &HostConfig) -> Vec<DevicePlan> {
    let device = |d: &wharf_api_types::container::DeviceMapping| DevicePlan {
        host: PathBuf::from(&d.path_on_host),
        container: PathBuf::from(if d.path_in_container.is_empty() { &d.path_on_host } else { &d.path_in_container }),
        permissions: d.cgroup_permissions.clone(),
    };
    host.devices.iter().flatten().map(device).collect()
}

fn ulimits(config: &EngineConfig, host: &HostConfig) -> Result<Vec<wharf_runtime::spec::Ulimit>> {
    let mut named = config.default_ulimits.clone();
    for own in host.ulimits.iter().flatten() {
        named.insert(own.name.clone(), own.clone());
    }
    named.values().map(|u| limits::ulimit(&u.name, u.soft, u.hard)).collect()
}

/// The limits that a container has.
pub fn resource_request(host: &HostConfig) -> limits::ResourceRequest {
    let rates = |list: &Option<Vec<ThrottleDevice>>| list.iter().flatten().map(|d| (PathBuf::from(&d.path), d.rate)).collect();
    limits::ResourceRequest {
        memory: host.memory,
        memory_swap: host.memory_swap,
        memory_reservation: host.memory_reservation,
        memory_swappiness: host.memory_swappiness,
        oom_kill_disable: host.oom_kill_disable,
        nano_cpus: host.nano_cpus,
        cpu_shares: host.cpu_shares,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        pids_limit: host.pids_limit,
        blkio_weight: host.blkio_weight,
        blkio_weight_device: host.blkio_weight_device.iter().flatten().map(|d| (PathBuf::from(&d.path), d.weight)).collect(),
        blkio_device_read_bps: rates(&host.blkio_device_read_bps),
        blkio_device_write_bps: rates(&host.blkio_device_write_bps),
        blkio_device_read_iops: rates(&host.blkio_device_read_iops),
        blkio_device_write_iops: rates(&host.blkio_device_write_iops),
    }
}
