//! Volume drivers.

use super::{Keyed, Keys, Pairs, done, object};
use serde::Deserialize;
use serde_json::{Value, json};
use wharf_spi::volume::{self, Answer, MountPlan, Progress, Publication, VolumeCapabilities, VolumeDriver, VolumeStatus};
use wharf_types::Result;

/// A function of `wharf:volume/driver`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// What it can do.
    Capabilities,
    /// `-o`s of a volume that is to be.
    Validate(Pairs),
    /// Makes a volume.
    Create(Keyed<About>),
    /// Removes it.
    Remove(Keyed<About>),
    /// What to mount for it.
    Publish(Keyed<About>),
    /// It is not mounted any more.
    Unpublish(Keyed<About>),
    /// How it is.
    Status(About),
    /// All that there should be.
    Reconcile(Vec<About>),
}

/// A volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    name: String,
    /// Its name, when it is not said.
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    options: Pairs,
    #[serde(default)]
    labels: Pairs,
}

impl From<About> for volume::Volume {
    fn from(about: About) -> Self {
        let About { name, id, options, labels } = about;
        Self { id: id.unwrap_or_else(|| name.clone()), name, options: options.into(), labels: labels.into() }
    }
}

/// What the driver answers.
pub async fn call(driver: &dyn VolumeDriver, call: Volume, keys: &mut Keys) -> Result<Value> {
    let mut keyed = |call: Keyed<About>| {
        let (key, about) = keys.of(call);
        (key, volume::Volume::from(about))
    };
    Ok(match call {
        Volume::Capabilities => {
            let VolumeCapabilities { global, shared } = driver.capabilities().await?;
            json!({"global": global, "shared": shared})
        }
        Volume::Validate(options) => {
            driver.validate(&Vec::from(options)).await?;
            done()
        }
        Volume::Create(call) => {
            let (key, volume) = keyed(call);
            answer(driver.create(&key, &volume).await?)
        }
        Volume::Remove(call) => {
            let (key, volume) = keyed(call);
            answer(driver.remove(&key, &volume).await?)
        }
        Volume::Publish(call) => {
            let (key, volume) = keyed(call);
            publication(driver.publish(&key, &volume).await?)
        }
        Volume::Unpublish(call) => {
            let (key, volume) = keyed(call);
            answer(driver.unpublish(&key, &volume).await?)
        }
        Volume::Status(about) => {
            let VolumeStatus { size, used, details, trouble } = driver.status(&about.into()).await?;
            json!({"size": size, "used": used, "details": object(details), "trouble": trouble})
        }
        Volume::Reconcile(all) => {
            let all: Vec<volume::Volume> = all.into_iter().map(Into::into).collect();
            json!(driver.reconcile(&all).await?)
        }
    })
}

fn answer(answer: Answer) -> Value {
    match answer {
        Answer::Done => done(),
        Answer::Pending(progress) => pending(progress),
    }
}

fn pending(Progress { again, message }: Progress) -> Value {
    json!({"pending": {"again": again.as_millis(), "message": message}})
}

/// Of secrets there is the text before them.
fn publication(publication: Publication) -> Value {
    match publication {
        Publication::Pending(progress) => pending(progress),
        Publication::Ready(MountPlan { fstype, source, options, secrets, subdirectory, read_only }) => {
            let secrets: Vec<String> = secrets.into_iter().map(|(before, _)| before).collect();
            json!({
                "fstype": fstype, "source": source, "options": options, "secrets": secrets,
                "subdirectory": subdirectory, "read_only": read_only,
            })
        }
    }
}
