//! `GET /exec/{id}/json`.

use crate::{
    Cx, authz, detach,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use wharf_api_types::exec::{ExecInspect, ProcessConfig};
use wharf_engine::execs::ExecView;
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Describes an exec.
pub struct Inspect;

#[derive(Serialize)]
pub struct Input {
    id: String,
}

impl Endpoint for Inspect {
    const ROW: Row = Row::get("/exec/{id}/json", "exec.inspect");
    type Input = Input;
    type Output = Json<ExecInspect>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        Ok(Input { id: rq.path("id")? })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::exec(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        Ok(Json(shape(&*cx.execs.get(&input.id)?)))
    }
}

fn shape(exec: &ExecView) -> ExecInspect {
    let config = &exec.config;
    let mut command = config.cmd.clone().unwrap_or_default().into_iter();
    let keys = if config.detach_keys.is_empty() { Vec::new() } else { detach::parse(&config.detach_keys).unwrap_or_default() };
    ExecInspect {
        id: exec.id.to_string(),
        running: exec.running,
        exit_code: exec.exit_code,
        process_config: ProcessConfig {
            tty: config.tty,
            entrypoint: command.next().unwrap_or_default(),
            arguments: command.collect(),
            privileged: Some(config.privileged),
            user: config.user.clone(),
        },
        open_stdin: config.attach_stdin,
        open_stderr: config.attach_stderr,
        open_stdout: config.attach_stdout,
        can_remove: false,
        container_id: exec.container.to_string(),
        detach_keys: BASE64_STANDARD.encode(keys),
        pid: exec.pid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_api_types::exec::ExecCreate;

    #[test]
    fn exec_shape() {
        let config = ExecCreate {
            cmd: Some(["sh", "-c", "x"].map(str::to_owned).to_vec()),
            attach_stdout: true,
            detach_keys: "ctrl-a".to_owned(),
            ..ExecCreate::default()
        };
        let exec = ExecView {
            id: "e".repeat(64).parse().unwrap(),
            container: "c".repeat(64).parse().unwrap(),
            config,
            running: true,
            exit_code: None,
            pid: 7,
        };
        insta::assert_json_snapshot!(shape(&exec));
    }
}
