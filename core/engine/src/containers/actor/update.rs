//! New limits and a new restart policy for a container that exists.
//!
//! The document is written first and taken back when the kernel refuses: what is recorded is what the next start gets.

use super::Actor;
use crate::containers::{ContainerSpec, blocking, plan, restart};
use std::sync::Arc;
use wharf_api_types::container::HostConfig;
use wharf_runtime::spec::{limits::check_resources, resources};
use wharf_types::{Error, Result};

impl Actor {
    /// Zero (and absent) in `change` leaves a setting as it is.
    pub(super) async fn update(&mut self, change: &HostConfig) -> Result<Vec<String>> {
        let what = format!("Cannot update container {}", self.spec.id);
        let refused = |e: Error| e.context(&what);
        refuse_others(change)?;
        let mut policy = change.restart_policy.clone();
        restart::validate(&mut policy)?;
        let (_, warnings) = check_resources(&plan::resource_request(change), &self.shared.host, true)?;
        if self.removing {
            return Err(refused(Error::conflict("container is marked for removal and cannot be \"update\"")));
        }
        let mut host = self.spec.host_config.clone();
        merge(&mut host, change).map_err(refused)?;
        if change.restart_policy.name.is_empty() {
            policy = host.restart_policy.clone();
        } else if host.auto_remove && policy.name != "no" {
            let text = "Restart policy cannot be updated because AutoRemove is enabled for the container";
            return Err(refused(Error::conflict(text)));
        }
        host.restart_policy = policy;

        let before = self.spec.clone();
        self.store(ContainerSpec { host_config: host, ..(*before).clone() }).await.map_err(refused)?;
        if let Err(e) = self.apply_limits().await {
            self.store((*before).clone()).await?;
            return Err(refused(e));
        }
        self.publish();
        self.event("update", []);
        Ok(warnings)
    }

    pub(super) async fn store(&mut self, spec: ContainerSpec) -> Result<()> {
        let spec = Arc::new(spec);
        let (shared, written) = (self.shared.clone(), spec.clone());
        blocking(move || shared.specs.put(written.id.as_str(), &written)).await?;
        self.spec = spec;
        Ok(())
    }

    /// All limits as they are now, because some mean something only together (memory and swap, period and quota).
    async fn apply_limits(&mut self) -> Result<()> {
        let Some(task) = self.running.as_ref().map(|r| r.task.clone()) else { return Ok(()) };
        let (shared, spec) = (self.shared.clone(), self.spec.clone());
        let limits = blocking(move || {
            let (plan, _) = check_resources(&plan::resource_request(&spec.host_config), &shared.host, true)?;
            resources(&plan)
        });
        task.update(&limits.await?).await
    }
}

/// Takes over what `change` names.
fn merge(host: &mut HostConfig, change: &HostConfig) -> Result<()> {
    for (wanted, set, text) in [
        (change.nano_cpus, host.cpu_period, "Nano CPUs cannot be updated as CPU Period has already been set"),
        (change.nano_cpus, host.cpu_quota, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        (change.cpu_period, host.nano_cpus, "CPU Period cannot be updated as NanoCPUs has already been set"),
        (change.cpu_quota, host.nano_cpus, "CPU Quota cannot be updated as NanoCPUs has already been set"),
    ] {
        if wanted > 0 && set > 0 {
            return Err(Error::conflict(format!("Conflicting options: {text}")));
        }
    }
    if change.memory != 0 && change.memory > host.memory_swap && change.memory_swap == 0 {
        let text = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
        return Err(Error::conflict(text));
    }
    for (mine, theirs) in [
        (&mut host.cpu_shares, change.cpu_shares),
        (&mut host.nano_cpus, change.nano_cpus),
        (&mut host.cpu_period, change.cpu_period),
        (&mut host.cpu_quota, change.cpu_quota),
        (&mut host.cpu_realtime_period, change.cpu_realtime_period),
        (&mut host.cpu_realtime_runtime, change.cpu_realtime_runtime),
        (&mut host.memory, change.memory),
        (&mut host.memory_swap, change.memory_swap),
        (&mut host.memory_reservation, change.memory_reservation),
        (&mut host.kernel_memory, change.kernel_memory),
    ] {
        if theirs != 0 {
            *mine = theirs;
        }
    }
    for (mine, theirs) in [(&mut host.cpuset_cpus, &change.cpuset_cpus), (&mut host.cpuset_mems, &change.cpuset_mems)] {
        if !theirs.is_empty() {
            mine.clone_from(theirs);
        }
    }
    if change.blkio_weight != 0 {
        host.blkio_weight = change.blkio_weight;
    }
    if change.blkio_weight_device.is_some() {
        host.blkio_weight_device.clone_from(&change.blkio_weight_device);
    }
    for (mine, theirs) in [
        (&mut host.blkio_device_read_bps, &change.blkio_device_read_bps),
        (&mut host.blkio_device_write_bps, &change.blkio_device_write_bps),
        (&mut host.blkio_device_read_iops, &change.blkio_device_read_iops),
        (&mut host.blkio_device_write_iops, &change.blkio_device_write_iops),
    ] {
        if theirs.is_some() {
            mine.clone_from(theirs);
        }
    }
    if change.pids_limit.is_some() {
        host.pids_limit = change.pids_limit;
    }
    Ok(())
}

/// Resources that only a new container can have.
fn refuse_others(change: &HostConfig) -> Result<()> {
    let named = [
        ("CgroupParent", !change.cgroup_parent.is_empty()),
        ("Devices", change.devices.as_ref().is_some_and(|l| !l.is_empty())),
        ("DeviceCgroupRules", change.device_cgroup_rules.as_ref().is_some_and(|l| !l.is_empty())),
        ("DeviceRequests", change.device_requests.as_ref().is_some_and(|l| !l.is_empty())),
        ("Ulimits", change.ulimits.as_ref().is_some_and(|l| !l.is_empty())),
        ("MemorySwappiness", change.memory_swappiness.is_some_and(|n| n != -1)),
        ("OomKillDisable", change.oom_kill_disable == Some(true)),
    ];
    match named.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Error::invalid(format!("{name} cannot be changed by an update"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(host: HostConfig, change: HostConfig) -> Result<HostConfig, String> {
        let mut host = host;
        merge(&mut host, &change).map(|()| host).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn zero_leaves_as_it_is() {
        let host = HostConfig { memory: 8 << 20, memory_swap: -1, cpu_shares: 5, pids_limit: Some(7), ..HostConfig::default() };
        assert_eq!(merged(host.clone(), HostConfig::default()).unwrap(), host);
        let change = HostConfig { cpu_shares: 9, pids_limit: Some(0), cpuset_cpus: "0".into(), ..HostConfig::default() };
        let now = merged(host, change).unwrap();
        assert_eq!((now.memory, now.cpu_shares, now.pids_limit, now.cpuset_cpus.as_str()), (8 << 20, 9, Some(0), "0"));
    }

    #[test]
    fn what_does_not_go_together() {
        let nano = HostConfig { nano_cpus: 1, ..HostConfig::default() };
        let period = HostConfig { cpu_period: 1000, ..HostConfig::default() };
        let memory = HostConfig { memory: 8 << 20, ..HostConfig::default() };
        let text = |host: &HostConfig, change: &HostConfig| merged(host.clone(), change.clone()).unwrap_err();
        assert_eq!(text(&period, &nano), "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
        assert_eq!(text(&nano, &period), "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
        assert!(text(&HostConfig::default(), &memory).starts_with("Memory limit should be smaller than already set memoryswap limit"));
    }

    #[test]
    fn only_a_new_container_can_have_other_resources() {
        let change = HostConfig { ulimits: Some(vec![Default::default()]), ..HostConfig::default() };
        assert_eq!(refuse_others(&change).unwrap_err().message(), "Ulimits cannot be changed by an update");
        assert!(refuse_others(&HostConfig { ulimits: Some(Vec::new()), oom_kill_disable: Some(false), ..HostConfig::default() }).is_ok());
    }
}
