//! `docker cp`: files of a container's root file system, as archives.
//!
//! Whether the container runs makes no difference: its layers, its bind mounts and volumes, and the files that the engine manages
//! are put together in a view of its own (see [`wharf_layers::view`]). What only exists inside the running container (tmpfs,
//! `/proc`, its own mounts) is not there, as with Docker.

use super::{ContainerView, Containers, actor::attributes, exposure::real, files::MANAGED, plan, shared::Shared, shared::blocking};
use crate::{
    ByteStream,
    pipe::{Packing, Pipe, produce},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;
use wharf_api_types::mount::MountPoint;
use wharf_images::compress::unpack;
use wharf_layers::{
    apply::UnpackOptions,
    archive::{self, Found, PathStat},
    layers::Borrowed,
    view::{Mounted, View},
};
use wharf_runtime::spec::resolve_user;
use wharf_types::{ContainerId, Error, ErrorKind, Result};

/// How to unpack an archive into a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExtractOptions {
    /// A directory is not replaced by something else, nor something else by a directory.
    pub keep_kinds: bool,
    /// Everything will belong to the container's user.
    pub container_owner: bool,
}

/// A container's files. The root file system is mounted as long as this lives.
struct Files {
    view: View,
    rootfs: Borrowed,
}

impl Files {
    fn open(shared: &Arc<Shared>, container: &ContainerView) -> Result<Self> {
        let rootfs = shared.layers.borrow(container.id())?;
        let view = View::open(rootfs.path(), &mounts(shared, container)?, container.spec.host_config.readonly_rootfs)?;
        Ok(Self { view, rootfs })
    }
}

/// What lies on the root file system: the user's mounts, as they were allowed, and the managed files once a start has written them.
fn mounts(shared: &Shared, container: &ContainerView) -> Result<Vec<Mounted>> {
    let ContainerView { spec, state } = container;
    let of_user = spec.mounts.iter().filter(|m| !m.source.is_empty());
    let mounted = |mount: &MountPoint| {
        let (source, target) = (Path::new(&mount.source), PathBuf::from(&mount.destination));
        let source = match &state.allowed_binds {
            Some(allowed) => plan::held(source, &target, allowed)?,
            None => real(source),
        };
        Ok(Mounted { source, target, read_only: !mount.rw })
    };
    let mut mounts = of_user.map(mounted).collect::<Result<Vec<_>>>()?;
    let owner = spec.network_container().and_then(|id| id.parse::<ContainerId>().ok());
    let dir = shared.dir(owner.as_ref().unwrap_or(&spec.id));
    for (name, target) in MANAGED {
        let (source, target) = (dir.join(name), PathBuf::from(target));
        if source.exists() && mounts.iter().all(|m| m.target != target) {
            mounts.push(Mounted { source: real(&source), target, read_only: spec.host_config.readonly_rootfs });
        }
    }
    Ok(mounts)
}

impl Containers {
    /// What lies at a path.
    ///
    /// # Errors
    /// 404 for the container and for the path, and 403 when a bind leads elsewhere than it may.
    pub async fn path_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        let (_, found) = self.find(name, path, archive::find).await?;
        Ok(found.stat())
    }

    /// What lies at a path, and it as a tar, packed or not.
    ///
    /// # Errors
    /// As [`Containers::path_stat`].
    pub async fn archive(&self, name: &str, path: &str, packing: Packing) -> Result<(PathStat, ByteStream)> {
        let (files, found) = self.find(name, path, archive::find).await?;
        self.copied(name, "archive-path")?;
        let stat = found.stat();
        Ok((stat, stream(files, move |pipe| packing.write(pipe, |out| found.pack(out))).await?))
    }

    /// The tar of a file or of what a directory holds; links are followed (API before 1.24).
    ///
    /// # Errors
    /// As [`Containers::path_stat`].
    pub async fn copy(&self, name: &str, path: &str) -> Result<ByteStream> {
        let (files, found) = self.find(name, path, archive::find_behind).await?;
        self.copied(name, "copy")?;
        stream(files, move |pipe| found.pack_content(pipe)).await
    }

    /// Unpacks a tar, packed or not, into a directory.
    ///
    /// # Errors
    /// 404 as [`Containers::path_stat`]; 400 for what is no directory, is read-only or no archive.
    pub async fn extract(&self, name: &str, path: &str, body: impl AsyncRead + Send + Unpin + 'static, how: ExtractOptions) -> Result<()> {
        let (view, shared, input) = (self.get(name)?, self.shared.clone(), SyncIoBridge::new(body));
        let (container, place) = (name.to_owned(), path.to_owned());
        blocking(move || {
            let files = Files::open(&shared, &view)?;
            let user = &view.spec.config.user;
            let owner = if how.container_owner && !user.is_empty() {
                let user = resolve_user(files.rootfs.path(), user, &[])?;
                Some((user.uid, user.gid))
            } else {
                None
            };
            let (_, mut tar) = unpack(input).map_err(|e| Error::invalid(format!("invalid archive: {e}")).with_source(e))?;
            let options = UnpackOptions { owner, keep_kinds: how.keep_kinds };
            archive::unpack(&files.view, &place, &mut tar, options).map_err(|e| not_found(e, &container))
        })
        .await?;
        self.copied(name, "extract-to-dir")
    }

    async fn find(&self, name: &str, path: &str, find: fn(&View, &str) -> Result<Found>) -> Result<(Files, Found)> {
        let (view, shared) = (self.get(name)?, self.shared.clone());
        let (container, path) = (name.to_owned(), path.to_owned());
        blocking(move || {
            let files = Files::open(&shared, &view)?;
            let found = find(&files.view, &path).map_err(|e| not_found(e, &container))?;
            Ok((files, found))
        })
        .await
    }

    fn copied(&self, name: &str, action: &str) -> Result<()> {
        let view = self.get(name)?;
        self.shared.events.publish("container", action, view.id().as_str(), attributes(&view.spec));
        Ok(())
    }
}

async fn stream(files: Files, pack: impl FnOnce(&mut Pipe) -> Result<()> + Send + 'static) -> Result<ByteStream> {
    produce(move |pipe| {
        let packed = pack(pipe);
        drop(files);
        packed
    })
    .await
}

/// Adds the container to a 404 about a path in it.
fn not_found(e: Error, container: &str) -> Error {
    match e.kind() {
        ErrorKind::NotFound => Error::not_found(format!("{} in container {container}", e.message())),
        _ => e,
    }
}
