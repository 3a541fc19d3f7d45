//! `POST /containers/{id}/update`.

use crate::{
    Cx, authz,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::{ApiVersion, container::HostConfig, inspect::UpdateResponse};
use wharf_spi::authz::Object;
use wharf_types::Result;

/// Changes limits and the restart policy.
pub struct Update;

#[derive(Serialize)]
pub struct Input {
    id: String,
    /// Resources are fields of the body itself, as they are of a `HostConfig`.
    #[serde(rename = "body")]
    change: HostConfig,
}

impl Endpoint for Update {
    const ROW: Row = Row::post("/containers/{id}/update", "container.update").since(22).json::<HostConfig>().refusals(&[409, 500]);
    type Input = Input;
    type Output = Json<UpdateResponse>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let (id, api) = (rq.path("id")?, rq.api());
        let mut change: HostConfig = rq.json().await?;
        shape(&mut change, api);
        Ok(Input { id, change })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        Ok(Json(UpdateResponse { warnings: cx.containers.update(&input.id, input.change).await? }))
    }
}

/// What clients of that version may change.
fn shape(change: &mut HostConfig, version: ApiVersion) {
    if version.before(40) {
        change.pids_limit = None;
    }
    if version.since(42) {
        change.kernel_memory = 0;
    }
    if version.before(55) {
        change.blkio_weight_device = None;
        change.blkio_device_read_bps = None;
        change.blkio_device_write_bps = None;
        change.blkio_device_read_iops = None;
        change.blkio_device_write_iops = None;
    }
    // Every negative number means no limit, as 0 does.
    change.pids_limit = change.pids_limit.map(|n| n.max(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_clients_cannot_change() {
        let at = |minor| {
            let body = r#"{"PidsLimit":-1,"KernelMemory":5,"BlkioWeightDevice":[{"Path":"/dev/sda","Weight":10}],"Memory":7}"#;
            let mut change = serde_json::from_str(body).unwrap();
            shape(&mut change, ApiVersion::new(1, minor));
            change
        };
        assert_eq!((at(39).pids_limit, at(40).pids_limit), (None, Some(0)));
        assert_eq!((at(41).kernel_memory, at(42).kernel_memory), (5, 0));
        assert!(at(54).blkio_weight_device.is_none() && at(55).blkio_weight_device.is_some());
        assert_eq!(at(22).memory, 7);
    }
}
