//! Which of the three line formats of JSON a client wants to read events in (API 1.52 and newer).

use http::{HeaderMap, header};

/// A format of a stream of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// `application/json`, a line each; what old API versions call it.
    Json,
    /// `application/jsonl`.
    Jsonl,
    /// `application/x-ndjson`.
    Ndjson,
    /// `application/json-seq`: a record separator before each value (RFC 7464).
    Sequence,
}

impl Lines {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Jsonl => "application/jsonl",
            Self::Ndjson => "application/x-ndjson",
            Self::Sequence => "application/json-seq",
        }
    }

    /// What comes before each value.
    pub fn prefix(self) -> &'static [u8] {
        if self == Self::Sequence { b"\x1e" } else { b"" }
    }

    /// The wanted format: the known one with the highest `q`, the first of equals, and JSON lines when none is named.
    pub fn negotiate(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
        let mut best = (0.0, Self::Jsonl);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let quality = parts.find_map(|p| p.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let known = [Self::Jsonl, Self::Ndjson, Self::Sequence].into_iter().find(|l| media_type.eq_ignore_ascii_case(l.content_type()));
            if let Some(format) = known
                && quality > best.0
            {
                best = (quality, format);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_type_wins() {
        let negotiate =
            |accept: &'static str| Lines::negotiate(&HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static(accept))]));
        assert_eq!(negotiate("application/jsonl, application/x-ndjson;q=0.9, application/json-seq;q=0.5"), Lines::Jsonl);
        assert_eq!(negotiate("application/json-seq;q=0.5, application/x-ndjson;q=0.4"), Lines::Sequence);
        assert_eq!(negotiate("*/*, application/json"), Lines::Jsonl);
        assert_eq!(negotiate("application/x-ndjson; q=0.1"), Lines::Ndjson);
        assert_eq!(Lines::negotiate(&HeaderMap::new()), Lines::Jsonl);
    }
}
