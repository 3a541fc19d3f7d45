//! Calls of the kinds that are no authorization, each with the name of its function.

use crate::{Plugin, Value, json, read};
use serde::Deserialize;
use std::time::Duration;

/// What a log driver made of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Told")]
pub enum Outcome {
    /// It is safe.
    Committed,
    /// It is to be sent again, after this time.
    RetryAfter(Duration),
    /// It is safe but for the lines at these places, from 0.
    Rejected(Vec<u32>),
}

/// Time is in milliseconds.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Committed,
    RetryAfter(u64),
    Rejected(Vec<u32>),
}

impl From<Told> for Outcome {
    fn from(told: Told) -> Self {
        match told {
            Told::Committed => Self::Committed,
            Told::RetryAfter(milliseconds) => Self::RetryAfter(Duration::from_millis(milliseconds)),
            Told::Rejected(places) => Self::Rejected(places),
        }
    }
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// A text, or a list of bytes that are none.
    pub line: Value,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// It goes on in the next line of this stream.
    pub partial: bool,
    /// As `2026-01-01T00:00:00Z`.
    pub time: String,
}

impl Line {
    /// The text; empty when it is none.
    pub fn text(&self) -> &str {
        self.line.as_str().unwrap_or_default()
    }
}

impl Plugin {
    /// Lines of a container for a log driver: texts, or objects with `line`, `stream`, `partial` and `time`. A container that was not
    /// opened (`logging("open", …)`) gets a sink now.
    ///
    /// # Errors
    /// The plugin's: nothing was taken.
    pub fn push(&mut self, container: &str, lines: &Value) -> Result<Outcome, String> {
        self.logging("push", &json!({"container": container, "lines": lines})).map(read)
    }

    /// `validate`, `open`, `push` or `close` of a log driver.
    ///
    /// # Errors
    /// The plugin's.
    pub fn logging(&mut self, function: &str, about: &Value) -> Result<Value, String> {
        self.step(&json!({"logging": {function: about}}))
    }

    /// What a transformation of logs makes of lines, which are as in [`Plugin::push`].
    ///
    /// # Errors
    /// The plugin's.
    pub fn transform(&mut self, lines: &Value) -> Result<Vec<Line>, String> {
        self.step(&json!({"transform": {"apply": lines}})).map(read)
    }

    /// `capabilities`, `validate`, `create`, `remove`, `publish`, `unpublish`, `status` or `reconcile` of a volume driver.
    ///
    /// # Errors
    /// The plugin's, or the engine's about a plan that it would not mount.
    pub fn volume(&mut self, function: &str, about: &Value) -> Result<Value, String> {
        self.step(&json!({"volume": {function: about}}))
    }

    /// `interests` or `push` of a metrics sink.
    ///
    /// # Errors
    /// The plugin's.
    pub fn metrics(&mut self, function: &str, about: &Value) -> Result<Value, String> {
        self.step(&json!({"metrics": {function: about}}))
    }

    /// `open_pool`, `close_pool`, `allocate`, `release`, `renew`, `usage` or `reconcile` of an IPAM driver.
    ///
    /// # Errors
    /// The plugin's, or the engine's about an address that it would not use.
    pub fn ipam(&mut self, function: &str, about: &Value) -> Result<Value, String> {
        self.step(&json!({"ipam": {function: about}}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        for (told, outcome) in [
            (json!("committed"), Outcome::Committed),
            (json!({"retry_after": 3000}), Outcome::RetryAfter(Duration::from_secs(3))),
            (json!({"rejected": [0, 2]}), Outcome::Rejected(vec![0, 2])),
        ] {
            assert_eq!(read::<Outcome>(told), outcome);
        }
    }
}
