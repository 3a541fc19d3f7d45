//! `wharf:host/objects` and `wharf:host/events`: see [`wharf_spi::facts`].

use super::{
    super::{
        bindings::host::{events, objects},
        grant::Grant,
    },
    Cx,
};
use std::sync::Arc;
use wharf_spi::{authz::ObjectKind, facts::EventFacts};

/// Events of one `since`.
const EVENTS_MAX: u32 = 1_000;

impl objects::Host for Cx {
    async fn find(&mut self, kind: objects::Kind, key: String) -> Option<objects::Object> {
        let (word, looked) = match kind {
            objects::Kind::Container => ("container", ObjectKind::Container),
            objects::Kind::Image => ("image", ObjectKind::Image),
            objects::Kind::Volume => ("volume", ObjectKind::Volume),
            objects::Kind::Network => ("network", ObjectKind::Network),
        };
        if !self.shared.grants.covers(&Grant::Objects(word.to_owned())) {
            return None;
        }
        let facts = Arc::clone(self.shared.around.facts.get()?);
        let found = self.shared.jobs.run(move || facts.find(looked, &key)).await.ok().flatten()?;
        let wharf_spi::facts::ObjectFacts { id, name, labels, image, detail } = found;
        Some(objects::Object { kind, id, name, labels, image, detail })
    }
}

impl events::Host for Cx {
    fn since(&mut self, cursor: u64, limit: u32) -> Vec<events::Event> {
        let Some(facts) = self.shared.around.facts.get() else { return Vec::new() };
        let event = |event: EventFacts| {
            let EventFacts { cursor, time, kind, action, id, attributes } = event;
            events::Event { cursor, time: u64::try_from(time.nanos()).unwrap_or(0), kind, action, id, attributes }
        };
        facts.events_since(cursor, limit.min(EVENTS_MAX) as usize).into_iter().map(event).collect()
    }
}
