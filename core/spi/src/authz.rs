//! Authorization: the thing judged is the thing executed.
//!
//! An endpoint decodes its request into a typed input; that value, encoded anew, is what an [`Authorizer`] sees, and the same
//! value is then executed. No authorizer ever sees raw bytes that the engine would read differently. The shapes here are those of
//! the WIT package `wharf:authz`, whose comments say more.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use wharf_types::Result;

/// What an endpoint does, as policies name it: `container.create`, `image.load`, `system.ping`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Action(pub &'static str);

/// Who asks. All is absent for plain TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The process at the other end of a unix socket.
    pub unix: Option<PeerCred>,
    /// The client certificate of a TLS connection.
    pub tls: Option<PeerCert>,
    /// The container of this engine that the process runs in. Looked up when there is somebody to judge.
    pub container: Option<Object>,
}

/// Credentials of a unix-socket peer at the time it connected (`SO_PEERCRED`, `SO_PEERGROUPS`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCred {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// The other groups.
    pub groups: Vec<u32>,
    /// Process id in the daemon's pid namespace; 0 when the peer is outside of it.
    pub pid: i32,
    /// What its control groups are called that could be ids of containers, the outermost first. None when it had ended before
    /// anybody could look.
    pub containers: Option<Vec<String>>,
}

/// What a policy may know of a client certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCert {
    /// The subject's common name.
    pub common_name: String,
    /// Subject alternative names, DNS and others as text.
    pub alternative_names: Vec<String>,
    /// The certificate itself, DER.
    #[serde(skip)]
    pub der: Vec<u8>,
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// A process started in a container.
    Exec,
    /// A plugin.
    Plugin,
}

/// An object that a request is about, resolved before it is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// The text in the request; empty in lists.
    pub named: String,
    /// Its id; empty when there is none of that name.
    pub id: String,
    /// Its name: a container's without the slash, an image's references joined by spaces.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// What a container was made of, as it was named then; of an exec, its container's.
    pub image: String,
    /// The id of an exec's container; empty for the others.
    pub container: String,
}

impl Object {
    /// One that is known by its name in the request only.
    pub fn named(kind: ObjectKind, named: &str) -> Self {
        let empty = String::new;
        Self { kind, named: named.to_owned(), id: empty(), name: empty(), labels: Vec::new(), image: empty(), container: empty() }
    }
}

/// A bind of a host directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bind {
    /// On the host, after links were followed.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Whether the container cannot write there.
    pub read_only: bool,
}

/// What a container could do to the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// Words that say why it could become root of the host; empty when no reason is known.
    pub host_root: Vec<String>,
    /// Host directories.
    pub binds: Vec<Bind>,
    /// Effective capabilities, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Published ports, `HOST-IP:PORT/PROTOCOL`.
    pub ports: Vec<String>,
}

/// One decision to take.
#[derive(Clone, Debug, Serialize)]
pub struct AuthzRequest {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub action: Action,
    /// The API version of the request, `major.minor`.
    pub api_version: String,
    /// The objects it names.
    pub targets: Vec<Object>,
    /// What a container that is to be made or started, or a privileged process in one, could do to the host.
    pub exposure: Option<Exposure>,
    /// The decoded input that will be executed, as JSON; empty when no authorizer of the chain wants it ([`Interests::input`]).
    pub input: String,
    /// The request as received, for authorizers of Docker's own plugin protocol and for the record.
    pub http: RawView,
}

/// The head of a request as received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RawView {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// Headers without credentials, by their names in the form `Content-Type`.
    pub headers: Vec<(String, String)>,
}

/// A change of what will be executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Patch {
    /// A label for what is created.
    Label(String, String),
    /// Bytes of memory at the most.
    MemoryLimit(u64),
    /// Processes at the most.
    PidsLimit(u32),
    /// The root file system becomes read-only.
    ReadOnlyRootfs,
    /// It cannot gain privileges.
    NoNewPrivileges,
    /// A capability is taken away, named without `CAP_`.
    DropCapability(String),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Shown to the client.
    pub reason: String,
    /// Answer as if the object did not exist (404 instead of 403).
    pub hide: bool,
}

/// The answer of one authorizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Go on to the next authorizer, or execute.
    Allow,
    /// The same, with changes.
    AllowWith(Vec<Patch>),
    /// Refuse.
    Deny(Denial),
}

impl Verdict {
    /// A refusal with HTTP 403.
    pub fn deny(reason: impl fmt::Display) -> Self {
        Self::Deny(Denial { reason: reason.to_string(), hide: false })
    }
}

/// A verdict, and what decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// For the decision log: a rule, a line of a policy; may be empty.
    pub rule: String,
}

impl From<Verdict> for Decision {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, rule: String::new() }
    }
}

/// What an authorizer wants to be asked; what it does not want costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interests {
    /// [`AuthzRequest::input`].
    pub input: bool,
    /// [`Authorizer::filter`].
    pub filter: bool,
}

/// Decides who may do what.
///
/// ```
/// use wharf_spi::authz::{Authorizer, AuthzRequest, Decision, Verdict};
///
/// struct RootOnly;
///
/// #[async_trait::async_trait]
/// impl Authorizer for RootOnly {
///     fn name(&self) -> &str {
///         "root-only"
///     }
///     async fn judge(&self, rq: &AuthzRequest) -> wharf_types::Result<Decision> {
///         let root = rq.caller.unix.as_ref().is_some_and(|peer| peer.uid == 0);
///         Ok(if root { Verdict::Allow } else { Verdict::deny("only root may use this engine") }.into())
///     }
/// }
/// ```
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// The plugin's name, for messages (`authorization denied by plugin NAME: …`).
    fn name(&self) -> &str;

    /// What it wants to be asked.
    fn interests(&self) -> Interests {
        Interests::default()
    }

    /// Judges a request before it is executed. An error denies.
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision>;

    /// Which of these objects the caller may see, in the same order; everything, unless it is interested. An error hides all.
    async fn filter(&self, _caller: &Caller, objects: &[Object]) -> Result<Vec<bool>> {
        Ok(vec![true; objects.len()])
    }

    /// Judges the answer of a request that it allowed (Docker's own protocol): the status and, when it is a document that is known
    /// as a whole, the body. An error denies.
    async fn judge_answer(&self, _rq: &AuthzRequest, _status: u16, _headers: &[(String, String)], _body: &[u8]) -> Result<Decision> {
        Ok(Verdict::Allow.into())
    }

    /// Whether [`Authorizer::judge_answer`] does something.
    fn judges_answers(&self) -> bool {
        false
    }
}
