//! What a session says is in the engine: objects and events, for `wharf:host/objects` and `wharf:host/events`.

use crate::call::Pairs;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wharf_spi::{
    authz::ObjectKind,
    facts::{EngineFacts, EventFacts, ObjectFacts},
};
use wharf_types::Timestamp;

/// What plugins can look up.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Container,
    Image,
    Volume,
    Network,
}

/// An object that there is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Present {
    kind: Kind,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    labels: Pairs,
    #[serde(default)]
    image: String,
    /// What `inspect` shows.
    #[serde(default)]
    detail: Value,
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happening {
    kind: String,
    action: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    attributes: Pairs,
}

/// The engine of a session, as far as plugins look at it.
#[derive(Debug, Default)]
pub struct Surroundings(Mutex<Facts>);

#[derive(Debug, Default)]
struct Facts {
    objects: Vec<(ObjectKind, ObjectFacts)>,
    events: Vec<EventFacts>,
}

impl Surroundings {
    /// These objects, and no others.
    pub fn set(&self, objects: Vec<Present>) {
        self.facts().objects = objects.into_iter().map(object).collect();
    }

    /// Events, all at this time.
    pub fn happen(&self, time: Timestamp, events: Vec<Happening>) {
        let mut facts = self.facts();
        for Happening { kind, action, id, attributes } in events {
            let cursor = facts.events.last().map_or(1, |last| last.cursor + 1);
            let mut attributes = Vec::from(attributes);
            attributes.sort();
            facts.events.push(EventFacts { cursor, time, kind, action, id, attributes });
        }
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn object(present: Present) -> (ObjectKind, ObjectFacts) {
    let Present { kind, id, name, labels, image, detail } = present;
    let kind = match kind {
        Kind::Container => ObjectKind::Container,
        Kind::Image => ObjectKind::Image,
        Kind::Volume => ObjectKind::Volume,
        Kind::Network => ObjectKind::Network,
    };
    // Volumes have a name only.
    let id = if id.is_empty() { name.clone() } else { id };
    let detail = if detail.is_null() { "{}".to_owned() } else { detail.to_string() };
    (kind, ObjectFacts { id, name, labels: labels.into(), image, detail })
}

impl EngineFacts for Surroundings {
    fn find(&self, kind: ObjectKind, key: &str) -> Option<ObjectFacts> {
        let facts = self.facts();
        let all = || facts.objects.iter().filter(|(of, _)| *of == kind).map(|(_, object)| object);
        if let Some(found) = all().find(|object| object.id == key || object.name == key) {
            return Some(found.clone());
        }
        let mut begin = all().filter(|object| !key.is_empty() && object.id.starts_with(key));
        let (first, second) = (begin.next(), begin.next());
        first.filter(|_| second.is_none()).cloned()
    }

    fn events_since(&self, cursor: u64, limit: usize) -> Vec<EventFacts> {
        self.facts().events.iter().filter(|event| event.cursor > cursor).take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn objects_are_found_as_an_engine_finds_them() {
        let around = Surroundings::default();
        let web =
            json!({"kind": "container", "id": "abc1", "name": "web", "labels": {"team": "dev"}, "detail": {"State": {"Running": true}}});
        around.set(read(json!([web, {"kind": "container", "id": "abd2", "name": "ab"}, {"kind": "volume", "name": "data"}])));
        let id = |kind, key: &str| around.find(kind, key).map(|object| object.id);
        assert_eq!(around.find(ObjectKind::Container, "web").unwrap().detail, r#"{"State":{"Running":true}}"#);
        assert_eq!(id(ObjectKind::Container, "abc").as_deref(), Some("abc1"));
        assert_eq!(id(ObjectKind::Container, "ab").as_deref(), Some("abd2"), "a name before the beginning of an id");
        assert_eq!(id(ObjectKind::Container, "a"), None, "two begin so");
        assert_eq!(id(ObjectKind::Container, ""), None);
        assert_eq!((id(ObjectKind::Image, "web"), id(ObjectKind::Volume, "data").as_deref()), (None, Some("data")));
        around.set(Vec::new());
        assert_eq!(id(ObjectKind::Volume, "data"), None);
    }

    #[test]
    fn events_go_on_after_a_cursor() {
        let around = Surroundings::default();
        let die = json!({"kind": "container", "action": "die", "id": "1", "attributes": {"name": "web", "exitCode": "1"}});
        around.happen(Timestamp::from_nanos(7), read(json!([die, {"kind": "volume", "action": "create"}])));
        around.happen(Timestamp::from_nanos(8), read(json!([{"kind": "volume", "action": "destroy"}])));
        let said = |cursor, limit| around.events_since(cursor, limit).into_iter().map(|event| event.action).collect::<Vec<_>>();
        assert_eq!(said(0, 2), ["die", "create"]);
        assert_eq!(said(2, 9), ["destroy"]);
        assert!(said(3, 9).is_empty());
        assert_eq!(around.events_since(0, 1)[0].attributes[0].0, "exitCode", "sorted");
    }
}
