//! Mounts: from what was asked for to what the runtime is told.

use crate::containers::{exposure, record::AllowedBind};
use std::path::{Path, PathBuf};
use wharf_api_types::{container::HostConfig, mount::Mount};
use wharf_runtime::spec::{
    BindPlan, MountPlan, RecursiveReadOnly, TmpfsPlan,
    mounts::{BindSource, Propagation, check_propagation, parse_bind, tmpfs_options},
};
use wharf_types::{Error, Result, error::Context as _};

/// What a container has mounted, of `Binds`, `Mounts` and `Tmpfs`.
///
/// # Errors
/// 400 for what cannot be.
pub(super) fn planned(data_root: &Path, host: &HostConfig) -> Result<Vec<MountPlan>> {
    let mut plans = Vec::new();
    for raw in host.binds.iter().flatten() {
        let bind = parse_bind(raw)?;
        let BindSource::Host(source) = bind.source else {
            return Err(Error::invalid(format!("volumes are not supported by this version of Wharf yet: {raw}")));
        };
        plans.push(MountPlan::Bind(BindPlan {
            source,
            target: bind.target,
            read_only: bind.mode.read_only,
            propagation: bind.mode.propagation,
            recursive_read_only: RecursiveReadOnly::Prefer,
            non_recursive: false,
        }));
    }
    for mount in &host.mounts {
        plans.push(typed_mount(mount)?);
    }
    for (target, options) in &host.tmpfs {
        let options = tmpfs_options(options.split(','))?;
        plans.push(MountPlan::Tmpfs(TmpfsPlan { target: target.into(), options, ..TmpfsPlan::default() }));
    }
    plans.iter().try_for_each(|plan| check_shown_mounts(data_root, plan))?;
    let mut targets: Vec<_> = plans.iter().map(MountPlan::target).collect();
    targets.sort();
    if let Some(twice) = targets.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first()) {
        return Err(Error::invalid(format!("Duplicate mount point: {}", twice.display())));
    }
    Ok(plans)
}

/// A bind of what holds the data root, or of what is in it, shows the container the mounts of other containers. It has to let go of
/// them when they are unmounted: it is a slave of the host's unless the user chose that it shares.
///
/// # Errors
/// 400 for another choice.
fn check_shown_mounts(data_root: &Path, plan: &MountPlan) -> Result<()> {
    match plan {
        MountPlan::Bind(bind) if shows_mounts(data_root, &bind.source) => match bind.propagation {
            None | Some(Propagation::RSlave | Propagation::RShared) => Ok(()),
            Some(other) => Err(Error::invalid(format!(
                "invalid mount config: must use either propagation mode \"rslave\" or \"rshared\" when mount source is within the daemon \
                 root, daemon root: {data_root:?}, bind mount source: {:?}, propagation: {:?}",
                bind.source,
                other.as_str()
            ))),
        },
        _ => Ok(()),
    }
}

/// Whether a bind of `source` shows the containers' own mounts.
pub fn shows_mounts(data_root: &Path, source: &Path) -> bool {
    source.starts_with(data_root) || data_root.starts_with(source)
}

/// Makes such binds slaves, where the host's mounts propagate at all.
pub(super) fn follow_unmounts(data_root: &Path, plan: &mut MountPlan) {
    let MountPlan::Bind(bind) = plan else { return };
    if bind.propagation.is_none() && shows_mounts(data_root, &bind.source) {
        let slave = BindPlan { propagation: Some(Propagation::RSlave), ..bind.clone() };
        if check_propagation(&[MountPlan::Bind(slave.clone())]).is_ok() {
            *bind = slave;
        }
    }
}

fn typed_mount(mount: &Mount) -> Result<MountPlan> {
    let wrong = |why: &str| Error::invalid(format!("invalid mount config for type \"{}\": {why}", mount.kind));
    if mount.target.is_empty() {
        return Err(wrong("field Target must not be empty"));
    }
    if !mount.target.starts_with('/') {
        return Err(wrong(&format!("invalid mount path: '{}' mount path must be absolute", mount.target)));
    }
    if mount.target.trim_end_matches('/').is_empty() {
        return Err(wrong("invalid specification: destination can't be '/'"));
    }
    let target = PathBuf::from(&mount.target);
    let options = [
        ("BindOptions", "bind", mount.bind_options.is_some()),
        ("VolumeOptions", "volume", mount.volume_options.is_some()),
        ("TmpfsOptions", "tmpfs", mount.tmpfs_options.is_some()),
        ("ImageOptions", "image", mount.image_options.is_some()),
        ("ClusterOptions", "cluster", mount.cluster_options.is_some()),
    ];
    if let Some((option, ..)) = options.into_iter().find(|(_, kind, given)| *given && *kind != mount.kind) {
        return Err(Error::invalid(format!("{option} must not be specified on mount type {:?}", mount.kind)));
    }
    match mount.kind.as_str() {
        "bind" => {
            if mount.source.is_empty() {
                return Err(wrong("field Source must not be empty"));
            }
            if !mount.source.starts_with('/') {
                return Err(wrong(&format!("invalid mount path: '{}' mount path must be absolute", mount.source)));
            }
            let options = mount.bind_options.clone().unwrap_or_default();
            let propagation = match options.propagation.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| wrong(&format!("invalid propagation mode: {text}")))?),
            };
            Ok(MountPlan::Bind(BindPlan {
                source: PathBuf::from(&mount.source),
                target,
                read_only: mount.read_only,
                propagation,
                recursive_read_only: match (options.read_only_force_recursive, options.read_only_non_recursive) {
                    (true, _) => RecursiveReadOnly::Require,
                    (_, true) => RecursiveReadOnly::No,
                    _ => RecursiveReadOnly::Prefer,
                },
                non_recursive: options.non_recursive,
            }))
        }
        "tmpfs" => {
            if !mount.source.is_empty() {
                return Err(wrong("field Source must not be specified"));
            }
            let options = mount.tmpfs_options.clone().unwrap_or_default();
            let words: Vec<String> = options.options.iter().map(|o| o.join("=")).collect();
            Ok(MountPlan::Tmpfs(TmpfsPlan {
                target,
                options: tmpfs_options(words.iter().map(String::as_str))?,
                size: u64::try_from(options.size_bytes).ok().filter(|s| *s > 0),
                mode: (options.mode != 0).then_some(options.mode),
                read_only: mount.read_only,
            }))
        }
        "volume" | "image" | "cluster" => {
            Err(Error::invalid(format!("mounts of type {} are not supported by this version of Wharf yet: {}", mount.kind, mount.target)))
        }
        _ => Err(wrong("mount type unknown")),
    }
}

/// Binds what was allowed and nothing else.
///
/// # Errors
/// As [`held`].
pub(super) fn hold(plans: &mut [MountPlan], allowed: &[AllowedBind]) -> Result<()> {
    for plan in plans {
        let MountPlan::Bind(bind) = plan else { continue };
        bind.source = held(&bind.source, &bind.target, allowed)?;
    }
    Ok(())
}

/// Where a bind leads, if it was allowed to: a link in the path of its source may lead elsewhere by now, and whoever can write there has
/// seen to that.
///
/// # Errors
/// 403 when it was not.
pub fn held(source: &Path, target: &Path, allowed: &[AllowedBind]) -> Result<PathBuf> {
    let now = AllowedBind { source: exposure::real(source), target: target.to_owned() };
    if allowed.contains(&now) {
        return Ok(now.source);
    }
    let (source, target, leads) = (source.display(), target.display(), now.source.display());
    Err(Error::forbidden(format!("bind mount {source}:{target} was not allowed to lead to {leads}: start the container again")))
}

/// `Binds` makes a missing source directory, `Mounts` only when it is told to; a missing one is refused otherwise.
pub(super) fn make_bind_sources(host: &HostConfig) -> Result<()> {
    for raw in host.binds.iter().flatten() {
        if let BindSource::Host(source) = parse_bind(raw)?.source {
            make_dir(&source)?;
        }
    }
    for mount in host.mounts.iter().filter(|m| m.kind == "bind") {
        if mount.bind_options.as_ref().is_some_and(|o| o.create_mountpoint) {
            make_dir(Path::new(&mount.source))?;
        } else {
            bind_source_exists(mount)?;
        }
    }
    Ok(())
}

fn make_dir(source: &Path) -> Result<()> {
    if source.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(source).context(format!("error while creating mount source path '{}'", source.display()))
}

/// # Errors
/// 400 `invalid mount config for type "bind": bind source path does not exist: /x`.
pub fn bind_source_exists(mount: &Mount) -> Result<()> {
    if std::fs::metadata(&mount.source).is_ok() || mount.bind_options.as_ref().is_some_and(|o| o.create_mountpoint) {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid mount config for type \"bind\": bind source path does not exist: {}", mount.source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_is_held_to_where_it_led() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        let lead = |to: &str| {
            std::fs::create_dir_all(dir.path().join(to)).unwrap();
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(to, &link).unwrap();
        };
        lead("mine");
        let bind = format!("{}:/x", link.display());
        let seen = exposure::binds(&HostConfig { binds: Some(vec![bind]), ..HostConfig::default() });
        let allowed: Vec<_> = seen.into_iter().map(AllowedBind::from).collect();
        let held = |target: &str| held(&link, Path::new(target), &allowed);
        assert!(held("/x").unwrap().ends_with("mine") && held("/y").is_err());
        lead("secret");
        assert!(held("/x").unwrap_err().message().contains("was not allowed to lead to"));
    }
}
