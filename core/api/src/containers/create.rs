//! `POST /containers/create`.

use super::defaults;
use crate::{
    Cx,
    contract::text,
    endpoint::{Endpoint, Row},
    reply::Created,
    request::Request,
};
use serde::Serialize;
use wharf_api_types::{
    container::{Config, ContainerCreate},
    inspect::CreateResponse,
};
use wharf_engine::containers::CreateRequest;
use wharf_spi::authz::Target;
use wharf_types::{Error, Result};

/// Creates a container.
pub struct Create;

#[derive(Serialize)]
pub struct Input {
    name: Option<String>,
    platform: Option<String>,
    body: ContainerCreate,
}

impl Endpoint for Create {
    const ROW: Row = Row::post("/containers/create", "container.create")
        .query(&[text("name"), text("platform").since(41)])
        .json::<ContainerCreate>()
        .refusals(&[404, 409, 501]);
    type Input = Input;
    type Output = Created<CreateResponse>;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let api = rq.api();
        let name = rq.query().text("name").map(str::to_owned);
        let platform = rq.query().text("platform").map(str::to_owned);
        let mut body: ContainerCreate = rq.json().await?;
        if body.config == Config::default() {
            return Err(Error::invalid("config cannot be empty in order to create a container"));
        }
        defaults::apply(&mut body, api, cx.system.host().cgroup_version == 2)?;
        Ok(Input { name, platform, body })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Target> {
        crate::authz::image(cx, &input.body.config.image)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { name, platform, body } = input;
        let created = cx.containers.create(CreateRequest { name, platform, body }).await?;
        Ok(Created(CreateResponse { id: created.id.to_string(), warnings: created.warnings }))
    }
}
