//! Limits of a host with four CPUs.

use super::super::test_host;
use super::*;

fn plan(request: ResourceRequest) -> (ResourcesPlan, Vec<String>) {
    check_resources(&request, &test_host(), false).unwrap()
}

fn refusal(request: ResourceRequest) -> String {
    check_resources(&request, &test_host(), false).unwrap_err().message().to_owned()
}

fn without(change: impl FnOnce(&mut Controllers)) -> HostFacts {
    let mut host = test_host();
    change(&mut host.controllers);
    host
}

#[test]
fn nothing_asked_is_nothing_set() {
    assert_eq!(plan(ResourceRequest::default()), (ResourcesPlan::default(), vec![]));
}

#[test]
fn swap_follows_memory() {
    const M: i64 = 64 << 20;
    let swap = |memory_swap| plan(ResourceRequest { memory: M, memory_swap, ..Default::default() }).0.memory_swap;
    assert_eq!((swap(0), swap(-1), swap(M)), (Some(2 * M), Some(-1), Some(M)));
    let update = ResourceRequest { memory: M, ..Default::default() };
    assert_eq!(check_resources(&update, &test_host(), true).unwrap().0.memory_swap, None);
    let only_swap = ResourceRequest { memory_swap: M, ..Default::default() };
    assert_eq!(check_resources(&only_swap, &test_host(), true).unwrap().0.memory_swap, Some(M));
}

#[test]
fn nano_cpus_become_a_quota() {
    let (plan, _) = plan(ResourceRequest { nano_cpus: 1_500_000_000, ..Default::default() });
    assert_eq!((plan.cpu_period, plan.cpu_quota), (Some(100_000), Some(150_000)));
}

#[test]
fn unlimited_pids_are_minus_one() {
    let limit = |n| plan(ResourceRequest { pids_limit: n, ..Default::default() }).0.pids_limit;
    assert_eq!((limit(None), limit(Some(0)), limit(Some(-5)), limit(Some(7))), (None, Some(-1), Some(-1), Some(7)));
}

#[test]
fn refusals_in_dockers_words() {
    const M: i64 = 64 << 20;
    let d = ResourceRequest::default;
    for (request, message) in [
        (ResourceRequest { memory: 1, ..d() }, "Minimum memory limit allowed is 6MB"),
        (ResourceRequest { memory: -1, ..d() }, "Minimum memory limit allowed is 6MB"),
        (
            ResourceRequest { memory: M, memory_swap: M - 1, ..d() },
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (ResourceRequest { memory_swap: M, ..d() }, "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (ResourceRequest { memory_reservation: 1, ..d() }, "Minimum memory reservation allowed is 6MB"),
        (
            ResourceRequest { memory: M, memory_reservation: M + 1, ..d() },
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (ResourceRequest { memory_swappiness: Some(101), ..d() }, "Invalid value: 101, valid memory swappiness range is 0-100"),
        (ResourceRequest { nano_cpus: 1, cpu_period: 1, ..d() }, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (ResourceRequest { nano_cpus: 1, cpu_quota: 1, ..d() }, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (ResourceRequest { nano_cpus: 5_000_000_000, ..d() }, "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"),
        (ResourceRequest { cpu_shares: -1, ..d() }, "invalid CPU shares (-1): value must be a positive integer"),
        (
            ResourceRequest { cpu_period: 999, ..d() },
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (ResourceRequest { cpu_quota: 999, ..d() }, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (
            ResourceRequest { cpu_realtime_period: 1, cpu_realtime_runtime: 2, ..d() },
            "cpu real-time runtime cannot be higher than cpu real-time period",
        ),
        (ResourceRequest { cpuset_cpus: "x".into(), ..d() }, "Invalid value x for cpuset cpus"),
        (ResourceRequest { cpuset_cpus: "0-9".into(), ..d() }, "Requested CPUs are not available - requested 0-9, available: 0-3"),
        (ResourceRequest { cpuset_mems: "1".into(), ..d() }, "Requested memory nodes are not available - requested 1, available: 0"),
        (ResourceRequest { blkio_weight: 9, ..d() }, "Range of blkio weight is from 10 to 1000"),
        (ResourceRequest { blkio_weight_device: vec![("/dev/sda".into(), 0)], ..d() }, "Range of blkio weight is from 10 to 1000"),
    ] {
        assert_eq!(refusal(request), message);
    }
}

#[test]
fn what_the_kernel_lacks_is_dropped_with_a_warning() {
    let request = ResourceRequest {
        memory: 64 << 20,
        memory_swappiness: Some(5),
        oom_kill_disable: Some(true),
        pids_limit: Some(5),
        blkio_weight: 10,
        blkio_device_read_bps: vec![("/dev/sda".into(), 1)],
        ..Default::default()
    };
    let lacking = without(|c| {
        (c.swap, c.swappiness, c.oom_kill_disable, c.pids, c.blkio_weight, c.blkio_throttle) = Default::default();
    });
    let (plan, warnings) = check_resources(&request, &lacking, false).unwrap();
    assert_eq!(plan, ResourcesPlan { memory: Some(64 << 20), ..Default::default() });
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    let swap = "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.";
    assert_eq!(warnings[0], swap);
    let realtime = ResourceRequest { cpu_realtime_runtime: 1, ..Default::default() };
    assert!(check_resources(&realtime, &without(|c| c.cpu_realtime = false), false).is_err());
}

#[test]
fn a_disabled_oom_killer_without_a_limit_is_warned_about() {
    let (plan, warnings) = plan(ResourceRequest { oom_kill_disable: Some(true), ..Default::default() });
    assert_eq!((plan.oom_kill_disable, warnings.len()), (Some(true), 1));
}
