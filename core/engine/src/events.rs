//! The event bus: the last 256 events for `since`, and a live feed.

use ring::Ring;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::broadcast;
use wharf_types::Timestamp;

/// How many events a late subscriber can look back on (dockerd's number).
const KEPT: usize = 256;
/// How far a subscriber may lag before it loses events; it is then told so.
const LIVE: usize = 4096;

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `container`, `image`, `network`, `volume`, `daemon`, `plugin`, `builder`.
    pub kind: &'static str,
    /// `create`, `die`, `exec_start: sh`, …
    pub action: String,
    /// Id (or name, for images by reference) of the object.
    pub id: String,
    /// Attributes; for containers `image`, `name` and all labels are among them.
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// Publishes and remembers events.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Inner>,
}

struct Inner {
    recent: Mutex<Ring>,
    published: AtomicU64,
    live: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { inner: Arc::new(Inner { recent: Mutex::default(), published: AtomicU64::default(), live: broadcast::channel(LIVE).0 }) }
    }
}

impl Events {
    /// Publishes one event, stamped now.
    pub fn publish(&self, kind: &'static str, action: impl Into<String>, id: impl Into<String>, attributes: BTreeMap<String, String>) {
        let mut recent = self.inner.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamped and sent under the lock, so that order in time, in memory and on the wire agree.
        let event = Arc::new(Event { kind, action: action.into(), id: id.into(), attributes, time: Timestamp::now() });
        recent.push(event.clone());
        self.inner.published.fetch_add(1, Ordering::Relaxed);
        let _ = self.inner.live.send(event);
    }

    /// The remembered events not older than `since` (none without it), and everything from now on, without gap or repeat.
    pub fn subscribe(&self, since: Option<Timestamp>) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let recent = self.inner.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let past = since.map(|t| recent.since(t)).unwrap_or_default();
        (past, self.inner.live.subscribe())
    }

    /// How many events there were since the start.
    pub fn published(&self) -> u64 {
        self.inner.published.load(Ordering::Relaxed)
    }

    /// How many subscribers listen now.
    pub fn listeners(&self) -> usize {
        self.inner.live.receiver_count()
    }
}

mod ring {
    use super::{Event, KEPT};
    use std::{collections::VecDeque, sync::Arc};
    use wharf_types::Timestamp;

    /// The last [`KEPT`] events.
    #[derive(Default)]
    pub struct Ring(VecDeque<Arc<Event>>);

    impl Ring {
        pub fn push(&mut self, event: Arc<Event>) {
            if self.0.len() == KEPT {
                self.0.pop_front();
            }
            self.0.push_back(event);
        }
        pub fn since(&self, t: Timestamp) -> Vec<Arc<Event>> {
            self.0.iter().filter(|e| e.time >= t).cloned().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_subscribers_see_the_last_256() {
        let bus = Events::default();
        for i in 0..300 {
            bus.publish("container", "start", i.to_string(), BTreeMap::new());
        }
        let (past, mut live) = bus.subscribe(Some(Timestamp::from_nanos(0)));
        assert_eq!((past.len(), past[0].id.as_str()), (KEPT, "44"));
        assert!(bus.subscribe(None).0.is_empty());
        bus.publish("image", "tag", "x", BTreeMap::new());
        assert_eq!(live.try_recv().unwrap().action, "tag");
        assert!(live.try_recv().is_err());
    }
}
