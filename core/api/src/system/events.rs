//! `GET /events`: what happened, and what happens from now on.

use crate::{
    Cx,
    accept::Lines,
    authz::{Sight, of_container},
    contract::{Answer, filters, text},
    endpoint::{Endpoint, Row},
    filters::Filters,
    reply::{Response, streaming},
    request::Request,
    stream::body,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use wharf_api_types::event::{Actor, EventMessage};
use wharf_engine::events::Event;
use wharf_spi::authz::{Object, ObjectKind};
use wharf_types::{Error, Result, Timestamp};

/// Streams events.
pub struct Events;

#[derive(Serialize)]
pub struct Input {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    filters: Filters,
    #[serde(skip)]
    format: Format,
    #[serde(skip)]
    eyes: Eyes,
}

/// What the subscriber may see.
#[derive(Clone)]
struct Eyes {
    sight: Sight,
    container: Arc<Find>,
}

/// Looks a container up.
type Find = dyn Fn(&str) -> Option<Object> + Send + Sync;

/// How one subscriber reads events.
#[derive(Clone, Copy)]
struct Format {
    lines: Lines,
    /// With the flat fields of the versions below 1.52.
    flat: bool,
}

impl Endpoint for Events {
    const ROW: Row =
        Row::get("/events", "system.events")
            .query(&[text("since"), text("until"), filters(&[])])
            .answers(&[Answer::lines::<EventMessage>(&Lines::CONTENT_TYPES)]);
    type Input = Input;
    type Output = Response;

    async fn decode(cx: &Cx, rq: Request) -> Result<Input> {
        let now = Timestamp::now();
        let moment = |name: &str| rq.query().text(name).map(|t| Timestamp::parse_moment(t, now)).transpose();
        let (since, until) = (moment("since")?, moment("until")?);
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            return Err(Error::invalid(format!("`since` time ({since}) cannot be after `until` time ({until})")));
        }
        // Unknown keys are ignored here, unlike everywhere else.
        let filters = rq.filters()?;
        let flat = rq.api().before(52);
        let lines = if flat { Lines::Json } else { Lines::negotiate(rq.headers()) };
        let containers = cx.containers.clone();
        let container = Arc::new(move |id: &str| Some(of_container(&containers.get(id).ok()?)));
        let eyes = Eyes { sight: cx.sight(&rq), container };
        Ok(Input { since, until, filters, format: Format { lines, flat }, eyes })
    }

    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let Input { since, until, filters, format, eyes } = input;
        let now = Timestamp::now();
        // A look back without `since` goes as far as is remembered, when `until` bounds it.
        let (past, live) = cx.events.subscribe(since.or(until.map(|_| Timestamp::ZERO)));
        let past: Vec<_> = past.into_iter().filter(|e| until.is_none_or(|u| e.time <= u) && wanted(&filters, e)).collect();
        let past = eyes.keep(past).await;
        let past = stream::iter(past.into_iter().map(move |e| format.encode(&e)));
        let content_type = format.lines.content_type();
        if until.is_some_and(|u| u <= now) {
            return Ok(streaming(content_type, body(past)));
        }
        let deadline = until.map(|u| Instant::now() + u.since(now));
        Ok(streaming(content_type, body(past.chain(follow(live, (filters, eyes), format, deadline)))))
    }
}

fn follow(
    live: Receiver<Arc<Event>>,
    which: (Filters, Eyes),
    format: Format,
    deadline: Option<Instant>,
) -> impl futures_util::Stream<Item = Bytes> + Send + 'static {
    // Far enough away to mean never.
    let deadline = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400 * 365 * 30));
    stream::unfold((live, which), move |(mut live, which)| async move {
        loop {
            match tokio::time::timeout_at(deadline, live.recv()).await.ok()? {
                Ok(event) if wanted(&which.0, &event) => {
                    if let Some(event) = which.1.keep(vec![event]).await.first() {
                        return Some((format.encode(event), (live, which)));
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => tracing::warn!(lost, "a client reads events too slowly"),
                Err(RecvError::Closed) => return None,
            }
        }
    })
}

impl Eyes {
    /// The events about objects that are seen, and those about none.
    async fn keep(&self, events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
        if self.sight.is_open() {
            return events;
        }
        let objects: Vec<_> = events.iter().map(|e| self.objects(e)).collect();
        let mut seen = self.sight.of(&objects.concat()).await.into_iter();
        let shown: Vec<bool> = objects.iter().map(|about| about.iter().fold(true, |all, _| all & (seen.next() == Some(true)))).collect();
        events.into_iter().zip(shown).filter_map(|(event, shown)| shown.then_some(event)).collect()
    }

    /// What an event is about: a network's also about the container that joins or leaves it.
    fn objects(&self, event: &Event) -> Vec<Object> {
        let attribute = |name: &str| event.attributes.get(name).cloned().unwrap_or_default();
        let kind = match event.kind {
            "container" => ObjectKind::Container,
            "image" => ObjectKind::Image,
            "volume" => ObjectKind::Volume,
            "network" => ObjectKind::Network,
            "plugin" => ObjectKind::Plugin,
            _ => return Vec::new(),
        };
        let labels = event.attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let object = Object { id: event.id.clone(), name: attribute("name"), image: attribute("image"), labels, ..Object::named(kind, "") };
        let joining = event.attributes.get("container").filter(|_| kind == ObjectKind::Network).map(|id| {
            let gone = || Object { id: id.clone(), ..Object::named(ObjectKind::Container, "") };
            (self.container)(id).unwrap_or_else(gone)
        });
        [object].into_iter().chain(joining).collect()
    }
}

impl Format {
    fn encode(self, event: &Event) -> Bytes {
        let mut line = self.lines.prefix().to_vec();
        let _ = serde_json::to_writer(&mut line, &message(event, self.flat));
        line.push(b'\n');
        line.into()
    }
}

fn message(event: &Event, flat: bool) -> EventMessage {
    let mut message = EventMessage {
        kind: event.kind.to_owned(),
        action: event.action.clone(),
        actor: Actor { id: event.id.clone(), attributes: event.attributes.clone() },
        scope: "local".to_owned(),
        time: event.time.seconds(),
        time_nano: event.time.nanos(),
        ..EventMessage::default()
    };
    if flat && ["container", "image"].contains(&event.kind) {
        message.status.clone_from(&event.action);
        message.id.clone_from(&event.id);
        if event.kind == "container" {
            message.from = event.attributes.get("image").cloned().unwrap_or_default();
        }
    }
    message
}

/// Whether an event passes the filters: all keys must agree; names and ids of objects match by their beginning.
fn wanted(filters: &Filters, event: &Event) -> bool {
    let name = event.attributes.get("name").map_or("", String::as_str);
    let object = |key: &str| !filters.has(key) || event.kind == key && (filters.prefix(key, &event.id) || filters.prefix(key, name));
    // These actions carry a command or a word after a colon.
    let open = |v: &String| ["exec_create", "exec_start", "health_status"].contains(&v.as_str());
    let action =
        if filters.get("event").iter().any(open) { filters.prefix("event", &event.action) } else { filters.exact("event", &event.action) };
    action
        && filters.exact("type", event.kind)
        && filters.exact("scope", "local")
        && filters.labels("label", &event.attributes)
        && ["container", "volume", "network", "plugin", "daemon", "service", "node", "secret", "config"].into_iter().all(object)
        && image(filters, event)
}

/// `image` matches images and the containers made of them, with or without the tag.
fn image(filters: &Filters, event: &Event) -> bool {
    let attribute = if event.kind == "image" { "name" } else { "image" };
    let name = event.attributes.get(attribute).map_or("", String::as_str);
    [event.id.as_str(), name].into_iter().any(|n| filters.exact("image", n) || filters.exact("image", repository(n)))
}

/// A reference without tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Hides;
    use std::collections::BTreeMap;

    fn event(kind: &'static str, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        Event {
            kind,
            action: action.to_owned(),
            id: id.to_owned(),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>(),
            time: Timestamp::from_nanos(1_700_000_000_000_000_005),
        }
    }

    #[test]
    fn shapes() {
        let die = event("container", "die", "abc", &[("image", "busybox:1"), ("exitCode", "0")]);
        let text = |flat, lines| String::from_utf8(Format { lines, flat }.encode(&die).to_vec()).unwrap();
        assert_eq!(
            text(true, Lines::Json),
            r#"{"status":"die","id":"abc","from":"busybox:1","Type":"container","Action":"die","Actor":{"ID":"abc","Attributes":{"exitCode":"0","image":"busybox:1"}},"scope":"local","time":1700000000,"timeNano":1700000000000000005}"#.to_owned() + "\n"
        );
        assert!(text(false, Lines::Sequence).starts_with("\u{1e}{\"Type\":\"container\""));
        let network = serde_json::to_value(message(&event("network", "connect", "n", &[]), true)).unwrap();
        assert!(network.get("status").is_none());
    }

    #[test]
    fn filters_match_as_dockerd_does() {
        let exec = event("container", "exec_create: sh -c x", "abcdef", &[("name", "web"), ("image", "a/busybox:1"), ("l", "v")]);
        let tag = event("image", "tag", "sha256:00", &[("name", "busybox:1")]);
        let passes = |e: &Event, f: &str| wanted(&Filters::parse(f).unwrap(), e);
        for yes in [
            "{}",
            r#"{"event":["exec_create"]}"#,
            r#"{"event":["exec_create: sh -c x"]}"#,
            r#"{"container":["abc"]}"#,
            r#"{"container":["we"]}"#,
            r#"{"image":["a/busybox"]}"#,
            r#"{"type":["container","image"],"label":["l=v"],"unknown":["x"]}"#,
        ] {
            assert!(passes(&exec, yes), "{yes}");
        }
        for no in [
            r#"{"event":["exec"]}"#,
            r#"{"container":["eb"]}"#,
            r#"{"image":["busybox"]}"#,
            r#"{"label":["l=w"]}"#,
            r#"{"volume":["abc"]}"#,
        ] {
            assert!(!passes(&exec, no), "{no}");
        }
        assert!(passes(&tag, r#"{"image":["busybox"]}"#) && passes(&tag, r#"{"image":["busybox:1"]}"#));
        assert!(!passes(&tag, r#"{"container":["sha256"]}"#) && !passes(&tag, r#"{"scope":["swarm"]}"#));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_the_stream() {
        let bus = wharf_engine::Events::default();
        let (_, live) = bus.subscribe(None);
        let format = Format { lines: Lines::Jsonl, flat: false };
        bus.publish("image", "tag", "x", BTreeMap::new());
        bus.publish("container", "die", "y", BTreeMap::new());
        let filters = Filters::parse(r#"{"type":["container"]}"#).unwrap();
        let eyes = Eyes { sight: Sight::default(), container: Arc::new(|_| None) };
        let lines: Vec<_> = follow(live, (filters, eyes), format, Some(Instant::now() + Duration::from_secs(5))).collect().await;
        assert_eq!(lines.len(), 1);
    }

    #[tokio::test]
    async fn what_joins_a_network_is_seen_as_itself() {
        let named = |name: &str| Object { name: name.to_owned(), ..Object::named(ObjectKind::Container, "") };
        let container = Arc::new(move |id: &str| (id == "2").then(|| named("secret")));
        let eyes = Eyes { sight: Hides("secret").sight(), container };
        let connect = |id| Arc::new(event("network", "connect", "n", &[("container", id), ("name", "bridge")]));
        let secret = Arc::new(event("container", "die", "2", &[("name", "secret")]));
        let daemon = Arc::new(event("daemon", "reload", "d", &[]));
        let kept = eyes.keep(vec![connect("1"), connect("2"), secret, daemon, connect("3")]).await;
        let ids: Vec<_> = kept.iter().map(|e| e.attributes.get("container").map_or(e.id.as_str(), String::as_str)).collect();
        assert_eq!(ids, ["1", "d", "3"]);
    }
}
