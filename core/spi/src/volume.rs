//! Volume drivers: where the files of volumes are. The shapes are those of the WIT package `wharf:volume`.
//!
//! The rules are those of the Container Storage Interface: every call may come again, with the same key, and then means the same;
//! calls for one volume never overlap. The engine remembers volumes and who uses them, and mounts by itself.

use crate::secret::Secret;
use async_trait::async_trait;
use std::time::Duration;
use wharf_types::Result;

/// A volume, as the engine remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// What its user calls it.
    pub name: String,
    /// Never two for the same volume, and never used again.
    pub id: String,
    /// As `docker volume create -o`.
    pub options: Vec<(String, String)>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// What is to be mounted for a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPlan {
    /// Of the file system.
    pub fstype: String,
    /// As the file system has it: a device, `server:/path`, ….
    pub source: String,
    /// Of the file system, and flags such as `ro`.
    pub options: Vec<String>,
    /// Options that nobody may see, each with the text before it (`password=`).
    pub secrets: Vec<(String, Secret)>,
    /// The directory below the mount that is the volume: relative, without `..`; empty for all of it.
    pub subdirectory: String,
    /// Nobody can write there.
    pub read_only: bool,
}

/// It is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Ask again after this time.
    pub again: Duration,
    /// What is going on, for the user.
    pub message: String,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Done,
    /// Not yet.
    Pending(Progress),
}

/// The answer to [`VolumeDriver::publish`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publication {
    /// Mount this.
    Ready(MountPlan),
    /// Not yet.
    Pending(Progress),
}

/// How a volume is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeStatus {
    /// Bytes.
    pub size: Option<u64>,
    /// Bytes.
    pub used: Option<u64>,
    /// Shown by `docker volume inspect`.
    pub details: Vec<(String, String)>,
    /// Why it cannot be used at the moment; empty when it can.
    pub trouble: String,
}

/// What a driver can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VolumeCapabilities {
    /// The same volumes on every engine, or on this one only.
    pub global: bool,
    /// Several containers may use a volume at once.
    pub shared: bool,
}

/// Says where the files of volumes are.
///
/// Every error means that nothing is known of the change: it is asked for again with the same key.
/// [`wharf_types::ErrorKind::Unavailable`] when there was no answer at all.
///
/// ```
/// use wharf_spi::volume::*;
/// use wharf_types::Result;
///
/// /// Memory that is gone with its last container.
/// struct Scratch;
///
/// #[async_trait::async_trait]
/// impl VolumeDriver for Scratch {
///     fn name(&self) -> &str {
///         "scratch"
///     }
///     async fn capabilities(&self) -> Result<VolumeCapabilities> {
///         Ok(VolumeCapabilities { global: false, shared: true })
///     }
///     async fn validate(&self, _: &[(String, String)]) -> Result<()> {
///         Ok(())
///     }
///     async fn create(&self, _: &str, _: &Volume) -> Result<Answer> {
///         Ok(Answer::Done)
///     }
///     async fn remove(&self, _: &str, _: &Volume) -> Result<Answer> {
///         Ok(Answer::Done)
///     }
///     async fn publish(&self, _: &str, volume: &Volume) -> Result<Publication> {
///         Ok(Publication::Ready(MountPlan {
///             fstype: "tmpfs".to_owned(),
///             source: volume.id.clone(),
///             options: vec!["mode=0755".to_owned()],
///             secrets: Vec::new(),
///             subdirectory: String::new(),
///             read_only: false,
///         }))
///     }
///     async fn unpublish(&self, _: &str, _: &Volume) -> Result<Answer> {
///         Ok(Answer::Done)
///     }
///     async fn status(&self, _: &Volume) -> Result<VolumeStatus> {
///         Ok(VolumeStatus::default())
///     }
///     async fn reconcile(&self, _: &[Volume]) -> Result<Vec<String>> {
///         Ok(Vec::new())
///     }
/// }
/// ```
#[async_trait]
pub trait VolumeDriver: Send + Sync {
    /// As `--driver` has it.
    fn name(&self) -> &str;

    /// What it can do.
    async fn capabilities(&self) -> Result<VolumeCapabilities>;

    /// Checks the options of a volume before there is one.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] with what is wrong.
    async fn validate(&self, options: &[(String, String)]) -> Result<()>;

    /// Makes a volume.
    async fn create(&self, key: &str, volume: &Volume) -> Result<Answer>;

    /// Removes a volume and its data; one that is gone is removed.
    async fn remove(&self, key: &str, volume: &Volume) -> Result<Answer>;

    /// The first container comes; the plan stays mounted until the last goes.
    async fn publish(&self, key: &str, volume: &Volume) -> Result<Publication>;

    /// The last container went, and the plan is unmounted.
    async fn unpublish(&self, key: &str, volume: &Volume) -> Result<Answer>;

    /// How a volume is.
    async fn status(&self, volume: &Volume) -> Result<VolumeStatus>;

    /// All volumes that should be there, at start and on demand. The names of those that are missing.
    async fn reconcile(&self, volumes: &[Volume]) -> Result<Vec<String>>;
}
