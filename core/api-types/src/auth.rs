//! Credentials for registries, and what a login answers.

use crate::wire::{Object, nullable};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Credentials for a registry: the body of `/auth`. They can be read only, and are printed without their secrets.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", default)]
pub struct AuthConfig {
    /// `username`.
    #[serde(deserialize_with = "nullable")]
    pub username: String,
    /// `password`.
    #[serde(deserialize_with = "nullable")]
    pub password: String,
    /// `auth`: `username:password` in base64, instead of these.
    #[serde(deserialize_with = "nullable")]
    pub auth: String,
    /// `serveraddress`: the registry; empty for Docker Hub.
    #[serde(rename = "serveraddress", deserialize_with = "nullable")]
    pub server_address: String,
    /// `identitytoken`: takes the place of name and password.
    #[serde(rename = "identitytoken", deserialize_with = "nullable")]
    pub identity_token: String,
    /// `registrytoken`: a bearer token for the registry itself.
    #[serde(rename = "registrytoken", deserialize_with = "nullable")]
    pub registry_token: String,
}

impl<'de> Deserialize<'de> for AuthConfig {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::deserialize(Object(d))
    }
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AuthConfig");
        shown.field("username", &self.username).field("server_address", &self.server_address).finish_non_exhaustive()
    }
}

wire! {
    /// Answer of `/auth`.
    AuthResponse {
        "Status" status: String,
        "IdentityToken" identity_token: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_not_printed() {
        let text = r#"{"username":"ann","password":"s3cret","auth":"s3cret","email":"a@b","serveraddress":null,"identitytoken":"s3cret","registrytoken":"s3cret"}"#;
        let read: AuthConfig = serde_json::from_str(text).unwrap();
        assert_eq!((read.username.as_str(), read.password.as_str(), read.server_address.as_str()), ("ann", "s3cret", ""));
        assert_eq!(format!("{read:?}"), r#"AuthConfig { username: "ann", server_address: "", .. }"#);
        assert!(serde_json::from_str::<AuthConfig>(r#"["ann"]"#).is_err());
    }
}
