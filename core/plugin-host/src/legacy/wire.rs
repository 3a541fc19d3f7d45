//! Documents of the protocol.

use super::MAX_ANSWER;
use crate::words::cut;
use serde::{Deserialize, de::DeserializeOwned};
use wharf_types::{Error, Result};

/// What is shown of a failure that is no document, in characters.
const MAX_WORDS: usize = 1000;

/// Reads an answer. Go takes names in any case and `null` for nothing said; types of answers allow for both. An array is no answer,
/// though serde would take one for the fields in their order.
pub fn decode<T: DeserializeOwned>(method: &str, answer: &[u8]) -> Result<T> {
    let unreadable = |why: &dyn std::fmt::Display| Error::system(format!("{method}: the answer cannot be read: {why}"));
    if !answer.trim_ascii_start().starts_with(b"{") {
        return Err(unreadable(&"it is no JSON object"));
    }
    // It may quote what it read.
    serde_json::from_slice(answer).map_err(|e| unreadable(&cut(e.to_string())))
}

/// The error of a call that the plugin says has failed: `Err` of its document, else all of its words.
pub fn failure(method: &str, answer: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Failure {
        #[serde(rename = "Err", alias = "err")]
        err: String,
    }
    let words = serde_json::from_slice(answer).map_or_else(|_| String::from_utf8_lossy(answer).into_owned(), |f: Failure| f.err);
    Error::system(format!("{method}: {}", words.trim().chars().take(MAX_WORDS).collect::<String>()))
}

/// The error of an answer that is not read to its end.
pub fn too_large(method: &str) -> Error {
    Error::system(format!("{method}: the answer is larger than {MAX_ANSWER} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures() {
        let said = |answer: &str| failure("A.B", answer.as_bytes()).message().to_owned();
        assert_eq!(said(r#"{"Err": "no"}"#), "A.B: no");
        assert_eq!(said("Not Found\n"), "A.B: Not Found");
        assert_eq!(said(r#"{"Error": 1}"#), r#"A.B: {"Error": 1}"#);
        assert_eq!(said(&"x".repeat(5000)).len(), "A.B: ".len() + MAX_WORDS);
    }

    #[test]
    fn an_array_is_no_answer() {
        #[derive(Deserialize, Debug)]
        #[expect(dead_code)]
        struct Answer {
            allow: bool,
        }
        decode::<Answer>("m", b"[true]").unwrap_err();
        decode::<Answer>("m", b"").unwrap_err();
        decode::<Answer>("m", br#"{"allow": true} {"allow": false}"#).unwrap_err();
        decode::<Answer>("m", b" \n{\"allow\": true}").unwrap();
        let quoted = decode::<Answer>("m", format!("{{\"allow\": \"{}\"}}", "x".repeat(100_000)).as_bytes()).unwrap_err();
        assert!(quoted.message().len() < 5_000);
    }
}
