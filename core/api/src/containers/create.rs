//! `POST /containers/create`.

use super::defaults;
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
use wharf_engine::containers::{CreateRequest, exposure};
use wharf_spi::authz::{Exposure, Object, Patch};
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
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        [authz::image(cx, &input.body.config.image), authz::new_container(cx, input.name.as_deref(), &input.body)].concat()
    }
    fn exposure(input: &Input, cx: &Cx) -> Option<Exposure> {
        let host = &input.body.host_config;
        Some(cx.containers.exposure(host, exposure::binds(host)))
    }
    fn patch(input: &mut Input, patches: &[Patch]) -> Result<()> {
        let ContainerCreate { config, host_config: host, .. } = &mut input.body;
        for patch in patches {
            match patch {
                Patch::Label(name, value) => drop(config.labels.insert(name.clone(), value.clone())),
                Patch::MemoryLimit(bytes) => {
                    let limit = i64::try_from(*bytes).unwrap_or(i64::MAX);
                    host.memory = if host.memory > 0 { host.memory.min(limit) } else { limit };
                }
                Patch::PidsLimit(processes) => {
                    let limit = i64::from(*processes);
                    host.pids_limit = Some(host.pids_limit.filter(|n| *n > 0).map_or(limit, |n| n.min(limit)));
                }
                Patch::ReadOnlyRootfs => host.readonly_rootfs = true,
                Patch::NoNewPrivileges => {
                    let options = host.security_opt.get_or_insert_default();
                    options.retain(|o| !o.starts_with("no-new-privileges"));
                    options.push("no-new-privileges".to_owned());
                }
                Patch::DropCapability(name) => {
                    let same = |other: &String| other.to_ascii_uppercase().trim_start_matches("CAP_") == name.to_ascii_uppercase();
                    host.cap_add.iter_mut().for_each(|added| added.retain(|other| !same(other)));
                    host.cap_drop.get_or_insert_default().push(name.clone());
                }
            }
        }
        Ok(())
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let Input { name, platform, body } = input;
        let created = cx.containers.create(CreateRequest { name, platform, body }).await?;
        Ok(Created(CreateResponse { id: created.id.to_string(), warnings: created.warnings }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_only_narrow() {
        let body = r#"{"Image":"x","Labels":{"owner":"me"},"HostConfig":{"Memory":100,"CapAdd":["SYS_ADMIN","CHOWN"],"SecurityOpt":["no-new-privileges:false"]}}"#;
        let mut input = Input { name: None, platform: None, body: serde_json::from_str(body).unwrap() };
        let patches = [
            Patch::Label("owner".into(), "uid:7".into()),
            Patch::MemoryLimit(200),
            Patch::PidsLimit(10),
            Patch::ReadOnlyRootfs,
            Patch::NoNewPrivileges,
            Patch::DropCapability("SYS_ADMIN".into()),
        ];
        Create::patch(&mut input, &patches).unwrap();
        let (config, host) = (&input.body.config, &input.body.host_config);
        assert_eq!((config.labels["owner"].as_str(), host.memory, host.pids_limit, host.readonly_rootfs), ("uid:7", 100, Some(10), true));
        assert_eq!(host.security_opt.as_ref().unwrap(), &["no-new-privileges"]);
        assert_eq!(
            (host.cap_add.as_ref().unwrap().join(""), host.cap_drop.as_ref().unwrap().join("")),
            ("CHOWN".into(), "SYS_ADMIN".into())
        );
    }
}
