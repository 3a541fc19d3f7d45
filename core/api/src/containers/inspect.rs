//! `GET /containers/{id}/json`.

use super::networks;
use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use wharf_api_types::{
    ApiVersion,
    inspect::{ConfigInspect, ContainerInspect, GraphDriver, HealthInspect, HealthLogEntry, StateInspect},
};
use wharf_engine::containers::{
    ContainerSpec, ContainerState, ContainerView, HostPaths,
    health::{Health, ProbeResult},
};
use wharf_spi::authz::Target;
use wharf_types::{Result, Timestamp};

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
    const ROW: Row = Row::get("/containers/{id}/json", "container.inspect");
    type Input = Input;
    type Output = Json<ContainerInspect>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")?, size: rq.query().flag("size"), api: rq.api() })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Target> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let view = cx.containers.get(&input.id)?;
        let mut inspect = shape(&view, &cx.containers.paths(&view), input.api);
        let (name, data) = cx.containers.graph_data(view.id());
        inspect.graph_driver = Some(GraphDriver { data, name });
        let execs = cx.execs.ids_of(view.id());
        inspect.exec_ids = (!execs.is_empty()).then(|| execs.iter().map(ToString::to_string).collect());
        if input.size {
            let (own, all) = cx.containers.sizes(view.id()).await?;
            (inspect.size_rw, inspect.size_root_fs) = (Some(own.cast_signed()), Some(all.cast_signed()));
        }
        Ok(Json(inspect))
    }
}

fn shape(view: &ContainerView, paths: &HostPaths, version: ApiVersion) -> ContainerInspect {
    let spec = &view.spec;
    let mut inspect = ContainerInspect {
        id: spec.id.to_string(),
        created: spec.created.to_string(),
        path: spec.path.clone(),
        args: spec.args.clone(),
        state: state(&view.state),
        image: spec.image.to_string(),
        resolv_conf_path: text(&paths.resolv_conf),
        hostname_path: text(&paths.hostname),
        hosts_path: text(&paths.hosts),
        log_path: text(&spec.log_path),
        name: format!("/{}", spec.name),
        restart_count: view.state.restart_count,
        driver: spec.driver.clone(),
        platform: "linux".to_owned(),
        host_config: spec.host_config.clone(),
        mounts: spec.mounts.clone(),
        config: config(spec, version),
        network_settings: networks::settings(view, &paths.sandbox, version),
        ..ContainerInspect::default()
    };
    if version.before(20) {
        inspect.volumes = Some(spec.mounts.iter().map(|m| (m.destination.clone(), m.source.clone())).collect());
        inspect.volumes_rw = Some(spec.mounts.iter().map(|m| (m.destination.clone(), m.rw)).collect());
    }
    inspect
}

/// Below 1.21, what lives in `HostConfig` now was shown here, too; and nothing was left out for being empty.
fn config(spec: &ContainerSpec, version: ApiVersion) -> ConfigInspect {
    let (mut config, mut older) = (spec.config.clone(), serde_json::Map::new());
    let mut show = |name: &str, value: serde_json::Value| drop(older.insert(name.to_owned(), value));
    let host = &spec.host_config;
    if version.before(21) {
        show("MacAddress", std::mem::take(&mut config.mac_address).into());
        show("NetworkDisabled", std::mem::take(&mut config.network_disabled).into());
        show("ExposedPorts", json!(std::mem::take(&mut config.exposed_ports)));
        show("VolumeDriver", host.volume_driver.as_str().into());
    }
    if version.before(20) {
        show("Memory", host.memory.into());
        show("MemorySwap", host.memory_swap.into());
        show("CpuShares", host.cpu_shares.into());
        show("Cpuset", host.cpuset_cpus.as_str().into());
    }
    ConfigInspect { config, older }
}

fn text(path: &Path) -> String {
    path.display().to_string()
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
        insta::assert_json_snapshot!("inspect_1_52_created", shape(&view(), &paths(), ApiVersion::new(1, 52)));
        insta::assert_json_snapshot!("inspect_1_41_running", shape(&running(), &paths(), ApiVersion::new(1, 41)));
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
        let at = |minor| serde_json::to_value(shape(&running(), &paths(), ApiVersion::new(1, minor)).config).unwrap();
        let (oldest, older, newer) = (at(19), at(20), at(21));
        assert_eq!((&oldest["Memory"], &oldest["Cpuset"], &oldest["MacAddress"]), (&json!(0), &json!(""), &json!("")));
        assert_eq!((&older["ExposedPorts"], &older["NetworkDisabled"]), (&json!({"80/tcp": {}}), &json!(false)));
        assert!(older.get("Memory").is_none() && newer.get("VolumeDriver").is_none());
        assert_eq!(newer["ExposedPorts"], json!({"80/tcp": {}}));
    }

    #[test]
    fn mounts_were_two_maps_once() {
        let old = shape(&running(), &paths(), ApiVersion::new(1, 19));
        assert_eq!((old.volumes.unwrap()["/data"].as_str(), old.volumes_rw.unwrap()["/data"]), ("/srv/data", true));
        assert!(shape(&running(), &paths(), ApiVersion::new(1, 20)).volumes.is_none());
    }
}
