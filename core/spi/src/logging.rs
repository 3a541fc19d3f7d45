//! Log drivers: where the output of containers goes. The shapes are those of the WIT package `wharf:logging`.
//!
//! The engine keeps every line in a journal first; a [`LogSink`] is a reader of that journal with a place that it has acknowledged.
//! What was not acknowledged is sent again. Lines cross in batches, whose form is in [`batch`].

pub mod batch;

use async_trait::async_trait;
use std::time::Duration;
use wharf_types::{Result, Timestamp};

/// Whose output it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogContainer {
    /// Its id.
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// The id of its image.
    pub image_id: String,
    /// What it was made of, as it was named then.
    pub image_name: String,
    /// Its command line.
    pub command: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its environment.
    pub env: Vec<(String, String)>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything up to the end of the batch is safe.
    Committed,
    /// Nothing was taken; send it again after this time.
    RetryAfter(Duration),
    /// Safe but for the entries at these places of the batch, in order, which will never be taken.
    Rejected(Vec<u32>),
}

/// Makes sinks.
///
/// ```
/// use wharf_spi::logging::{LogContainer, LogDriver, LogSink, Outcome};
/// use wharf_types::{Error, Result};
///
/// struct Nowhere;
///
/// #[async_trait::async_trait]
/// impl LogDriver for Nowhere {
///     fn name(&self) -> &str {
///         "nowhere"
///     }
///     async fn validate(&self, options: &[(String, String)]) -> Result<()> {
///         options.first().map_or(Ok(()), |(key, _)| Err(Error::invalid(format!("unknown log opt '{key}' for nowhere log driver"))))
///     }
///     async fn open(&self, _: &LogContainer, _: &[(String, String)], _: u64) -> Result<Box<dyn LogSink>> {
///         Ok(Box::new(Self))
///     }
/// }
///
/// #[async_trait::async_trait]
/// impl LogSink for Nowhere {
///     async fn push(&mut self, _batch: &[u8], _cursor: u64) -> Result<Outcome> {
///         Ok(Outcome::Committed)
///     }
///     async fn close(&mut self) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait LogDriver: Send + Sync {
    /// As `--log-driver` has it.
    fn name(&self) -> &str;

    /// Checks `--log-opt`s when a container is created.
    ///
    /// # Errors
    /// [`wharf_types::ErrorKind::InvalidParameter`] with what is wrong, [`wharf_types::ErrorKind::Unavailable`] without an answer.
    async fn validate(&self, options: &[(String, String)]) -> Result<()>;

    /// The sink of one container, which begins after `cursor`: the last place that was acknowledged, 0 at first.
    ///
    /// # Errors
    /// When the driver cannot have one at the moment.
    async fn open(&self, container: &LogContainer, options: &[(String, String)], cursor: u64) -> Result<Box<dyn LogSink>>;
}

/// The log of one container on its way out.
#[async_trait]
pub trait LogSink: Send + Sync {
    /// Takes a batch that ends at `cursor`. When the caller goes away before the answer, nothing is known of the batch.
    ///
    /// # Errors
    /// Nothing was taken: it is to be sent again, later. [`wharf_types::ErrorKind::Unavailable`] when there was no answer at all.
    async fn push(&mut self, batch: &[u8], cursor: u64) -> Result<Outcome>;

    /// The container has ended and everything was pushed, or the driver is being replaced. The last call.
    ///
    /// # Errors
    /// When something that was acknowledged may be lost.
    async fn close(&mut self) -> Result<()>;
}

/// Changes, leaves out or adds entries before a driver sees them.
#[async_trait]
pub trait LogTransform: Send + Sync {
    /// For messages.
    fn name(&self) -> &str;

    /// What the driver gets of a batch: whole entries, maybe none.
    ///
    /// # Errors
    /// The batch is to be sent again, later: it never goes on unchanged.
    async fn apply(&self, batch: &[u8]) -> Result<Vec<u8>>;
}
