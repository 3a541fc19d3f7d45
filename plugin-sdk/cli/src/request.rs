//! Requests and decisions as JSON: the form in which the engine writes them into its log, with everything that is left out empty.

use crate::call::Pairs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wharf_spi::authz::{Action, AuthzRequest, Bind, Caller, Decision, Exposure, Object, ObjectKind, PeerCert, PeerCred, RawView, Verdict};
use wharf_types::Result;

/// What is judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    action: String,
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    caller: Asker,
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    exposure: Option<Exposed>,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    http: Head,
}

/// Who asks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asker {
    unix: Option<Process>,
    tls: Option<Certificate>,
    container: Option<Target>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Process {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    pid: i32,
    containers: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Certificate {
    common_name: String,
    alternative_names: Vec<String>,
}

/// An object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    kind: ObjectKind,
    #[serde(default)]
    named: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    labels: Pairs,
    #[serde(default)]
    image: String,
    #[serde(default)]
    container: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Exposed {
    host_root: Vec<String>,
    binds: Vec<Bound>,
    capabilities: Vec<String>,
    ports: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    source: String,
    target: String,
    #[serde(default)]
    read_only: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Head {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
}

impl From<Request> for AuthzRequest {
    fn from(rq: Request) -> Self {
        Self {
            caller: rq.caller.into(),
            // An action is a constant of the engine. There are about a hundred, and this process ends soon.
            action: Action(String::leak(rq.action)),
            api_version: rq.api_version.unwrap_or_else(|| "1.45".to_owned()),
            targets: rq.targets.into_iter().map(Object::from).collect(),
            exposure: rq.exposure.map(|e| Exposure {
                host_root: e.host_root,
                binds: e.binds.into_iter().map(|b| Bind { source: b.source, target: b.target, read_only: b.read_only }).collect(),
                capabilities: e.capabilities,
                ports: e.ports,
            }),
            input: match rq.input {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            },
            http: RawView { method: rq.http.method, uri: rq.http.uri, headers: rq.http.headers },
        }
    }
}

impl From<Asker> for Caller {
    fn from(asker: Asker) -> Self {
        let Asker { unix, tls, container } = asker;
        Self {
            unix: unix.map(|p| PeerCred { uid: p.uid, gid: p.gid, groups: p.groups, pid: p.pid, containers: p.containers }),
            tls: tls.map(|c| PeerCert { common_name: c.common_name, alternative_names: c.alternative_names, der: Vec::new() }),
            container: container.map(Object::from),
        }
    }
}

impl From<Target> for Object {
    fn from(t: Target) -> Self {
        Self { kind: t.kind, named: t.named, id: t.id, name: t.name, labels: t.labels.into(), image: t.image, container: t.container }
    }
}

/// What was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decided {
    /// `allow`, `allow-with`, `deny` or `error`, which denies, too.
    pub verdict: String,
    /// Of a denial or error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Of a denial: as if there were no such object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hide: bool,
    /// Of `allow-with`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Value>,
    /// What decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
}

impl From<Result<Decision>> for Decided {
    fn from(outcome: Result<Decision>) -> Self {
        let text = str::to_owned;
        let Decision { verdict, rule } = match outcome {
            Ok(decision) => decision,
            Err(e) => return Self { verdict: text("error"), reason: e.to_string(), ..Self::default() },
        };
        match verdict {
            Verdict::Allow => Self { verdict: text("allow"), rule, ..Self::default() },
            Verdict::AllowWith(patches) => {
                let patches = patches.iter().filter_map(|p| serde_json::to_value(p).ok()).collect();
                Self { verdict: text("allow-with"), patches, rule, ..Self::default() }
            }
            Verdict::Deny(denial) => Self { verdict: text("deny"), reason: denial.reason, hide: denial.hide, rule, ..Self::default() },
        }
    }
}

impl Decided {
    /// Whether it opens the door in the same way.
    pub fn same_effect(&self, other: &Self) -> bool {
        let denies = |d: &Self| d.verdict == "deny" || d.verdict == "error";
        if denies(self) && denies(other) { self.hide == other.hide } else { self.verdict == other.verdict && self.patches == other.patches }
    }
}

impl std::fmt::Display for Decided {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.verdict)?;
        if self.hide {
            f.write_str(" (hidden)")?;
        }
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        for patch in &self.patches {
            write!(f, " {patch}")?;
        }
        if !self.rule.is_empty() {
            write!(f, " [{}]", self.rule)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_writes_is_read_as_it_was() {
        let text = r#"{"action":"container.create","caller":{"unix":{"uid":7,"groups":[1]},"container":{"kind":"container","id":"1"}},"targets":[{"kind":"image","named":"x","labels":{"a":"b"}}],
            "exposure":{"binds":[{"source":"/a","target":"/b"}]},"input":{"Image":"x"}}"#;
        let short: AuthzRequest = serde_json::from_str::<Request>(text).unwrap().into();
        assert_eq!((short.input.as_str(), short.action.0), ("{\"Image\":\"x\"}", "container.create"));
        let written = serde_json::to_string(&short).unwrap();
        let again: AuthzRequest = serde_json::from_str::<Request>(&written).unwrap().into();
        assert_eq!(serde_json::to_string(&again).unwrap(), written);
        assert!(serde_json::from_str::<Request>(r#"{"action":"x","user":1}"#).unwrap_err().to_string().contains("user"));
    }

    #[test]
    fn errors_deny() {
        let of = |verdict: &str| Decided { verdict: verdict.to_owned(), ..Decided::default() };
        assert!(of("deny").same_effect(&of("error")) && of("allow").same_effect(&of("allow")));
        assert!(!of("allow").same_effect(&of("deny")) && !of("allow").same_effect(&of("allow-with")));
        assert!(!of("deny").same_effect(&Decided { hide: true, ..of("deny") }));
    }
}
