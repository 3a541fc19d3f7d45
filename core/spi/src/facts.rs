//! What plugins may look at: objects and events of the engine, from its own records.

use crate::authz::ObjectKind;
use wharf_types::Timestamp;

/// An object as a plugin sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its id; of what has none, its name.
    pub id: String,
    /// A container's without the slash; the first reference of an image.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// The id of a container's image; empty for the others.
    pub image: String,
    /// What `inspect` answers, as JSON in the newest API version.
    pub detail: String,
}

/// Something that happened, as a plugin sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFacts {
    /// Its place in the stream. Within one run of the engine each is one more than the last; a later run goes on much higher.
    pub cursor: u64,
    /// When.
    pub time: Timestamp,
    /// `container`, `image`, ….
    pub kind: String,
    /// `create`, `die`, ….
    pub action: String,
    /// Id of the object.
    pub id: String,
    /// Attributes, sorted.
    pub attributes: Vec<(String, String)>,
}

/// Looks things up for plugins.
///
/// ```
/// use wharf_spi::{authz::ObjectKind, facts::{EngineFacts, EventFacts, ObjectFacts}};
///
/// struct Nothing;
///
/// impl EngineFacts for Nothing {
///     fn find(&self, _: ObjectKind, _: &str) -> Option<ObjectFacts> {
///         None
///     }
///     fn events_since(&self, _: u64, _: usize) -> Vec<EventFacts> {
///         Vec::new()
///     }
/// }
/// ```
pub trait EngineFacts: Send + Sync {
    /// By id, unambiguous beginning of an id, or name. It may read files, but waits for nobody and asks no plugin.
    fn find(&self, kind: ObjectKind, key: &str) -> Option<ObjectFacts>;

    /// Events after `cursor`, oldest first, at most `limit`, of the last 1,000 at least. The first cursor tells whether others came
    /// between. It waits for nobody.
    fn events_since(&self, cursor: u64, limit: usize) -> Vec<EventFacts>;
}
