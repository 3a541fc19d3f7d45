//! cgroup limits of a plan as OCI resources, for a start and for an update. Only what the plan names appears: an absent
//! field leaves the kernel's value and asks for no controller.

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDevice, LinuxThrottleDeviceBuilder, LinuxWeightDevice,
    LinuxWeightDeviceBuilder,
};
use wharf_types::Result;
use wharf_types::error::Context;

use super::devices;
use super::plan::{DeviceRate, ResourcesPlan};

/// The OCI resources of `plan`. Looks up the numbers of the block devices it names; 400 when there is no such device.
pub fn resources(plan: &ResourcesPlan) -> Result<LinuxResources> {
    let mut resources = LinuxResources::default();
    resources.set_devices(None);
    resources.set_memory(given(memory(plan)));
    resources.set_cpu(given(cpu(plan)));
    resources.set_block_io(given(block_io(plan)?));
    if let Some(limit) = plan.pids_limit {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    Ok(resources)
}

/// `None` when nothing was set.
fn given<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

fn memory(plan: &ResourcesPlan) -> LinuxMemory {
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(plan.memory)
        .set_swap(plan.memory_swap)
        .set_reservation(plan.memory_reservation)
        .set_swappiness(plan.swappiness)
        .set_disable_oom_killer(plan.oom_kill_disable);
    memory
}

fn cpu(plan: &ResourcesPlan) -> LinuxCpu {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(plan.cpu_shares)
        .set_period(plan.cpu_period)
        .set_quota(plan.cpu_quota)
        .set_realtime_period(plan.cpu_rt_period)
        .set_realtime_runtime(plan.cpu_rt_runtime)
        .set_cpus(plan.cpuset_cpus.clone())
        .set_mems(plan.cpuset_mems.clone());
    cpu
}

fn block_io(plan: &ResourcesPlan) -> Result<LinuxBlockIo> {
    let mut io = LinuxBlockIo::default();
    let weights = plan.blkio_weight_devices.iter().map(weight).collect::<Result<Vec<_>>>()?;
    io.set_weight(plan.blkio_weight)
        .set_weight_device(given(weights))
        .set_throttle_read_bps_device(throttles(&plan.read_bps)?)
        .set_throttle_write_bps_device(throttles(&plan.write_bps)?)
        .set_throttle_read_iops_device(throttles(&plan.read_iops)?)
        .set_throttle_write_iops_device(throttles(&plan.write_iops)?);
    Ok(io)
}

fn weight(device: &DeviceRate<u16>) -> Result<LinuxWeightDevice> {
    let (major, minor) = devices::numbers(&device.path)?;
    LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(device.value).build().context("blkio weight")
}

fn throttles(list: &[DeviceRate<u64>]) -> Result<Option<Vec<LinuxThrottleDevice>>> {
    let throttle = |device: &DeviceRate<u64>| {
        let (major, minor) = devices::numbers(&device.path)?;
        LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(device.value).build().context("blkio throttle")
    };
    list.iter().map(throttle).collect::<Result<Vec<_>>>().map(given)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_plan_asks_for_nothing() {
        assert_eq!(serde_json::to_value(resources(&ResourcesPlan::default()).unwrap()).unwrap(), json!({}));
    }

    #[test]
    fn fields_map_one_to_one() {
        let rate = |value| vec![DeviceRate { path: "/dev/null".into(), value }];
        let plan = ResourcesPlan {
            memory: Some(1),
            memory_swap: Some(-1),
            memory_reservation: Some(2),
            swappiness: Some(0),
            oom_kill_disable: Some(true),
            cpu_shares: Some(3),
            cpu_period: Some(4),
            cpu_quota: Some(5),
            cpu_rt_period: Some(6),
            cpu_rt_runtime: Some(7),
            cpuset_cpus: Some("0".into()),
            cpuset_mems: Some("1".into()),
            pids_limit: Some(8),
            blkio_weight: Some(9),
            blkio_weight_devices: vec![DeviceRate { path: "/dev/null".into(), value: 10 }],
            read_bps: rate(11),
            write_bps: rate(12),
            read_iops: rate(13),
            write_iops: rate(14),
        };
        let throttle = |rate| json!([{"major": 1, "minor": 3, "rate": rate}]);
        let expected = json!({
            "memory": {"limit": 1, "swap": -1, "reservation": 2, "swappiness": 0, "disableOOMKiller": true},
            "cpu": {"shares": 3, "period": 4, "quota": 5, "realtimePeriod": 6, "realtimeRuntime": 7, "cpus": "0", "mems": "1"},
            "pids": {"limit": 8},
            "blockIO": {
                "weight": 9,
                "weightDevice": [{"major": 1, "minor": 3, "weight": 10}],
                "throttleReadBpsDevice": throttle(11),
                "throttleWriteBpsDevice": throttle(12),
                "throttleReadIOPSDevice": throttle(13),
                "throttleWriteIOPSDevice": throttle(14),
            },
        });
        assert_eq!(serde_json::to_value(resources(&plan).unwrap()).unwrap(), expected);
    }
}
