//! Authorization: the thing judged is the thing executed.
//!
//! An endpoint decodes its request into a typed input; that value, serialised, is what an [`Authorizer`] sees, and the same
//! value is then executed. No authorizer ever sees raw bytes that the engine would read differently.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wharf_types::Result;

/// What an endpoint does, as policies name it: `container.create`, `image.load`, `system.ping`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Action(pub &'static str);

/// Who asks. Both parts are absent for plain TCP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The process at the other end of a unix socket (`SO_PEERCRED`).
    pub unix: Option<PeerCred>,
    /// The client certificate of a TLS connection.
    pub tls: Option<PeerCert>,
}

/// Credentials of a unix-socket peer at the time it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCred {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Process id in the daemon's pid namespace; 0 when the peer is outside of it.
    pub pid: i32,
}

/// What a policy may know of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCert {
    /// The subject's common name.
    pub common_name: String,
    /// Subject alternative names, DNS and others as text.
    pub alternative_names: Vec<String>,
}

/// An object that the request names, resolved before it is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `container`, `image`, `exec`, `network`, `volume`, `plugin`.
    pub kind: String,
    /// The text in the request.
    pub named: String,
    /// What it resolved to, when it exists.
    pub id: Option<String>,
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
    pub targets: Vec<Target>,
    /// The decoded input that will be executed.
    pub input: Value,
    /// Method and URI as received, for authorizers of Docker's own plugin protocol.
    pub http: RawView,
}

/// The request line as received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RawView {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
}

/// The answer of one authorizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on to the next authorizer, or execute.
    Allow,
    /// Refuse with this reason (HTTP 403).
    Deny(String),
}

/// Decides who may do what.
///
/// ```
/// use wharf_spi::authz::{Authorizer, AuthzRequest, Verdict};
///
/// struct RootOnly;
///
/// #[async_trait::async_trait]
/// impl Authorizer for RootOnly {
///     fn name(&self) -> &str {
///         "root-only"
///     }
///     async fn request(&self, rq: &AuthzRequest) -> wharf_types::Result<Verdict> {
///         Ok(match rq.caller.unix {
///             Some(peer) if peer.uid == 0 => Verdict::Allow,
///             _ => Verdict::Deny("only root may use this engine".to_owned()),
///         })
///     }
/// }
/// ```
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// The plugin's name, for messages (`authorization denied by plugin NAME: …`).
    fn name(&self) -> &str;

    /// Judges a request before it is executed. An error denies.
    async fn request(&self, rq: &AuthzRequest) -> Result<Verdict>;
}
