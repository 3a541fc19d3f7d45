//! A plugin as a [`VolumeDriver`]. What it wants mounted is checked for form and for its permission `mount:FSTYPE`; sources, options
//! and the mount itself are the business of who mounts.

use super::{
    bindings::volume_driver as wit,
    context::Cx,
    grant::{Grant, Grants},
    instance::{arm, call},
    pool::{Pool, again, ask, export, refusal},
    secrets,
    statistics::Function,
};
use crate::words::cut;
use async_trait::async_trait;
use std::{
    path::{Component, Path},
    sync::Arc,
};
use wharf_spi::{
    plugin::PluginKind as Kind,
    volume::{Answer, MountPlan, Progress, Publication, Volume, VolumeCapabilities, VolumeDriver, VolumeStatus},
};
use wharf_types::{Error, Result};

/// Bytes of the name of a file system's type.
const FSTYPE_MAX: usize = 255;

pub(super) struct Volumes;

export!(Volumes, Kind::Volume);

pub(super) struct Driver {
    pool: Arc<Pool<Volumes>>,
    grants: Grants,
}

impl Driver {
    pub fn new(pool: Arc<Pool<Volumes>>, grants: Grants) -> Self {
        Self { pool, grants }
    }
}

#[async_trait]
impl VolumeDriver for Driver {
    fn name(&self) -> &str {
        &self.pool.shared.name
    }

    async fn capabilities(&self) -> Result<VolumeCapabilities> {
        let (mut lease, span) = self.pool.lease().await?;
        let warm = &mut lease.warm;
        arm(&mut warm.instance.store, span);
        let asked = async { warm.guest.call_capabilities(&mut warm.instance.store).await.map(Ok) };
        let outcome = call(&self.pool.shared, Function::VolumeCapabilities, span, asked).await;
        lease.done(Function::VolumeCapabilities, outcome, |can, _| Ok(VolumeCapabilities { global: can.global, shared: can.shared }))
    }

    async fn validate(&self, options: &[(String, String)]) -> Result<()> {
        ask!(self.pool, VolumeValidate, call_validate(options), |(), _| Ok(())).map_err(refusal)
    }

    async fn create(&self, key: &str, volume: &Volume) -> Result<Answer> {
        ask!(self.pool, VolumeCreate, call_create(key, &wit_of(volume)), |it, _| Ok(answer(it)))
    }

    async fn remove(&self, key: &str, volume: &Volume) -> Result<Answer> {
        ask!(self.pool, VolumeRemove, call_remove(key, &wit_of(volume)), |it, _| Ok(answer(it)))
    }

    async fn publish(&self, key: &str, volume: &Volume) -> Result<Publication> {
        let publication = ask!(self.pool, VolumePublish, call_publish(key, &wit_of(volume)), publication)?;
        match &publication {
            Publication::Ready(MountPlan { fstype, .. }) if !self.grants.covers(&Grant::Mount(fstype.clone())) => Err(Error::forbidden(
                format!("it wants a file system of type {fstype} mounted, and does not have the permission mount:{fstype}"),
            )),
            _ => Ok(publication),
        }
    }

    async fn unpublish(&self, key: &str, volume: &Volume) -> Result<Answer> {
        ask!(self.pool, VolumeUnpublish, call_unpublish(key, &wit_of(volume)), |it, _| Ok(answer(it)))
    }

    async fn status(&self, volume: &Volume) -> Result<VolumeStatus> {
        ask!(self.pool, VolumeStatus, call_status(&wit_of(volume)), |it, _| {
            let wit::VolumeStatus { size, used, details, trouble } = it;
            Ok(VolumeStatus { size, used, details, trouble: cut(trouble) })
        })
    }

    async fn reconcile(&self, volumes: &[Volume]) -> Result<Vec<String>> {
        let all: Vec<wit::Volume> = volumes.iter().map(wit_of).collect();
        ask!(self.pool, VolumeReconcile, call_reconcile(&all), |missing, _| {
            match missing.iter().find(|name| !volumes.iter().any(|volume| volume.name == **name)) {
                Some(name) => Err(format!("it misses a volume {name:?} that it was not asked about")),
                None => Ok(missing),
            }
        })
    }
}

fn wit_of(volume: &Volume) -> wit::Volume {
    let Volume { name, id, options, labels } = volume.clone();
    wit::Volume { name, id, options, labels }
}

fn answer(answer: wit::Answer) -> Answer {
    match answer {
        wit::Answer::Done => Answer::Done,
        wit::Answer::Pending(it) => Answer::Pending(progress(it)),
    }
}

fn progress(progress: wit::Progress) -> Progress {
    Progress { again: again(progress.again), message: cut(progress.message) }
}

fn publication(publication: wit::Publication, cx: &mut Cx) -> Result<Publication, String> {
    let wit::MountPlan { fstype, source, options, secrets, subdirectory, read_only } = match publication {
        wit::Publication::Pending(it) => return Ok(Publication::Pending(progress(it))),
        wit::Publication::Ready(plan) => plan,
    };
    // All of them leave the table, whatever is wrong with the rest.
    let secrets = secrets.into_iter().map(|(before, secret)| secrets::take(cx, secret).map(|secret| (before, secret)));
    let secrets = secrets.collect::<Vec<_>>().into_iter().collect::<Result<Vec<_>, _>>()?;
    if fstype.is_empty()
        || fstype.len() > FSTYPE_MAX
        || !fstype.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    {
        return Err(format!("there can be no file system of type {fstype:?}"));
    }
    if source.chars().any(char::is_control) {
        return Err(format!("{source:?} cannot be the source of a mount"));
    }
    // Options are joined by commas where they are used: one must not bring others along.
    let words = options.iter().chain(secrets.iter().map(|(before, _)| before));
    if let Some(word) = words.into_iter().find(|word| word.is_empty() || word.chars().any(|c| c.is_control() || c == ',')) {
        return Err(format!("{word:?} is no option of a mount"));
    }
    if !Path::new(&subdirectory).components().all(|part| matches!(part, Component::Normal(_))) || subdirectory.contains('\0') {
        return Err(format!("{subdirectory:?} is no directory below a mount"));
    }
    Ok(Publication::Ready(MountPlan { fstype, source, options, secrets, subdirectory, read_only }))
}
