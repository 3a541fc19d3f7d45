//! What is done with registries: for now, logging in.

use crate::containers::Shared;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::sync::Arc;
use wharf_api_types::auth::AuthConfig;
use wharf_registry::{Address, Client, Credentials};
use wharf_types::{Error, Result};

/// The service.
#[derive(Clone)]
pub struct Registries {
    shared: Arc<Shared>,
    client: Client,
}

impl Registries {
    /// The service over this client.
    pub fn new(shared: Arc<Shared>, client: Client) -> Self {
        Self { shared, client }
    }

    /// Checks credentials for a client that calls itself `upstream`; what comes back is the identity token that takes the place
    /// of the password, or nothing.
    ///
    /// # Errors
    /// 400 for what names no registry, 401 for credentials that are not accepted, 500 for a registry that cannot be asked.
    pub async fn login(&self, auth: AuthConfig, upstream: &str) -> Result<String> {
        let registry = Address::parse(&auth.server_address)?;
        let insecure = self.shared.live.load().insecure_registries.clone();
        self.client.login(&registry, &credentials(auth)?, &insecure, upstream).await
    }
}

fn credentials(auth: AuthConfig) -> Result<Credentials> {
    let AuthConfig { mut username, mut password, auth, identity_token, registry_token, .. } = auth;
    if username.is_empty() && password.is_empty() && !auth.is_empty() {
        let text = BASE64_STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (name, word) = pair.ok_or_else(|| Error::invalid("invalid auth: not the base64 of username:password"))?;
        (username, password) = (name.to_owned(), word.to_owned());
    }
    Ok(Credentials { username, password, identity_token, registry_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_password_in_one() {
        let read = |auth: &str| credentials(AuthConfig { auth: auth.to_owned(), ..AuthConfig::default() });
        let ann = read(&BASE64_STANDARD.encode("ann:a:b")).unwrap();
        assert_eq!((ann.username.as_str(), ann.password.as_str()), ("ann", "a:b"));
        assert!(read("").unwrap().username.is_empty());
        for wrong in ["?", &BASE64_STANDARD.encode("ann")] {
            assert!(read(wrong).unwrap_err().message().starts_with("invalid auth"), "{wrong}");
        }
    }
}
