//! The client, and one conversation of it with a registry.

use crate::{Address, answer::Answer, dial, tls};
use reqwest::{RequestBuilder, Url};
use std::{path::PathBuf, sync::Arc, time::Duration};
use wharf_types::{Result, error::Context as _};

/// What the client needs to know of its host.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directories like Docker's `certs.d`: below them, a directory for each registry with authorities (`*.crt`) and a client
    /// certificate (`*.cert` and `*.key`).
    pub certs: Vec<PathBuf>,
    /// What registries are told of this engine: `User-Agent`.
    pub agent: String,
    /// How long one request may take, its answer included.
    pub timeout: Duration,
}

impl Options {
    /// Docker's limit for a request of a login.
    pub const TIMEOUT: Duration = Duration::from_secs(15);
}

/// A client of registries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(Arc<Options>);

impl Client {
    /// A client that has connected to nothing yet.
    pub fn new(options: Options) -> Self {
        tls::install_crypto();
        Self(Arc::new(options))
    }

    /// Opens a session on behalf of a client that calls itself `upstream`.
    pub(crate) async fn session(&self, registry: &Address, insecure: bool, upstream: &str) -> Result<Session> {
        let (options, registry, agent) = (self.0.clone(), registry.clone(), agent(&self.0.agent, upstream));
        // It reads certificates.
        let made = tokio::task::spawn_blocking(move || tls::client(&options, &registry, insecure, &agent)).await;
        made.context("reading certificates")?.map(|http| Session { http })
    }
}

/// The engine's name with the client's, as Docker puts it.
fn agent(own: &str, upstream: &str) -> String {
    let mut text = own.to_owned();
    if !upstream.is_empty() {
        text.push_str(" UpstreamClient(");
        for c in upstream.chars().filter(|c| (' '..='~').contains(c)) {
            if "();\\".contains(c) {
                text.push('\\');
            }
            text.push(c);
        }
        text.push(')');
    }
    text
}

/// Connections to a registry and to its token server.
pub struct Session {
    pub(crate) http: reqwest::Client,
}

impl Session {
    pub(crate) fn get(&self, url: &Url) -> RequestBuilder {
        self.http.get(url.clone())
    }

    pub(crate) fn post(&self, url: &Url) -> RequestBuilder {
        self.http.post(url.clone())
    }
}

/// Sends a request and takes the head of its answer, of any status.
pub async fn send(request: RequestBuilder) -> Result<Answer> {
    request.send().await.map(Answer::new).map_err(|e| dial::failure(&e))
}

#[cfg(test)]
mod tests {
    #[test]
    fn agents() {
        assert_eq!(super::agent("wharf/1", ""), "wharf/1");
        assert_eq!(super::agent("wharf/1", "Docker-Client/20 (linux)\n"), "wharf/1 UpstreamClient(Docker-Client/20 \\(linux\\))");
    }
}
