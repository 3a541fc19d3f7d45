//! HTTP to servers that the operator allows.
//!
//! ```no_run
//! use wharf_plugin::host::{http::Call, secrets};
//!
//! let token = secrets::open("TOKEN")?;
//! let answer = Call::post("https://logs.example.org/push")
//!     .header("Content-Type", "application/json")
//!     .secret_header("Authorization", "Bearer ", &token)
//!     .body(b"[]".to_vec())
//!     .send()?;
//! if !(200..300).contains(&answer.status) {
//!     return Err(format!("the server answered with {}", answer.status));
//! }
//! # Ok::<(), String>(())
//! ```

pub use super::raw::http::{Failure, Response, send};
use super::{raw::http::Request, secrets::Secret};
use std::time::Duration;

/// In words.
impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied(what) | Failure::Invalid(what) | Failure::Unreachable(what) => what,
            Failure::Timeout => "the server did not answer in time".to_owned(),
        }
    }
}

/// A request.
#[derive(Debug)]
pub struct Call<'a>(Request<'a>);

impl<'a> Call<'a> {
    /// With this method.
    pub fn new(method: &str, url: &str) -> Self {
        let (method, url) = (method.to_owned(), url.to_owned());
        Self(Request { method, url, headers: Vec::new(), secret_headers: Vec::new(), body: Vec::new(), timeout: None })
    }

    /// `GET`.
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// `POST`.
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// With a header whose value the plugin does not see; `before` is the text before it (`Bearer `).
    #[must_use]
    pub fn secret_header(mut self, name: &str, before: &str, secret: &'a Secret) -> Self {
        self.0.secret_headers.push((name.to_owned(), before.to_owned(), secret));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = body.into();
        self
    }

    /// Within this time; the deadline of the call that is being answered holds all the same.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.0.timeout = Some(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends it. Every status is an answer; redirections are not followed.
    ///
    /// # Errors
    /// There is no answer.
    pub fn send(self) -> Result<Response, Failure> {
        send(&self.0)
    }
}
