//! `GET /containers/{id}/json`.

use super::networks;
use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use std::path::Path;
use wharf_api_types::{
    ApiVersion,
    inspect::{ContainerInspect, GraphDriver, StateInspect},
};
use wharf_engine::containers::{ContainerState, ContainerView, HostPaths};
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
        config: spec.config.clone(),
        network_settings: networks::settings(view, &paths.sandbox, version),
        ..ContainerInspect::default()
    };
    if version.before(20) {
        inspect.volumes = Some(spec.mounts.iter().map(|m| (m.destination.clone(), m.source.clone())).collect());
        inspect.volumes_rw = Some(spec.mounts.iter().map(|m| (m.destination.clone(), m.rw)).collect());
    }
    inspect
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{paths, running, view};

    #[test]
    fn inspect_shapes() {
        insta::assert_json_snapshot!("inspect_1_52_created", shape(&view(), &paths(), ApiVersion::new(1, 52)));
        insta::assert_json_snapshot!("inspect_1_41_running", shape(&running(), &paths(), ApiVersion::new(1, 41)));
    }

    #[test]
    fn mounts_were_two_maps_once() {
        let old = shape(&running(), &paths(), ApiVersion::new(1, 19));
        assert_eq!((old.volumes.unwrap()["/data"].as_str(), old.volumes_rw.unwrap()["/data"]), ("/srv/data", true));
        assert!(shape(&running(), &paths(), ApiVersion::new(1, 20)).volumes.is_none());
    }
}
