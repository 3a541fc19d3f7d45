//! `POST /auth`.

use crate::{
    Cx,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use http::header;
use serde::Serialize;
use wharf_api_types::auth::{AuthConfig, AuthResponse};
use wharf_types::{Error, Result};

/// Checks credentials for a registry.
pub struct Auth;

#[derive(Serialize)]
pub struct Input {
    username: String,
    registry: String,
    /// Authorizers have no business with passwords.
    #[serde(skip)]
    auth: AuthConfig,
    #[serde(skip)]
    agent: String,
}

impl Endpoint for Auth {
    const ROW: Row = Row::post("/auth", "system.auth").json::<AuthConfig>().refusals(&[401, 500]);
    // Nothing changes here; a client that is gone needs no answer.
    const OUTLIVES_CLIENT: bool = false;
    type Input = Input;
    type Output = Json<AuthResponse>;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        if rq.body_length() == Some(0) {
            return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
        }
        let agent = rq.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        // Docker never looked at the Content-Type here.
        let auth: AuthConfig = rq.json_of_any_type().await?;
        Ok(Input { username: auth.username.clone(), registry: auth.server_address.clone(), auth, agent })
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Self::Output> {
        let identity_token = cx.registries.login(input.auth, &input.agent).await?;
        Ok(Json(AuthResponse { status: "Login Succeeded".to_owned(), identity_token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorizers_see_no_secrets() {
        let secret = || "s3cret".to_owned();
        let auth =
            AuthConfig { password: secret(), auth: secret(), identity_token: secret(), registry_token: secret(), ..AuthConfig::default() };
        let input = Input { username: "ann".to_owned(), registry: "localhost:5000".to_owned(), auth, agent: String::new() };
        assert_eq!(serde_json::to_string(&input).unwrap(), r#"{"username":"ann","registry":"localhost:5000"}"#);
    }
}
