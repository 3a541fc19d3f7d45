//! What a server answers: its challenges, its body up to a limit, and its refusals in Docker's words.

use crate::{
    challenge::{self, Challenge},
    dial,
};
use reqwest::{Response, StatusCode, header};
use serde::Deserialize;
use std::fmt::Write as _;
use wharf_types::{Error, ErrorKind, Result};

/// The longest document that is read, in bytes; a token has some thousand.
const MAX_BODY: usize = 1 << 20;
/// How much of a refusal is read, in bytes; Docker's words for one are short.
const MAX_REFUSAL: usize = 64 << 10;
/// How much of a refusal that is no JSON is told.
const MAX_QUOTE: usize = 256;

/// The head of an answer, and its body not read yet.
pub struct Answer {
    response: Response,
}

impl Answer {
    pub(crate) fn new(response: Response) -> Self {
        Self { response }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// How the server wants to be asked; only a 401 says.
    pub fn challenges(&self) -> Vec<Challenge> {
        let headers = self.response.headers().get_all(header::WWW_AUTHENTICATE);
        headers.iter().flat_map(|value| challenge::parse(&String::from_utf8_lossy(value.as_bytes()))).collect()
    }

    /// The whole body.
    ///
    /// # Errors
    /// When it is too long, or breaks off.
    pub async fn body(self) -> Result<Vec<u8>> {
        match self.start(MAX_BODY + 1).await? {
            body if body.len() > MAX_BODY => Err(Error::system(format!("the answer is longer than {MAX_BODY} bytes"))),
            body => Ok(body),
        }
    }

    /// The body's first bytes.
    async fn start(mut self, limit: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.response.chunk().await.map_err(|e| dial::failure(&e))? {
            body.extend(chunk.iter().take(limit - body.len()));
            if body.len() == limit {
                break;
            }
        }
        Ok(body)
    }

    /// The error that an answer other than a success is: 401 where the credentials are at fault, else 500.
    pub async fn refusal(self) -> Error {
        let status = self.status();
        let kind = kind(status);
        if !status.is_client_error() {
            return Error::new(kind, format!("received unexpected HTTP status: {status}"));
        }
        let mut said: Vec<String> = self.challenges().iter().filter_map(oauth).collect();
        match self.start(MAX_REFUSAL).await {
            Ok(body) => said.extend(listed(status, &body, said.is_empty())),
            Err(e) => return e,
        }
        Error::new(kind, if said.len() == 1 { said.concat() } else { format!("errors:\n{}\n", said.join("\n")) })
    }
}

/// The kind of error that a status is.
pub fn kind(status: StatusCode) -> ErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized,
        _ => ErrorKind::System,
    }
}

/// An error inside a challenge (RFC 6750, section 3.1).
fn oauth(challenge: &Challenge) -> Option<String> {
    let (code, usual) = match challenge.get("error").filter(|_| challenge.scheme == "bearer")? {
        "invalid_token" => ("unauthorized", "authentication required"),
        "insufficient_scope" => ("denied", "requested access to the resource is denied"),
        _ => return None,
    };
    Some(format!("{code}: {}", challenge.get("error_description").filter(|d| !d.is_empty()).unwrap_or(usual)))
}

#[derive(Deserialize)]
struct Details {
    details: String,
}
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Entry>,
}
#[derive(Deserialize)]
struct Entry {
    code: String,
    #[serde(default)]
    message: String,
}

/// The errors of a body: those of the distribution specification, or the single text that Docker Hub sends. When it is neither and
/// `any` is needed, the body itself.
fn listed(status: StatusCode, body: &[u8], any: bool) -> Vec<String> {
    if let Some(Details { details }) = serde_json::from_slice(body).ok().filter(|d: &Details| !d.details.is_empty()) {
        let code = match status {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::TOO_MANY_REQUESTS => "toomanyrequests",
            _ => "unknown",
        };
        return vec![format!("{code}: {details}")];
    }
    let errors = serde_json::from_slice(body).map(|e: Errors| e.errors).unwrap_or_default();
    if errors.is_empty() && any {
        return vec![if status == StatusCode::UNAUTHORIZED {
            "unauthorized: authentication required".to_owned()
        } else {
            quote(status, body)
        }];
    }
    let texts = errors.into_iter().map(|Entry { code, message }| {
        let mut text = code.to_lowercase().replace('_', " ");
        if !message.is_empty() {
            _ = write!(text, ": {message}");
        }
        text
    });
    texts.collect()
}

fn quote(status: StatusCode, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(MAX_QUOTE).collect();
    format!("error parsing HTTP {} response body: {text:?}", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_refusals() {
        let say = |status: u16, body: &str| listed(StatusCode::from_u16(status).unwrap(), body.as_bytes(), true).join("|");
        assert_eq!(say(401, r#"{"details":"incorrect username or password"}"#), "unauthorized: incorrect username or password");
        assert_eq!(say(429, r#"{"details":"slow down"}"#), "toomanyrequests: slow down");
        let two = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null},{"code":"NAME_UNKNOWN"}]}"#;
        assert_eq!(say(401, two), "unauthorized: authentication required|name unknown");
        assert_eq!(say(401, "<html>"), "unauthorized: authentication required");
        assert_eq!(say(404, "<html>"), "error parsing HTTP 404 response body: \"<html>\"");
        assert_eq!(say(400, r#"{"errors":[]}"#), r#"error parsing HTTP 400 response body: "{\"errors\":[]}""#);
    }

    #[test]
    fn errors_in_challenges() {
        let of = |text: &str| challenge::parse(text).iter().find_map(oauth);
        assert_eq!(of(r#"Bearer error="invalid_token""#).unwrap(), "unauthorized: authentication required");
        assert_eq!(of(r#"Bearer error="insufficient_scope",error_description="no, not you""#).unwrap(), "denied: no, not you");
        assert_eq!(of(r#"Basic error="invalid_token""#), None);
    }
}
