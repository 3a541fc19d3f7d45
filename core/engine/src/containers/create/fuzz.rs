//! The door for the fuzz target of create bodies (`tests/fuzz`); compiled only for it.

use super::{defaults, files, merge, mount_points, names, plan, refuse};
use crate::{EngineConfig, Reloadable, containers::ContainerSpec};
use std::path::PathBuf;
use wharf_api_types::container::{Config, ContainerCreate};
use wharf_runtime::spec::HostFacts;
use wharf_types::{ContainerId, Digest, Result, Timestamp};

/// Judges a create body as [`super::compose`] does, as far as that needs neither images nor other containers.
///
/// # Errors
/// What the client would be told.
pub fn judge(config: &EngineConfig, live: &Reloadable, facts: &HostFacts, body: ContainerCreate, image: Config) -> Result<ContainerSpec> {
    let ContainerCreate { config: mut user, host_config: mut host, networking_config: networking, .. } = body;
    let id = ContainerId::random()?;
    merge::merge(&mut user, image);
    let (path, args) = merge::command(&user)?;
    let named_hostname = !user.hostname.is_empty();
    defaults::fill(config, live, &mut host)?;
    refuse::unsupported_options(&user, &host)?;
    refuse::network_mode(&user, &host, named_hostname)?;
    refuse::endpoints(&host, &networking)?;
    defaults::config(&id, &mut user, &host)?;
    files::validate(&host)?;
    let mut spec = ContainerSpec {
        name: names::placeholder(&id)?,
        id,
        created: Timestamp::ZERO,
        image: Digest::of(b""),
        layers: Vec::new(),
        config: user,
        host_config: host,
        networking,
        path,
        args,
        mounts: Vec::new(),
        driver: String::new(),
        log_path: PathBuf::new(),
    };
    let log = &spec.host_config.log_config;
    wharf_logs::parse_options(&log.kind, &log.config)?;
    wharf_runtime::spec::capabilities::validate(
        spec.host_config.cap_add.as_deref().unwrap_or_default(),
        spec.host_config.cap_drop.as_deref().unwrap_or_default(),
    )?;
    for rule in spec.host_config.device_cgroup_rules.iter().flatten() {
        wharf_runtime::spec::parse_device_rule(rule)?;
    }
    let (drafted, _) = plan::draft(config, facts, &spec)?;
    defaults::settle(&mut spec.host_config, &drafted.resources, facts);
    spec.mounts = mount_points(&config.data_root, &spec.host_config, &drafted.mounts);
    Ok(spec)
}
