//! What names meant when the request that is being executed was judged.
//!
//! A request names objects; authorizers take their time to judge those that it means then, and meanwhile somebody may give a name to
//! another one. What is executed is what was judged: inside of [`Judged::scope`], a text still means the object that it meant, or nothing.

use std::sync::Arc;
use wharf_spi::authz::{Object, ObjectKind};

tokio::task_local! {
    static JUDGED: Judged;
}

/// The objects of a request, by the texts in it.
#[derive(Clone, Debug, Default)]
pub struct Judged(Arc<[Meaning]>);

#[derive(Debug)]
struct Meaning {
    kind: ObjectKind,
    text: String,
    /// Empty when there was none.
    id: String,
}

impl Judged {
    /// Of resolved objects.
    pub fn new(objects: &[Object]) -> Self {
        let meaning = |object: &Object| Meaning { kind: object.kind, text: object.named.clone(), id: object.id.clone() };
        Self(objects.iter().map(meaning).collect())
    }

    /// Texts mean these objects while `work` runs.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        JUDGED.scope(self, work).await
    }

    /// The same for what does not wait.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        JUDGED.sync_scope(self.clone(), work)
    }
}

/// The id that `text` meant; an empty one when it meant nothing, and none when nobody judged what it means.
pub(crate) fn id_of(kind: ObjectKind, text: &str) -> Option<String> {
    let found = |judged: &Judged| judged.0.iter().find(|m| m.kind == kind && m.text == text).map(|m| m.id.clone());
    JUDGED.try_with(found).ok().flatten()
}
