//! What a client wants to read: which of the three line formats of JSON for events (API 1.52 and newer), and which packing of
//! archives.

use http::{HeaderMap, HeaderName, header};
use wharf_engine::containers::Packing;

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
    /// The media types of all.
    pub const CONTENT_TYPES: [&str; 4] =
        [Self::Json.content_type(), Self::Jsonl.content_type(), Self::Ndjson.content_type(), Self::Sequence.content_type()];

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
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
        let mut best = (0.0, Self::Jsonl);
        for (media_type, quality) in ranges(headers, &header::ACCEPT) {
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

/// The packing of an archive: gzip before deflate where both are wanted as much, plain when neither is.
pub fn packing(headers: &HeaderMap) -> Packing {
    let mut best = (-1.0, Packing::None);
    for (name, packing) in [("gzip", Packing::Gzip), ("deflate", Packing::Deflate)] {
        let wanted = ranges(headers, &header::ACCEPT_ENCODING).filter(|(coding, _)| *coding == "*" || coding.eq_ignore_ascii_case(name));
        for (_, quality) in wanted {
            if quality > best.0 {
                best = (quality, packing);
            }
        }
    }
    if best.0 > 0.0 { best.1 } else { Packing::None }
}

/// The entries of a header that lists what is accepted, each with its `q`.
fn ranges<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'h str, f64)> {
    let entries = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    entries.map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let value = parts.next().unwrap_or_default();
        (value, parts.find_map(|p| p.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packings_are_negotiated() {
        let negotiate =
            |accept: &'static str| packing(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, http::HeaderValue::from_static(accept))]));
        assert_eq!((negotiate("gzip, deflate"), negotiate("deflate")), (Packing::Gzip, Packing::Deflate));
        assert_eq!((negotiate("gzip;q=0.5, deflate"), negotiate("*")), (Packing::Deflate, Packing::Gzip));
        assert_eq!(
            (negotiate("identity"), negotiate("gzip;q=0"), packing(&HeaderMap::new())),
            (Packing::None, Packing::None, Packing::None)
        );
    }

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
