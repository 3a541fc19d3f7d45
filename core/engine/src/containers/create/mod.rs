//! `POST /containers/create`: check everything, make the layer, and commit by writing one document.

mod defaults;
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
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use wharf_api_types::{
    container::{Config, ContainerCreate, HostConfig},
    mount::MountPoint,
};
use wharf_images::{Image, Platform};
use wharf_runtime::spec::{
    MountPlan,
    mounts::{Propagation, parse_bind},
};
use wharf_types::{ContainerId, ContainerName, Error, ErrorKind, Result, Timestamp};

/// Creates a container.
pub async fn create(shared: &Arc<Shared>, rq: CreateRequest) -> Result<Created> {
    let name = rq.name.as_deref().filter(|n| !n.is_empty()).map(str::parse::<ContainerName>).transpose()?;
    let id = ContainerId::random()?;

    // No image is deleted between its look-up and the moment this container counts as its user.
    let _gate = shared.index.image_gate.read().await;
    let image = shared.images.get(&rq.body.config.image)?;
    let mut warnings = platform_warnings(&image, rq.platform.as_deref())?;

    let (spec, more) = not_404(compose(shared, &id, &image, rq))?;
    warnings.extend(more);
    let (spec, reservation) = names::reserve(shared, spec, name)?;

    let mut undo = Undo::default();
    match store(shared, &spec, &mut undo).await {
        Ok(()) => undo.commit(),
        Err(e) => {
            undo.unwind().await;
            return Err(e);
        }
    }
    reservation.keep();
    let event = attributes(&spec);
    Actor::spawn(shared, spec, ContainerState::default(), None, false);
    shared.events.publish("container", "create", id.as_str(), event);
    Ok(Created { id, warnings })
}

/// The layer, then the directory; the document comes last and is the commit point.
async fn store(shared: &Arc<Shared>, spec: &ContainerSpec, undo: &mut Undo) -> Result<()> {
    let (s, id, chain) = (shared.clone(), spec.id.clone(), spec.layers.last().cloned());
    let layer = blocking(move || s.layers.create_rw(&id, chain.as_ref()));
    layer.await?;
    let (s, id) = (shared.clone(), spec.id.clone());
    undo.push("layer", blocking(move || s.layers.remove_rw(&id)));
    let (s, id) = (shared.clone(), spec.id.clone());
    undo.push("directory", blocking(move || s.specs.remove(id.as_str())));
    let (s, spec) = (shared.clone(), spec.clone());
    blocking(move || s.specs.put(spec.id.as_str(), &spec)).await
}

/// A 404 makes clients pull the image: whatever else is missing is a bad parameter.
fn not_404<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|e| if e.kind() == ErrorKind::NotFound { Error::invalid(e.message()) } else { e })
}

/// Merges request, image and daemon defaults, and checks the whole as a start would.
fn compose(shared: &Shared, id: &ContainerId, image: &Image, rq: CreateRequest) -> Result<(ContainerSpec, Vec<String>)> {
    let ContainerCreate { mut config, host_config: mut host, networking_config: networking } = rq.body;
    let image_config: Config = serde_json::from_value(serde_json::to_value(&image.config.config)?)?;
    merge::merge(&mut config, image_config);
    let (path, args) = merge::command(&config)?;
    let named_hostname = !config.hostname.is_empty();
    defaults::fill(&shared.config, &shared.live.load(), &mut host)?;
    resolve_joined(shared, &mut host)?;
    refuse::unsupported_options(&config, &host)?;
    refuse::network_mode(&config, &host, named_hostname)?;
    refuse::endpoints(&host, &networking)?;
    if let Some(donor) = host.network_mode.strip_prefix("container:") {
        let donor = shared.index.resolve(donor)?.published.borrow().view.spec.clone();
        config.hostname.clone_from(&donor.config.hostname);
        config.domainname.clone_from(&donor.config.domainname);
    }
    defaults::config(id, &mut config, &host)?;
    files::validate(&host)?;

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
    if spec.host_config.log_config.kind == "json-file" {
        spec.log_path = shared.dir(id).join(format!("{id}-json.log"));
    }
    let log = &spec.host_config.log_config;
    wharf_logs::parse_options(&log.kind, &log.config)?;
    plan::runtime(&shared.live.load(), &spec.host_config.runtime)?;
    for mount in spec.host_config.mounts.iter().filter(|m| m.kind == "bind") {
        plan::bind_source_exists(mount)?;
    }
    wharf_runtime::spec::capabilities::validate(
        spec.host_config.cap_add.as_deref().unwrap_or_default(),
        spec.host_config.cap_drop.as_deref().unwrap_or_default(),
    )?;
    for rule in spec.host_config.device_cgroup_rules.iter().flatten() {
        wharf_runtime::spec::parse_device_rule(rule)?;
    }
    let (drafted, warnings) = plan::draft(&shared.config, &shared.host, &spec)?;
    defaults::settle(&mut spec.host_config, &drafted.resources, &shared.host);
    spec.mounts = mount_points(&spec.host_config, &drafted.mounts);
    Ok((spec, warnings))
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
    let host = Platform::default();
    let own = Platform {
        os: image.os().to_owned(),
        architecture: Some(&image.config.architecture).filter(|a| !a.is_empty()).unwrap_or(&host.architecture).clone(),
        variant: image.config.variant.clone(),
    };
    let show =
        |p: &Platform| [&p.os, &p.architecture, &p.variant].into_iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join("/");
    let Some(wanted) = wanted.filter(|w| !w.is_empty()).map(str::parse::<Platform>).transpose()? else {
        let text = format!(
            "The requested image's platform ({}) does not match the detected host platform ({}) and no specific platform was requested",
            show(&own),
            show(&host)
        );
        return Ok(if own.architecture == host.architecture { Vec::new() } else { vec![text] });
    };
    let same =
        own.os == wanted.os && own.architecture == wanted.architecture && (wanted.variant.is_empty() || wanted.variant == own.variant);
    if same {
        return Ok(Vec::new());
    }
    let name = image.tags.first().map_or_else(|| image.id.to_string(), ToString::to_string);
    Err(Error::not_found(format!(
        "image with reference {name} was found but does not match the specified platform: wanted {}, actual: {}",
        show(&wanted),
        show(&own)
    )))
}

/// Binds and tmpfs of `Mounts` as inspect lists them (tmpfs of `HostConfig.Tmpfs` is not among them, as in dockerd).
fn mount_points(host: &HostConfig, plans: &[MountPlan]) -> Vec<MountPoint> {
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
            propagation: b.propagation.unwrap_or(Propagation::RPrivate).as_str().to_owned(),
            ..MountPoint::default()
        }),
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
