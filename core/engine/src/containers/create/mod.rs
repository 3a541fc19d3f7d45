//! `POST /containers/create`: check everything, make the layer, and commit by writing one document.

mod defaults;
#[cfg(test)]
mod fields;
#[cfg(fuzzing)]
pub(super) mod fuzz;
pub(super) mod merge;
mod names;
mod refuse;

use super::{
    ContainerSpec, ContainerState, CreateRequest, Created,
    actor::{Actor, attributes},
    files, plan,
    shared::{Shared, blocking},
    undo::Undo,
};
use crate::images::fits;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};
use wharf_api_types::{
    container::{Config, ContainerCreate, HostConfig},
    mount::MountPoint,
    network::NetworkingConfig,
};
use wharf_images::{Image, Platform};
use wharf_runtime::spec::{
    MountPlan,
    mounts::{Propagation, parse_bind},
};
use wharf_store::sync_dir;
use wharf_types::{ContainerId, ContainerName, Error, ErrorKind, Result, Timestamp, error::Context as _};

/// Creates a container.
pub async fn create(shared: &Arc<Shared>, mut rq: CreateRequest) -> Result<Created> {
    let name = rq.name.as_deref().filter(|n| !n.is_empty()).map(str::parse::<ContainerName>).transpose()?;
    let id = ContainerId::random()?;

    // No image is deleted between its look-up and the moment this container counts as its user.
    let _gate = shared.index.image_gate.read().await;
    let image = shared.images.get(&rq.body.config.image)?;
    let mut warnings = platform_warnings(&image, rq.platform.as_deref())?;

    let state = ContainerState { allowed_binds: rq.allowed_binds.take(), ..ContainerState::default() };
    let (spec, more) = not_404(compose(shared, &id, &image, rq))?;
    warnings.extend(more);
    let (spec, reservation) = names::reserve(shared, spec, name)?;

    let mut undo = Undo::default();
    match store(shared, &spec, &state, &mut undo).await {
        Ok(()) => undo.commit(),
        Err(e) => {
            undo.unwind().await;
            return Err(e);
        }
    }
    reservation.keep();
    let event = attributes(&spec);
    Actor::spawn(shared, spec, state, None, false);
    shared.events.publish("container", "create", id.as_str(), event);
    Ok(Created { id, warnings })
}

/// The layer, then the directory; the document comes last and is the commit point.
async fn store(shared: &Arc<Shared>, spec: &ContainerSpec, state: &ContainerState, undo: &mut Undo) -> Result<()> {
    let (s, id, chain) = (shared.clone(), spec.id.clone(), spec.layers.last().cloned());
    let layer = blocking(move || s.layers.create_rw(&id, chain.as_ref()));
    layer.await?;
    let (s, id) = (shared.clone(), spec.id.clone());
    undo.push("layer", blocking(move || s.layers.remove_rw(&id)));
    let (s, id) = (shared.clone(), spec.id.clone());
    undo.push("directory", blocking(move || s.specs.remove(id.as_str())));
    let (s, spec, state) = (shared.clone(), spec.clone(), state.clone());
    blocking(move || {
        if state.allowed_binds.is_some() {
            let dir = s.dir(&spec.id);
            std::fs::create_dir(&dir).and_then(|()| sync_dir(s.specs.root())).context(dir.display())?;
            s.write_state(&spec.id, &state)?;
        }
        s.specs.put(spec.id.as_str(), &spec)
    })
    .await
}

/// A 404 makes clients pull the image: whatever else is missing is a bad parameter.
fn not_404<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|e| if e.kind() == ErrorKind::NotFound { Error::invalid(e.message()) } else { e })
}

/// Merges request, image and daemon defaults, and checks the whole as a start would.
fn compose(shared: &Shared, id: &ContainerId, image: &Image, rq: CreateRequest) -> Result<(ContainerSpec, Vec<String>)> {
    // What old clients misplace is in its place by now.
    let ContainerCreate { mut config, host_config: host, networking_config: networking, misplaced: _ } = rq.body;
    let image_config: Config = serde_json::from_value(serde_json::to_value(&image.config.config)?)?;
    merge::merge(&mut config, image_config);
    let (path, args) = merge::command(&config)?;
    let named_hostname = !config.hostname.is_empty();
    let mut spec = ContainerSpec {
        id: id.clone(),
        name: names::placeholder(id)?,
        created: Timestamp::now(),
        image: image.id.clone(),
        layers: image.chain_ids(),
        config,
        host_config: host,
        networking,
        path,
        args,
        mounts: Vec::new(),
        driver: shared.layers.driver().to_owned(),
        log_path: PathBuf::new(),
    };
    let warnings = settle(shared, &mut spec, named_hostname)?;
    Ok((spec, warnings))
}

/// The specification with another host configuration: what is not in it is as if it had not been there at create, but for binds
/// and mounts to other places. A new network mode ends what was said of the old one's endpoints.
///
/// # Errors
/// As create.
pub(super) fn adopt(shared: &Shared, spec: &ContainerSpec, host: HostConfig) -> Result<ContainerSpec> {
    let mut adopted = ContainerSpec { host_config: host, ..spec.clone() };
    keep_mounts(&spec.host_config, &mut adopted.host_config)?;
    let mode = |mode: &str| if matches!(mode, "" | "default") { "bridge".to_owned() } else { mode.to_owned() };
    if mode(&adopted.host_config.network_mode) != mode(&spec.host_config.network_mode) {
        adopted.networking = NetworkingConfig::default();
    }
    not_404(settle(shared, &mut adopted, false))?;
    Ok(adopted)
}

/// Keeps binds and mounts to places where `new` has none.
///
/// # Errors
/// 400 for binds that cannot be read.
pub(super) fn keep_mounts(old: &HostConfig, new: &mut HostConfig) -> Result<()> {
    let target = |bind: &String| parse_bind(bind).map(|b| b.target);
    let mut taken: Vec<PathBuf> = new.binds.iter().flatten().map(target).collect::<Result<_>>()?;
    taken.extend(new.mounts.iter().map(|m| PathBuf::from(&m.target)));
    for bind in old.binds.iter().flatten() {
        if !taken.contains(&target(bind)?) {
            new.binds.get_or_insert_default().push(bind.clone());
        }
    }
    new.mounts.extend(old.mounts.iter().filter(|m| !taken.contains(&PathBuf::from(&m.target))).cloned());
    Ok(())
}

/// Fills in what the host configuration leaves open, checks everything as a start would, and derives what follows from it.
fn settle(shared: &Shared, spec: &mut ContainerSpec, named_hostname: bool) -> Result<Vec<String>> {
    let ContainerSpec { id, config, host_config: host, networking, .. } = spec;
    defaults::fill(&shared.config, &shared.live.load(), host)?;
    resolve_joined(shared, host)?;
    refuse::unsupported_options(config, host)?;
    refuse::network_mode(config, host, named_hostname)?;
    refuse::endpoints(host, networking)?;
    defaults::mac_address(config, host, networking)?;
    if let Some(donor) = host.network_mode.strip_prefix("container:") {
        let donor = shared.index.resolve(donor)?.published.borrow().view.spec.clone();
        config.hostname.clone_from(&donor.config.hostname);
        config.domainname.clone_from(&donor.config.domainname);
    }
    defaults::config(id, config, host)?;
    files::validate(host)?;
    let log = &host.log_config;
    wharf_logs::parse_options(&log.kind, &log.config)?;
    spec.log_path = if log.kind == "json-file" { shared.dir(id).join(format!("{id}-json.log")) } else { PathBuf::new() };
    plan::runtime(&shared.live.load(), &host.runtime)?;
    for mount in host.mounts.iter().filter(|m| m.kind == "bind") {
        plan::bind_source_exists(mount)?;
    }
    let list = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    wharf_runtime::spec::capabilities::validate(&list(&host.cap_add), &list(&host.cap_drop))?;
    for rule in host.device_cgroup_rules.iter().flatten() {
        wharf_runtime::spec::parse_device_rule(rule)?;
    }
    let (drafted, mut warnings) = plan::draft(&shared.config, &shared.host, spec)?;
    let host = &mut spec.host_config;
    warnings.extend(defaults::discard(host));
    defaults::settle(host, &drafted.resources, &shared.host);
    spec.mounts = mount_points(&shared.config.data_root, host, &drafted.mounts);
    Ok(warnings)
}

/// `container:NAME` is kept as `container:ID`, so that a rename of the other container changes nothing.
fn resolve_joined(shared: &Shared, host: &mut HostConfig) -> Result<()> {
    for mode in [&mut host.network_mode, &mut host.pid_mode, &mut host.ipc_mode] {
        if let Some(name) = mode.strip_prefix("container:").filter(|n| !n.is_empty()) {
            let id = shared.index.resolve(name)?.published.borrow().view.id().clone();
            *mode = format!("container:{id}");
        }
    }
    Ok(())
}

/// Whether the image fits the platform that was asked for, or else the host's.
fn platform_warnings(image: &Image, wanted: Option<&str>) -> Result<Vec<String>> {
    if let Some(wanted) = wanted.filter(|w| !w.is_empty()) {
        fits(image, &[wanted.parse::<Platform>()?])?;
        return Ok(Vec::new());
    }
    let (own, host) = (image.platform(), Platform::default());
    let text = format!(
        "The requested image's platform ({own}) does not match the detected host platform ({host}) and no specific platform was requested"
    );
    Ok(if own.architecture == host.architecture { Vec::new() } else { vec![text] })
}

/// Binds and tmpfs of `Mounts` as inspect lists them (tmpfs of `HostConfig.Tmpfs` is not among them, as in dockerd).
fn mount_points(data_root: &Path, host: &HostConfig, plans: &[MountPlan]) -> Vec<MountPoint> {
    let default = |source: &Path| if plan::shows_mounts(data_root, source) { Propagation::RSlave } else { Propagation::RPrivate };
    let modes: BTreeMap<PathBuf, String> = host
        .binds
        .iter()
        .flatten()
        .filter_map(|raw| parse_bind(raw).ok().map(|b| (b.target, raw.split(':').nth(2).unwrap_or_default().to_owned())))
        .collect();
    let point = |plan: &MountPlan| match plan {
        MountPlan::Bind(b) => Some(MountPoint {
            kind: "bind".to_owned(),
            source: b.source.display().to_string(),
            destination: b.target.display().to_string(),
            mode: modes.get(&b.target).cloned().unwrap_or_default(),
            rw: !b.read_only,
            propagation: b.propagation.unwrap_or_else(|| default(&b.source)).as_str().to_owned(),
            ..MountPoint::default()
        }),
        MountPlan::Raw(_) => None,
        MountPlan::Tmpfs(t) if host.tmpfs.contains_key(&t.target.display().to_string()) => None,
        MountPlan::Tmpfs(t) => Some(MountPoint {
            kind: "tmpfs".to_owned(),
            destination: t.target.display().to_string(),
            rw: !t.read_only,
            ..MountPoint::default()
        }),
    };
    plans.iter().filter_map(point).collect()
}
