//! What endpoints work with: the engine's services and the settings of the API itself.

use crate::{
    authz::{self, Sight},
    request::Request,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::sync::{Arc, Mutex, PoisonError};
use wharf_api_types::{ApiVersion, MAX_API_VERSION};
use wharf_engine::{Containers, Engine, Events, Execs, Images, Plugins, Registries, System};
use wharf_spi::{
    Extensions,
    authz::{Caller, Object, ObjectKind},
};

/// What the API says about the engine it fronts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Oldest version that is served (`min-api-version`).
    pub min_api_version: ApiVersion,
    /// Version of Wharf.
    pub version: String,
    /// The commit that it was built from.
    pub git_commit: String,
    /// When it was built, RFC 3339.
    pub build_time: String,
    /// Extra lines for the `Warnings` of `/info`, such as a TCP listener without TLS.
    pub warnings: Vec<String>,
}

/// The context of every endpoint.
pub struct Cx {
    pub(crate) containers: Containers,
    pub(crate) execs: Execs,
    pub(crate) images: Images,
    pub(crate) plugins: Plugins,
    pub(crate) registries: Registries,
    pub(crate) system: System,
    pub(crate) events: Events,
    pub(crate) settings: Settings,
    gate: Gate,
}

impl Cx {
    /// Binds the API to an engine, whose plugins judge requests.
    pub fn new(engine: Engine, settings: Settings) -> Self {
        let Engine { containers, execs, images, plugins, registries, system, events, .. } = engine;
        let gate = Gate::new(Arc::new(plugins.clone()), &settings);
        Self { containers, execs, images, plugins, registries, system, events, gate, settings }
    }

    /// What the sender of a request may see.
    pub(crate) fn sight(&self, rq: &Request) -> Sight {
        let received = rq.received();
        Sight::new(&self.gate.extensions.authorizers(), || self.caller(&received.caller))
    }

    /// Whether anybody judges requests.
    pub(crate) fn is_guarded(&self) -> bool {
        !self.gate.extensions.authorizers().is_empty()
    }

    /// Names of the authorization plugins, in order.
    pub(crate) fn authorizers(&self) -> Vec<String> {
        self.gate.extensions.authorizers().iter().map(|a| a.name().to_owned()).collect()
    }
}

/// What the gate itself needs; it knows nothing of the engine.
pub trait Context: Send + Sync + 'static {
    /// The gate's part.
    fn gate(&self) -> &Gate;

    /// A caller as authorizers see it.
    fn caller(&self, connected: &Caller) -> Caller {
        connected.clone()
    }
}

impl Context for Cx {
    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn caller(&self, connected: &Caller) -> Caller {
        let container = connected.unix.as_ref().and_then(|process| match &process.containers {
            Some(ids) => ids.iter().find_map(|id| Some(authz::of_container(&self.containers.get(id).ok()?))),
            None => Some(Object::named(ObjectKind::Container, "?")),
        });
        Caller { container, ..connected.clone() }
    }
}

/// The part of a context that is the same for every request.
pub struct Gate {
    pub(crate) extensions: Arc<dyn Extensions>,
    pub(crate) min_version: ApiVersion,
    headers: [(HeaderName, HeaderValue); 4],
    date: Date,
}

impl Gate {
    pub(crate) fn new(extensions: Arc<dyn Extensions>, settings: &Settings) -> Self {
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        Self {
            extensions,
            min_version: settings.min_api_version,
            headers: [
                (HeaderName::from_static("api-version"), value(MAX_API_VERSION.to_string())),
                (HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false")),
                (HeaderName::from_static("ostype"), HeaderValue::from_static("linux")),
                (header::SERVER, value(format!("Wharf/{} (linux)", settings.version))),
            ],
            date: Date::default(),
        }
    }

    /// Puts the headers on a reply that every routed reply has.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(header::DATE, self.date.now());
    }
}

/// The `Date` header, made once a second. The HTTP server's own is off, because it would add one to hijacked answers too.
#[derive(Default)]
struct Date(Mutex<(i64, Option<HeaderValue>)>);

impl Date {
    fn now(&self) -> HeaderValue {
        let now = jiff::Timestamp::now();
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if made.1.is_none() || made.0 != now.as_second() {
            let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            *made = (now.as_second(), HeaderValue::try_from(text).ok());
        }
        made.1.clone().unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_an_http_date() {
        let date = Date::default().now();
        let text = date.to_str().unwrap();
        assert_eq!(text.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len());
        assert!(text.ends_with(" GMT") && text.as_bytes()[3] == b',', "{text}");
    }
}
