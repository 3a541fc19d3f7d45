//! What plugins may look at: objects as `inspect` shows them, and events.

use crate::{authz, containers::inspect as container, images::inspect as image};
use wharf_api_types::MAX_API_VERSION;
use wharf_engine::{Containers, Engine, Events, Execs, Images};
use wharf_spi::{
    authz::{Object, ObjectKind},
    facts::{EngineFacts, EventFacts, ObjectFacts},
};

/// The engine's records for plugins, in the newest API version.
pub struct Facts {
    containers: Containers,
    execs: Execs,
    images: Images,
    events: Events,
}

impl Facts {
    /// Of this engine.
    pub fn new(engine: &Engine) -> Self {
        let Engine { containers, execs, images, events, .. } = engine.clone();
        Self { containers, execs, images, events }
    }

    fn container(&self, key: &str) -> Option<ObjectFacts> {
        let view = self.containers.get(key).ok()?;
        let Object { id, name, labels, .. } = authz::of_container(&view);
        let detail = serde_json::to_string(&container::describe(&self.containers, &self.execs, &view, MAX_API_VERSION)).ok()?;
        Some(ObjectFacts { id, name, labels, image: view.spec.image.to_string(), detail })
    }

    fn image(&self, key: &str) -> Option<ObjectFacts> {
        let found = self.images.get(key).ok()?;
        let Object { id, labels, .. } = authz::of_image(&found);
        let name = found.tags.first().map(ToString::to_string).unwrap_or_default();
        let detail = serde_json::to_string(&image::describe(&self.images, &found, MAX_API_VERSION).ok()?).ok()?;
        Some(ObjectFacts { id, name, labels, image: String::new(), detail })
    }
}

impl EngineFacts for Facts {
    fn find(&self, kind: ObjectKind, key: &str) -> Option<ObjectFacts> {
        match kind {
            ObjectKind::Container => self.container(key),
            ObjectKind::Image => self.image(key),
            // This engine keeps no records of these that a plugin may ask for.
            ObjectKind::Volume | ObjectKind::Network | ObjectKind::Exec | ObjectKind::Plugin => None,
        }
    }

    fn events_since(&self, cursor: u64, limit: usize) -> Vec<EventFacts> {
        let facts = |(cursor, event): (u64, std::sync::Arc<wharf_engine::events::Event>)| EventFacts {
            cursor,
            time: event.time,
            kind: event.kind.to_owned(),
            action: event.action.clone(),
            id: event.id.clone(),
            attributes: event.attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        };
        self.events.after(cursor, limit).into_iter().map(facts).collect()
    }
}
