//! A login: whether a registry takes these credentials.

use crate::{
    Address, Client, Credentials, Insecure,
    answer::kind,
    challenge::Challenge,
    client::{self, Session},
    token,
};
use reqwest::{StatusCode, Url};
use wharf_types::{Error, Result};

impl Client {
    /// Checks credentials on behalf of a client that calls itself `upstream`. What comes back is the identity token that replaces
    /// the password, or nothing when the token server gives none.
    ///
    /// An insecure registry is tried with TLS first, and without when that does not answer; credentials are sent only over what
    /// answered.
    ///
    /// # Errors
    /// 401 when the registry or its token server does not accept them, 400 for certificates that can not be used, 500 when
    /// nobody answers or the answer makes no sense.
    pub async fn login(&self, registry: &Address, credentials: &Credentials, insecure: &Insecure, upstream: &str) -> Result<String> {
        let insecure = insecure.covers(registry).await;
        let session = self.session(registry, insecure, upstream).await?;
        let url = registry.url("https")?;
        match ping(&session, &url).await {
            Err(e) if insecure => tracing::info!(error = %e, "no answer with TLS, trying without"),
            challenges => return enter(&session, &url, challenges?, credentials).await,
        }
        let url = registry.url("http")?;
        let challenges = ping(&session, &url).await?;
        enter(&session, &url, challenges, credentials).await
    }
}

/// Asks for the API's root without credentials: what it takes to get in.
async fn ping(session: &Session, url: &Url) -> Result<Vec<Challenge>> {
    let answer = client::send(session.get(url)).await.map_err(|e| named(e, url))?;
    Ok(if answer.status() == StatusCode::UNAUTHORIZED { answer.challenges() } else { Vec::new() })
}

/// Asks for the API's root with them.
async fn enter(session: &Session, url: &Url, challenges: Vec<Challenge>, credentials: &Credentials) -> Result<String> {
    let mut request = session.get(url);
    let mut identity = credentials.identity_token.clone();
    let offered = |scheme: &str| challenges.iter().find(|c| c.scheme == scheme);
    if !credentials.registry_token.is_empty() {
        request = request.bearer_auth(&credentials.registry_token);
    } else if let Some(bearer) = offered("bearer") {
        let token = token::fetch(session, bearer, credentials).await.map_err(|e| named(e, url))?;
        request = request.bearer_auth(token.bearer());
        if !token.refresh.is_empty() {
            identity = token.refresh;
        }
    } else if offered("basic").is_some() {
        let (username, password) = credentials.basic().ok_or_else(|| named(Error::unauthorized("no basic auth credentials"), url))?;
        request = request.basic_auth(username, Some(password));
    }
    let answer = client::send(request).await.map_err(|e| named(e, url))?;
    match answer.status() {
        StatusCode::OK => Ok(identity),
        status => Err(Error::new(kind(status), format!("login attempt to {url} failed with status: {status}"))),
    }
}

fn named(error: Error, url: &Url) -> Error {
    error.context(format_args!("Get {:?}", url.as_str()))
}
