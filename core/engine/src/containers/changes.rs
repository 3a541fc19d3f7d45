//! `docker diff` and `docker export`: what a container changed, and all of its files.

use super::{Containers, actor::attributes, shared::blocking};
use crate::{ByteStream, metrics::Timer, pipe::produce};
use wharf_layers::{archive, diff::Change, view::View};
use wharf_types::Result;

impl Containers {
    /// What it changed in its image's files, in order.
    ///
    /// # Errors
    /// 404, or 500 when its layer cannot be read.
    pub async fn changes(&self, name: &str) -> Result<Vec<Change>> {
        let (view, shared) = (self.get(name)?, self.shared.clone());
        self.shared.metrics.timed(Timer::ContainerChanges, blocking(move || shared.layers.changes(view.id()))).await
    }

    /// The tar of its root file system, without what is mounted on it.
    ///
    /// # Errors
    /// 404, or 500 when its root file system cannot be mounted.
    pub async fn export(&self, name: &str) -> Result<ByteStream> {
        let (container, shared) = (self.get(name)?, self.shared.clone());
        let id = container.id().clone();
        let (rootfs, root) = blocking(move || {
            let rootfs = shared.layers.borrow(&id)?;
            let root = archive::find(&View::open(rootfs.path(), &[], false)?, "/")?;
            Ok((rootfs, root))
        })
        .await?;
        self.shared.events.publish("container", "export", container.id().as_str(), attributes(&container.spec));
        produce(move |pipe| {
            let packed = root.pack_content(pipe);
            drop(rootfs);
            packed
        })
        .await
    }
}
