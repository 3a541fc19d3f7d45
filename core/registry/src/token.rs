//! Tokens: what a token server gives for credentials.
//!
//! Docker's way: with an identity token, OAuth2's refresh; else a GET with name and password. A server that takes no GET is asked
//! with OAuth2's password grant. A login asks for no scope: what some registries put into the challenge of `/v2/` is an example
//! that the user need not have access to.

use crate::{Credentials, answer::Answer, challenge::Challenge, client, client::Session};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use wharf_types::{Error, Result};

/// Who Docker says it is, to token servers.
const CLIENT_ID: &str = "docker";

/// What a token server gave.
#[derive(Deserialize)]
pub struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    /// What takes the place of the password from now on.
    #[serde(default, rename = "refresh_token")]
    pub refresh: String,
}

impl Token {
    /// The bearer token; it goes by two names.
    pub fn bearer(&self) -> &str {
        if self.access_token.is_empty() { &self.token } else { &self.access_token }
    }
}

/// Asks the token server of a bearer challenge.
///
/// # Errors
/// 401 when it refuses the credentials; else when it cannot be asked, or gives no token.
pub async fn fetch(session: &Session, challenge: &Challenge, credentials: &Credentials) -> Result<Token> {
    let realm = challenge.get("realm").ok_or_else(|| Error::system("no realm specified for token auth challenge"))?;
    let realm = Url::parse(realm).map_err(|e| Error::system(format!("invalid token auth challenge realm {realm:?}: {e}")))?;
    if !matches!(realm.scheme(), "http" | "https") {
        return Err(Error::system(format!("invalid token auth challenge realm {:?}: no HTTP URL", realm.as_str())));
    }
    let service = challenge.get("service").unwrap_or_default();
    let basic = credentials.basic();
    let answer = if credentials.identity_token.is_empty() {
        let answer = get(session, &realm, service, basic).await?;
        match basic {
            Some((username, password)) if answer.status() == StatusCode::METHOD_NOT_ALLOWED => {
                let grant = [("grant_type", "password"), ("username", username), ("password", password), ("access_type", "offline")];
                post(session, &realm, service, &grant).await?
            }
            _ => answer,
        }
    } else {
        post(session, &realm, service, &[("grant_type", "refresh_token"), ("refresh_token", &credentials.identity_token)]).await?
    };
    if !answer.status().is_success() {
        return Err(answer.refusal().await);
    }
    let body = answer.body().await.map_err(|e| e.context("unable to read token response"))?;
    // The parser's own text could quote a token.
    let token: Token =
        serde_json::from_slice(&body).map_err(|e| Error::system(format!("unable to decode token response: {:?}", e.classify())))?;
    if token.bearer().is_empty() {
        return Err(Error::system("authorization server did not include a token in the response"));
    }
    Ok(token)
}

async fn get(session: &Session, realm: &Url, service: &str, basic: Option<(&str, &str)>) -> Result<Answer> {
    let mut url = realm.clone();
    let account = basic.map(|(username, _)| ("account", username));
    let service = (!service.is_empty()).then_some(("service", service));
    url.query_pairs_mut().extend_pairs(account.into_iter().chain([("client_id", CLIENT_ID), ("offline_token", "true")]).chain(service));
    let mut request = session.get(&url);
    if let Some((username, password)) = basic {
        request = request.basic_auth(username, Some(password));
    }
    client::send(request).await.map_err(|e| e.context(format_args!("Get {:?}", url.as_str())))
}

async fn post(session: &Session, realm: &Url, service: &str, grant: &[(&str, &str)]) -> Result<Answer> {
    let form: Vec<_> = [("client_id", CLIENT_ID), ("service", service)].into_iter().chain(grant.iter().copied()).collect();
    let request = session.post(realm).form(&form);
    client::send(request).await.map_err(|e| e.context(format_args!("Post {:?}", realm.as_str())))
}
