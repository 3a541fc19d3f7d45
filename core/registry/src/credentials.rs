//! What proves to a registry who asks.

use std::fmt;

/// Credentials for one registry; empty texts are absent ones. They are printed without their secrets.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The user's name.
    pub username: String,
    /// The password, or a personal token in its place.
    pub password: String,
    /// A refresh token that a token server gave before; it takes the place of name and password.
    pub identity_token: String,
    /// A bearer token for the registry itself, sent as it is.
    pub registry_token: String,
}

impl Credentials {
    /// Name and password, when both are there.
    pub(crate) fn basic(&self) -> Option<(&str, &str)> {
        (!self.username.is_empty() && !self.password.is_empty()).then_some((&self.username, &self.password))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let secret = || "s3cret".to_owned();
        let all = Credentials { username: "ann".to_owned(), password: secret(), identity_token: secret(), registry_token: secret() };
        assert_eq!(format!("{all:?}"), r#"Credentials { username: "ann", .. }"#);
    }
}
