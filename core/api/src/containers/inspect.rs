//! `GET /containers/{id}/json`.

use super::networks;
use crate::{
    Cx, authz,
    contract::flag,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use wharf_api_types::{
    ApiVersion,
    container::{Config, HostConfig},
    inspect::{ContainerInspect, GraphDriver, HealthInspect, HealthLogEntry, StateInspect, WithOlder},
};
use wharf_engine::{
    Containers, Execs,
    containers::{
        ContainerSpec, ContainerState, ContainerView, HostPaths,
        health::{Health, ProbeResult},
    },
};
use wharf_spi::authz::Object;
use wharf_types::{Result, Timestamp};

/// API version 1.x from which an empty `OnBuild` is left out.
pub const ON_BUILD_LEFT_OUT: u16 = 45;

/// Describes one container.
pub struct Inspect;

#[derive(Serialize)]
pub struct Input {
    id: String,
    size: bool,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Inspect {
    const ROW: Row = Row::get("/containers/{id}/json", "container.inspect").query(&[flag("size")]);
    type Input = Input;
    type Output = Json<ContainerInspect>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")?, size: rq.query().flag("size") && rq.api().since(21), api: rq.api() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let view = cx.containers.get(&input.id)?;
        let mut inspect = describe(&cx.containers, &cx.execs, &view, input.api);
        if input.size {
            let (own, all) = cx.containers.sizes(view.id()).await?;
            (inspect.size_rw, inspect.size_root_fs) = (Some(own.cast_signed()), Some(all.cast_signed()));
        }
        Ok(Json(inspect))
    }
}

/// Everything but sizes.
pub fn describe(containers: &Containers, execs: &Execs, view: &ContainerView, version: ApiVersion) -> ContainerInspect {
    let mut inspect = shape(view, &containers.paths(view), containers.bridge_id(), version);
    let (name, data) = containers.graph_data(view.id());
    inspect.graph_driver = Some(GraphDriver { data, name });
    let execs = execs.ids_of(view.id());
    inspect.exec_ids = (!execs.is_empty()).then(|| execs.iter().map(ToString::to_string).collect());
    inspect
}

fn shape(view: &ContainerView, paths: &HostPaths, bridge: Option<&str>, version: ApiVersion) -> ContainerInspect {
    let spec = &view.spec;
    // What a start makes has no place before the first.
    let made = |path: &Path| if view.state.was_launched() { path.display().to_string() } else { String::new() };
    let mut inspect = ContainerInspect {
        id: spec.id.to_string(),
        created: spec.created.to_string(),
        path: spec.path.clone(),
        args: spec.args.clone(),
        state: state(&view.state),
        image: spec.image.to_string(),
        resolv_conf_path: made(&paths.resolv_conf),
        hostname_path: made(&paths.hostname),
        hosts_path: made(&paths.hosts),
        log_path: made(&spec.log_path),
        name: format!("/{}", spec.name),
        restart_count: view.state.restart_count,
        driver: spec.driver.clone(),
        platform: "linux".to_owned(),
        host_config: host_config(spec, version),
        mounts: version.since(20).then(|| spec.mounts.clone()),
        config: config(spec, version),
        network_settings: networks::settings(view, &paths.sandbox, bridge, version),
        ..ContainerInspect::default()
    };
    if version.before(20) {
        inspect.volumes = Some(spec.mounts.iter().map(|m| (m.destination.clone(), m.source.clone())).collect());
        inspect.volumes_rw = Some(spec.mounts.iter().map(|m| (m.destination.clone(), m.rw)).collect());
    }
    inspect
}

/// Limits that no kernel has any more were shown below 1.42.
fn host_config(spec: &ContainerSpec, version: ApiVersion) -> WithOlder<HostConfig> {
    let (config, mut older) = (spec.host_config.clone(), serde_json::Map::new());
    if version.before(42) {
        older.insert("KernelMemory".to_owned(), config.kernel_memory.into());
        older.insert("KernelMemoryTCP".to_owned(), config.kernel_memory_tcp.into());
    }
    let config = HostConfig { kernel_memory: 0, kernel_memory_tcp: 0, ..config };
    WithOlder { config, older }
}

/// Below 1.21, what lives in `HostConfig` now was shown here, too; and less was left out for being empty.
fn config(spec: &ContainerSpec, version: ApiVersion) -> WithOlder<Config> {
    let (mut config, mut older) = (spec.config.clone(), serde_json::Map::new());
    let mut show = |name: &str, value: serde_json::Value| drop(older.insert(name.to_owned(), value));
    let host = &spec.host_config;
    if version.before(21) {
        show("MacAddress", std::mem::take(&mut config.mac_address).into());
        show("NetworkDisabled", std::mem::take(&mut config.network_disabled).into());
        let ports = std::mem::take(&mut config.exposed_ports);
        show("ExposedPorts", if ports.is_empty() { serde_json::Value::Null } else { json!(ports) });
        show("VolumeDriver", host.volume_driver.as_str().into());
    }
    if version.before(20) {
        show("Memory", host.memory.into());
        show("MemorySwap", host.memory_swap.into());
        show("CpuShares", host.cpu_shares.into());
        show("Cpuset", host.cpuset_cpus.as_str().into());
    }
    if version.since(52) {
        config.mac_address.clear();
    }
    if version.before(ON_BUILD_LEFT_OUT) && config.on_build.is_empty() {
        show("OnBuild", serde_json::Value::Null);
    }
    WithOlder { config, older }
}

fn state(state: &ContainerState) -> StateInspect {
    let time = |t: Option<Timestamp>| t.unwrap_or(Timestamp::ZERO).to_string();
    StateInspect {
        status: state.status().as_str().to_owned(),
        running: state.running,
        paused: state.paused,
        restarting: state.restarting,
        oom_killed: state.oom_killed,
        dead: false,
        pid: state.pid,
        exit_code: state.exit_code,
        error: state.error.clone(),
        started_at: time(state.started_at),
        finished_at: time(state.finished_at),
        health: state.health.as_ref().map(health),
    }
}

fn health(health: &Health) -> HealthInspect {
    let entry = |r: &ProbeResult| HealthLogEntry {
        start: r.start.to_string(),
        end: r.end.to_string(),
        exit_code: r.exit_code,
        output: r.output.clone(),
    };
    HealthInspect {
        status: health.status.as_str().to_owned(),
        failing_streak: health.failing_streak,
        log: health.log.iter().map(entry).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{paths, running, view};
    use wharf_engine::containers::health::HealthStatus;

    #[test]
    fn inspect_shapes() {
        insta::assert_json_snapshot!("inspect_1_52_created", shape(&view(), &paths(), Some("b"), ApiVersion::new(1, 52)));
        insta::assert_json_snapshot!("inspect_1_41_running", shape(&running(), &paths(), Some("b"), ApiVersion::new(1, 41)));
    }

    #[test]
    fn health_is_part_of_the_state() {
        let at = Timestamp::from_nanos(1_500_000_000);
        let probe = ProbeResult { start: at, end: at, exit_code: -1, output: "no answer".to_owned() };
        let health = Health { status: HealthStatus::Unhealthy, failing_streak: 3, log: vec![probe] };
        insta::assert_json_snapshot!(state(&ContainerState { health: Some(health), ..ContainerState::default() }).health);
    }

    #[test]
    fn limits_were_part_of_the_configuration_once() {
        let at = |minor| serde_json::to_value(shape(&running(), &paths(), Some("b"), ApiVersion::new(1, minor)).config).unwrap();
        let (oldest, older, newer) = (at(19), at(20), at(21));
        assert_eq!((&oldest["Memory"], &oldest["Cpuset"], &oldest["MacAddress"]), (&json!(0), &json!(""), &json!("")));
        assert_eq!((&older["ExposedPorts"], &older["NetworkDisabled"]), (&json!({"80/tcp": {}}), &json!(false)));
        assert!(older.get("Memory").is_none() && newer.get("VolumeDriver").is_none());
        assert_eq!(newer["ExposedPorts"], json!({"80/tcp": {}}));
    }

    #[test]
    fn mounts_were_two_maps_once() {
        let old = shape(&running(), &paths(), Some("b"), ApiVersion::new(1, 19));
        assert_eq!((old.volumes.unwrap()["/data"].as_str(), old.volumes_rw.unwrap()["/data"]), ("/srv/data", true));
        assert!(shape(&running(), &paths(), Some("b"), ApiVersion::new(1, 20)).volumes.is_none());
    }
}
