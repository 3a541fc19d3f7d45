//! Authorization by Docker's protocol: `AuthZPlugin.AuthZReq` before a request is executed, `AuthZPlugin.AuthZRes` after it.
//!
//! Where Docker hands on the bytes of the client, which a plugin may read differently than the engine does (or not at all, when they
//! are too many, come in chunks or under another content type), a plugin here gets the engine's own encoding of what it has read.

use super::{LegacyPlugin, wire};
use crate::words::cut;
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use wharf_spi::authz::{Authorizer, AuthzRequest, Decision, Interests, Verdict};
use wharf_types::{Error, Result};

const REQUEST: &str = "AuthZPlugin.AuthZReq";
const ANSWER: &str = "AuthZPlugin.AuthZRes";

/// The largest body that is judged, in bytes; Docker's number.
const MAX_BODY: usize = 4 << 20;

/// One `authz` plugin.
pub struct SocketAuthorizer(LegacyPlugin);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(rename = "UserAuthNMethod", skip_serializing_if = "str::is_empty")]
    user_authn_method: &'a str,
    request_method: &'a str,
    request_uri: &'a str,
    #[serde(serialize_with = "in_base64", skip_serializing_if = "<[u8]>::is_empty")]
    request_body: &'a [u8],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    request_headers: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    request_peer_certificates: Vec<String>,
    #[serde(flatten)]
    answered: Option<Answered<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered<'a> {
    #[serde(rename = "ResponseStatusCode")]
    status: u16,
    #[serde(rename = "ResponseBody", serialize_with = "in_base64", skip_serializing_if = "<[u8]>::is_empty")]
    body: &'a [u8],
    #[serde(rename = "ResponseHeaders", skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'a str, &'a str>,
}

/// What is not said permits nothing.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Allow", alias = "allow", default)]
    allow: Option<bool>,
    #[serde(rename = "Msg", alias = "msg", default)]
    msg: Option<String>,
    #[serde(rename = "Err", alias = "err", default)]
    err: Option<String>,
}

impl SocketAuthorizer {
    pub(super) fn new(plugin: LegacyPlugin) -> Self {
        Self(plugin)
    }

    async fn ask(&self, method: &'static str, rq: &AuthzRequest, answered: Option<Answered<'_>>) -> Result<Decision> {
        let question = serde_json::to_vec(&question(rq, body(rq)?.as_deref(), answered)?)?;
        decide(method, &self.0.call(method, question).await?)
    }
}

#[async_trait]
impl Authorizer for SocketAuthorizer {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn interests(&self) -> Interests {
        Interests { input: true, filter: false }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        self.ask(REQUEST, rq, None).await
    }
    async fn judge_answer(&self, rq: &AuthzRequest, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Decision> {
        let headers = public(headers).collect();
        self.ask(ANSWER, rq, Some(Answered { status, body: within_limit("response", body)?, headers })).await
    }
    fn judges_answers(&self) -> bool {
        true
    }
}

fn question<'a>(rq: &'a AuthzRequest, body: Option<&'a str>, answered: Option<Answered<'a>>) -> Result<Question<'a>> {
    let mut headers: BTreeMap<_, _> = public(&rq.http.headers).collect();
    if body.is_some() {
        // The engine's encoding, whatever came: plugins read a body by these.
        headers.retain(|name, _| !["content-type", "content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()));
        headers.insert("Content-Type", "application/json");
    }
    let tls = rq.caller.tls.as_ref();
    Ok(Question {
        user: tls.map_or("", |cert| &cert.common_name),
        user_authn_method: tls.map_or("", |_| "TLS"),
        request_method: &rq.http.method,
        request_uri: &rq.http.uri,
        request_body: within_limit("request", body.unwrap_or_default().as_bytes())?,
        request_headers: headers,
        request_peer_certificates: tls
            .filter(|cert| !cert.der.is_empty())
            .map(|cert| STANDARD.encode(pem(&cert.der)))
            .into_iter()
            .collect(),
        answered,
    })
}

/// The body of a request in Docker's shape: what the engine's input calls so. Of an input without one, whose parts all came in path and
/// query, all of it is sent, so that no plugin takes a request for an empty one.
fn body(rq: &AuthzRequest) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Input<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let input = rq.input.as_str();
    let body = match serde_json::from_str::<Input<'_>>(input) {
        Ok(input) => input.body.get(),
        Err(_) if ["GET", "HEAD"].contains(&rq.http.method.as_str()) => return Ok(None),
        Err(_) if input.is_empty() => return Err(unknown(rq)),
        Err(_) => input,
    };
    Ok(Some(body.to_owned()).filter(|body| body != "null"))
}

fn unknown(rq: &AuthzRequest) -> Error {
    Error::system(format!("the body of {} is not known", rq.action.0))
}

fn within_limit<'a>(what: &str, body: &'a [u8]) -> Result<&'a [u8]> {
    if body.len() > MAX_BODY {
        return Err(Error::invalid(format!("{what} body too large for authorization plugin: size exceeds {MAX_BODY} bytes")));
    }
    Ok(body)
}

/// Headers without credentials; of several values the last. `Host` is none in Go.
fn public(headers: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        name == "authorization" || name.starts_with("x-registry-") || name == "host"
    };
    headers.iter().filter(move |(name, _)| !secret(name)).map(|(name, value)| (name.as_str(), value.as_str()))
}

fn decide(method: &str, answer: &[u8]) -> Result<Decision> {
    let answer: Answer = wire::decode(method, answer)?;
    match (answer.err.filter(|e| !e.is_empty()), answer.allow) {
        (Some(e), _) => Err(Error::system(cut(e))),
        (None, Some(true)) => Ok(Verdict::Allow.into()),
        (None, _) => Ok(Verdict::deny(cut(answer.msg.unwrap_or_default())).into()),
    }
}

/// RFC 7468: base64 in lines of 64 characters.
fn pem(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

fn in_base64<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests;
