//! `POST /containers/create`.

use super::{defaults, exposed::Seen, narrow::narrow};
use crate::{
    Cx, authz,
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
use wharf_spi::authz::{Exposure, Object, ObjectKind, Patch};
use wharf_types::{Error, Result};

/// Creates a container.
pub struct Create;

#[derive(Serialize)]
pub struct Input {
    name: Option<String>,
    platform: Option<String>,
    body: ContainerCreate,
    #[serde(skip)]
    seen: Seen,
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
        let seen = Seen::of(cx, &body.host_config);
        Ok(Input { name, platform, body, seen })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        [authz::image(cx, &input.body.config.image), authz::new_container(cx, input.name.as_deref(), &input.body)].concat()
    }
    fn exposure(input: &Input, cx: &Cx) -> Option<Exposure> {
        input.seen.exposure(cx, &input.body.host_config)
    }
    fn absent(object: &Object) -> Error {
        let error = authz::absent(object);
        // At a 404 clients pull the image.
        if object.kind == ObjectKind::Image { error } else { Error::invalid(error.message()) }
    }
    fn patch(input: &mut Input, patches: &[Patch]) -> Result<()> {
        let ContainerCreate { config, host_config, .. } = &mut input.body;
        patches.iter().try_for_each(|patch| match patch {
            Patch::Label(name, value) => {
                config.labels.insert(name.clone(), value.clone());
                Ok(())
            }
            patch => narrow(host_config, patch),
        })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { name, platform, body, seen } = input;
        let created = cx.containers.create(CreateRequest { name, platform, body, allowed_binds: seen.allowed() }).await?;
        Ok(Created(CreateResponse { id: created.id.to_string(), warnings: created.warnings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_host_configuration_are_changed() {
        let body = serde_json::from_str(r#"{"Image":"x","Labels":{"owner":"me"}}"#).unwrap();
        let mut input = Input { name: None, platform: None, body, seen: Seen::default() };
        Create::patch(&mut input, &[Patch::Label("owner".into(), "uid:7".into()), Patch::ReadOnlyRootfs]).unwrap();
        assert_eq!((input.body.config.labels["owner"].as_str(), input.body.host_config.readonly_rootfs), ("uid:7", true));
        assert!(Create::patch(&mut input, &[Patch::MemoryLimit(0)]).is_err());
    }
}
