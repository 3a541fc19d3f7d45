//! The authorization chain. Fails closed; costs one look-up when the chain is empty.
//!
//! Every authorizer sees the input as those before it have left it, and that is what is executed.

mod later;
mod objects;
mod sight;

use crate::{
    cx::Context,
    endpoint::{Endpoint, Failure},
    reply::Response,
    request::Received,
};
use axum::body::Body;
use http::{HeaderMap, HeaderName, header};
use http_body::Body as _;
pub use objects::{container, container_name, exec, image, join, new_container, new_image, of_container, of_image, of_name, shared_with};
pub use sight::Sight;
use std::sync::Arc;
use wharf_engine::Judged;
use wharf_spi::Extensions;
use wharf_spi::authz::{Action, Authorizer, AuthzRequest, Decision, Denial, Object, ObjectKind, Patch, RawView, Verdict};
use wharf_types::{Error, Result};

/// Headers that no authorizer sees (Docker's list).
const SECRET: [HeaderName; 3] =
    [header::AUTHORIZATION, HeaderName::from_static("x-registry-auth"), HeaderName::from_static("x-registry-config")];
/// The longest answer that is judged as a whole, in bytes; of others only the head is (Docker's number).
const MAX_ANSWER: u64 = 64 << 10;

/// A request before its judges.
pub struct Question {
    extensions: Arc<dyn Extensions>,
    chain: Arc<[Arc<dyn Authorizer>]>,
    request: AuthzRequest,
    judged: Judged,
}

/// Begins a question; none when there is nobody to ask.
pub fn question(cx: &impl Context, action: Action, received: &Received, headers: &HeaderMap) -> Option<Question> {
    let chain = cx.gate().extensions.authorizers();
    if chain.is_empty() {
        return None;
    }
    // HTTP/2 and proxies' requests have an authority before it, which says nothing.
    let uri = received.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let headers = if chain.iter().any(|a| a.judges_answers()) { shown(headers) } else { Vec::new() };
    let request = AuthzRequest {
        caller: cx.caller(&received.caller),
        action,
        api_version: received.version.to_string(),
        targets: Vec::new(),
        exposure: None,
        input: String::new(),
        http: RawView { method: received.method.to_string(), uri, headers },
    };
    Some(Question { extensions: cx.gate().extensions.clone(), chain, request, judged: Judged::default() })
}

impl Question {
    /// Asks every authorizer in order about the input of an endpoint. What it names is looked up once; see [`Question::judged`].
    ///
    /// # Errors
    /// 403 with the first denial's reason; for what is hidden what the endpoint answers when there is none; 500 when an authorizer
    /// fails.
    pub async fn ask<C: Context, E: Endpoint<C>>(&mut self, cx: &C, input: &mut E::Input) -> Result<(), Failure> {
        self.describe::<C, E>(cx, input)?;
        self.look(E::absent).await?;
        for authorizer in self.chain.clone().iter() {
            let patches = self.put(authorizer.as_ref(), E::absent).await?;
            if !patches.is_empty() {
                E::patch(input, &patches).map_err(|e| failed(authorizer.name(), &e))?;
                self.describe::<C, E>(cx, input)?;
            }
        }
        Ok(())
    }

    /// Asks every authorizer about a row that will be refused anyway.
    ///
    /// # Errors
    /// As [`Question::ask`].
    pub async fn ask_bare(&mut self) -> Result<(), Failure> {
        "null".clone_into(&mut self.request.input);
        for authorizer in self.chain.iter() {
            self.put(authorizer.as_ref(), absent).await?;
        }
        Ok(())
    }

    fn describe<C: Context, E: Endpoint<C>>(&mut self, cx: &C, input: &E::Input) -> Result<()> {
        self.request.targets = self.judged.within(|| E::targets(input, cx));
        self.judged = Judged::new(&self.request.targets);
        self.request.exposure = self.judged.within(|| E::exposure(input, cx));
        if self.chain.iter().any(|a| a.interests().input) {
            let text = serde_json::to_string(input);
            self.request.input = text.map_err(|e| Error::system(format!("encoding the request for authorization: {e}")))?;
        }
        Ok(())
    }

    /// What names in the request mean while it is executed.
    pub fn judged(&self) -> Judged {
        self.judged.clone()
    }

    /// Hides what the caller may not see: the answer is that of `absent`.
    async fn look(&self, absent: fn(&Object) -> Error) -> Result<(), Failure> {
        let sight = Sight::new(&self.chain, || self.request.caller.clone());
        let targets = &self.request.targets;
        let there: Vec<Object> = targets.iter().filter(|t| !t.id.is_empty()).cloned().collect();
        if sight.is_open() || there.is_empty() {
            return Ok(());
        }
        let seen = sight.of(&there).await;
        let Some((hidden, _)) = there.iter().zip(seen).find(|(_, seen)| !seen) else { return Ok(()) };
        self.extensions.hidden(&self.request, hidden);
        // Who asks for an exec does not name its container.
        let named = targets.first().filter(|first| first.kind == ObjectKind::Exec).unwrap_or(hidden);
        Err(absent(named).into())
    }

    async fn put(&self, authorizer: &dyn Authorizer, absent: fn(&Object) -> Error) -> Result<Vec<Patch>, Failure> {
        let outcome = authorizer.judge(&self.request).await;
        self.obey(authorizer.name(), outcome, absent)
    }

    fn obey(&self, name: &str, outcome: Result<Decision>, absent: fn(&Object) -> Error) -> Result<Vec<Patch>, Failure> {
        match outcome.map(|d| d.verdict) {
            Ok(Verdict::Allow) => Ok(Vec::new()),
            Ok(Verdict::AllowWith(patches)) => Ok(patches),
            Ok(Verdict::Deny(Denial { hide: true, .. })) if !self.request.targets.is_empty() => {
                let targets = &self.request.targets;
                let hidden = targets.iter().find(|target| !target.id.is_empty()).or(targets.first());
                Err(hidden.map_or_else(|| Error::not_found("page not found"), absent).into())
            }
            Ok(Verdict::Deny(Denial { reason, .. })) => {
                Err(Failure::denied(Error::forbidden(format!("authorization denied by plugin {name}: {reason}"))))
            }
            Err(e) => Err(failed(name, &e)),
        }
    }

    /// Asks those who judge answers. A stream is judged by its head.
    ///
    /// # Errors
    /// As [`Question::ask`]; what was executed stays executed.
    pub async fn ask_about_answer(&self, response: Response) -> Result<Response, Failure> {
        let judges: Vec<_> = self.chain.iter().filter(|a| a.judges_answers()).collect();
        if judges.is_empty() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let whole = body.size_hint().exact().is_some_and(|n| n <= MAX_ANSWER);
        let (bytes, body) = if whole {
            let bytes = axum::body::to_bytes(body, usize::try_from(MAX_ANSWER).unwrap_or(usize::MAX)).await;
            let bytes = bytes.map_err(|e| Error::system(format!("reading the answer for authorization: {e}")))?;
            (bytes.clone(), Body::from(bytes))
        } else {
            (bytes::Bytes::new(), body)
        };
        for authorizer in judges {
            let outcome = authorizer.judge_answer(&self.request, parts.status.as_u16(), &shown(&parts.headers), &bytes).await;
            self.obey(authorizer.name(), outcome, absent)?;
        }
        Ok(Response::from_parts(parts, body))
    }
}

fn failed(name: &str, e: &Error) -> Failure {
    Failure::denied(Error::system(format!("plugin {name} failed with error: {}", e.message())))
}

/// What is answered when there is no such object, in Docker's words.
pub fn absent(object: &Object) -> Error {
    let named = &object.named;
    Error::not_found(match object.kind {
        ObjectKind::Container => format!("No such container: {named}"),
        ObjectKind::Image => return wharf_images::no_such_image(named),
        ObjectKind::Volume => format!("get {named}: no such volume"),
        ObjectKind::Network => format!("network {named} not found"),
        ObjectKind::Exec => format!("No such exec instance: {named}"),
        ObjectKind::Plugin => format!("plugin {named:?} not found"),
    })
}

/// Headers by their usual names, without credentials; the last of several.
fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let plain = headers.keys().filter(|name| !SECRET.contains(name));
    let last = plain.filter_map(|name| Some((name, headers.get_all(name).iter().next_back()?)));
    last.map(|(name, value)| (usual(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

/// `content-type` as `Content-Type`.
fn usual(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    words.collect::<Vec<_>>().join("-")
}
