//! What a request is about, as policies name it: its objects, and what a container could do to the host.

use crate::settings::Settings;
use casbin_policy::Value;
use std::collections::BTreeMap;
use wharf_plugin::authz::{Exposure, Object, ObjectKind, Request};

/// Something that must be allowed. A rule for one of its names is a rule for it.
#[derive(Debug)]
pub struct Thing {
    /// The best first; at least one. Each has all attributes.
    pub names: Vec<Value>,
    /// The value of the domain label.
    pub domain: Value,
    /// Whether there may be such an object, which can be hidden.
    pub hideable: bool,
}

/// Everything that a request touches; at least one thing.
pub fn things(request: &Request, settings: &Settings) -> Vec<Thing> {
    let mut things: Vec<Thing> = request.targets.iter().map(|target| of_object(target, settings)).collect();
    // What the request is about is hidden when it is not there, too, unless it is to be made: both look alike.
    if let (Some(first), Some(thing)) = (request.targets.first(), things.first_mut()) {
        thing.hideable |= request.action != format!("{}.create", word(first.kind)) && request.action != "image.load";
    }
    if things.is_empty() {
        let kind = request.action.split('.').next().unwrap_or_default();
        things.push(plain(vec![format!("{kind}:")], [("kind".to_owned(), kind.into()), ("exists".to_owned(), false.into())].into()));
    }
    if let Some(exposure) = &request.exposure {
        things.extend(exposed(exposure));
    }
    things
}

pub fn word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "container",
        ObjectKind::Image => "image",
        ObjectKind::Volume => "volume",
        ObjectKind::Network => "network",
        ObjectKind::Exec => "exec",
        ObjectKind::Plugin => "plugin",
    }
}

/// The names of an object. One that there is goes by its real name, however the request calls it.
pub fn of_object(object: &Object, settings: &Settings) -> Thing {
    let kind = word(object.kind);
    let exists = !object.id.is_empty();
    let mut names = Vec::new();
    if !exists && object.kind == ObjectKind::Image {
        names.push(format!("{kind}:{}", familiar(&object.named)));
    } else if !exists {
        names.push(format!("{kind}:{}", object.named));
    } else if object.name.is_empty() {
        names.push(format!("{kind}:{}", object.id));
    } else if object.kind == ObjectKind::Image {
        names.extend(object.name.split(' ').map(|reference| format!("{kind}:{reference}")));
    } else {
        names.push(format!("{kind}:{}", object.name));
    }
    if !object.image.is_empty() {
        names.push(format!("{kind}/image:{}", familiar(&object.image)));
    }
    let label = |wanted: &str| object.labels.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    names.extend(settings.labels.iter().filter_map(|name| label(name).map(|value| format!("{kind}/label:{name}={value}"))));

    let labels = object.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut attributes: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in [
        ("kind", kind),
        ("id", &object.id),
        ("name", if exists { &object.name } else { &object.named }),
        ("image", &object.image),
        ("container", &object.container),
    ] {
        attributes.insert(name.to_owned(), value.into());
    }
    attributes.insert("exists".to_owned(), exists.into());
    attributes.insert("owner".to_owned(), label(&settings.owner_label).map_or(Value::Null, Value::from));
    attributes.insert("labels".to_owned(), Value::Map(labels));
    let domain = label(&settings.domain_label).unwrap_or_default().into();
    Thing { domain, hideable: exists, ..plain(names, attributes) }
}

/// A reference as the engine shows it: without what is Docker's default, with a tag. There is one spelling for each image, or a rule
/// that denies one would be got around with another.
fn familiar(reference: &str) -> String {
    let path = ["docker.io/", "index.docker.io/"].into_iter().find_map(|domain| reference.strip_prefix(domain)).unwrap_or(reference);
    let short = path.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(path);
    let tagged = short.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
    if tagged { short.to_owned() } else { format!("{short}:latest") }
}

fn plain(names: Vec<String>, attributes: BTreeMap<String, Value>) -> Thing {
    let names = names.into_iter().map(|name| Value::Named(name, attributes.clone())).collect();
    Thing { names, domain: "".into(), hideable: false }
}

/// Each thing that a container would have of the host.
fn exposed(exposure: &Exposure) -> Vec<Thing> {
    let one = |kind: &str, name: &str| plain(vec![format!("{kind}:{name}")], [("kind".to_owned(), kind.into())].into());
    let mut things: Vec<Thing> = exposure.host_root.iter().map(|why| one("host-root", why)).collect();
    for bind in &exposure.binds {
        let attributes = [
            ("kind".to_owned(), "bind".into()),
            ("source".to_owned(), bind.source.as_str().into()),
            ("target".to_owned(), bind.target.as_str().into()),
            ("read_only".to_owned(), bind.read_only.into()),
        ];
        let mut names = vec![format!("bind:{}", bind.source)];
        if bind.read_only {
            names.insert(0, format!("bind-ro:{}", bind.source));
        }
        things.push(plain(names, attributes.into()));
    }
    things.extend(exposure.ports.iter().map(|port| one("port", port)));
    things
}

/// An exposure as a value with attributes, for models whose requests have one.
pub fn exposure(of: Option<&Exposure>) -> Value {
    let Some(exposure) = of else { return Value::Null };
    let list = |items: &[String]| items.iter().map(String::as_str).collect::<Value>();
    let attributes = [
        ("host_root".to_owned(), list(&exposure.host_root)),
        ("capabilities".to_owned(), list(&exposure.capabilities)),
        ("ports".to_owned(), list(&exposure.ports)),
        ("binds".to_owned(), exposure.binds.iter().map(|bind| bind.source.as_str()).collect()),
    ];
    Value::Map(attributes.into())
}

/// What will be executed, as a value with attributes.
pub fn input(text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(text).map(value).map_err(|e| format!("the input of the request: {e}"))
}

fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => number.as_f64().map_or(Value::Null, Value::Number),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(value).collect()),
        serde_json::Value::Object(fields) => Value::Map(fields.into_iter().map(|(name, field)| (name, value(field))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_plugin::authz::Bind;

    fn names(thing: &Thing) -> Vec<&str> {
        thing.names.iter().filter_map(|value| if let Value::Named(name, _) = value { Some(name.as_str()) } else { None }).collect()
    }

    #[test]
    fn names_of_objects() {
        let settings = Settings { labels: vec!["team".to_owned()], ..Settings::default() };
        let object = |kind, id: &str, name: &str, image: &str| Object {
            kind,
            named: "typed".to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            labels: vec![("team".to_owned(), "dev".to_owned()), ("x".to_owned(), "y".to_owned())],
            image: image.to_owned(),
            container: String::new(),
        };
        let of = |object: Object| names(&of_object(&object, &settings)).join(" ");
        assert_eq!(
            of(object(ObjectKind::Container, "1", "web", "nginx")),
            "container:web container/image:nginx:latest container/label:team=dev"
        );
        assert_eq!(of(object(ObjectKind::Image, "", "", "")), "image:typed:latest image/label:team=dev");
        assert_eq!(of(object(ObjectKind::Image, "sha256:1", "a:1 b:2", "")), "image:a:1 image:b:2 image/label:team=dev");
        assert_eq!(of(object(ObjectKind::Image, "sha256:1", "", "")), "image:sha256:1 image/label:team=dev");
        assert_eq!(of(object(ObjectKind::Network, "", "", "")), "network:typed network/label:team=dev");
    }

    #[test]
    fn one_spelling_of_an_image() {
        for (spelling, expected) in [
            ("alpine", "alpine:latest"),
            ("docker.io/library/alpine:3", "alpine:3"),
            ("index.docker.io/library/alpine", "alpine:latest"),
            ("library/alpine@sha256:1", "alpine@sha256:1"),
            ("docker.io/me/app", "me/app:latest"),
            ("host:5000/a/b", "host:5000/a/b:latest"),
            ("sha256:1d", "sha256:1d"),
        ] {
            assert_eq!(familiar(spelling), expected);
        }
    }

    #[test]
    fn exposures() {
        let bind = |source: &str, read_only| Bind { source: source.to_owned(), target: "/t".to_owned(), read_only };
        let exposure = Exposure {
            host_root: vec!["privileged".to_owned()],
            binds: vec![bind("/srv", true), bind("/etc", false)],
            capabilities: vec!["CHOWN".to_owned()],
            ports: vec!["0.0.0.0:80/tcp".to_owned()],
        };
        let things = exposed(&exposure);
        let shown: Vec<_> = things.iter().map(names).collect();
        assert_eq!(
            shown,
            [vec!["host-root:privileged"], vec!["bind-ro:/srv", "bind:/srv"], vec!["bind:/etc"], vec!["port:0.0.0.0:80/tcp"]]
        );
    }
}
