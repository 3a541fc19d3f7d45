//! Time as Docker prints and reads it: Go's RFC 3339 with trimmed nanoseconds, Go durations, and the `since`/`until` forms.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration};

/// A moment, in nanoseconds since the Unix epoch. [`Timestamp::ZERO`] stands for Go's zero time (year 1), which Docker
/// prints for "never".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

const GO_ZERO: &str = "0001-01-01T00:00:00Z";

impl Timestamp {
    /// Go's zero time.
    pub const ZERO: Self = Self(i64::MIN);

    /// The wall clock. Only composition roots and adapters call this; pure code takes a time as an argument.
    pub fn now() -> Self {
        let d = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }

    /// From nanoseconds since the epoch.
    pub fn from_nanos(n: i64) -> Self {
        Self(n)
    }

    /// Nanoseconds since the epoch; 0 for [`Timestamp::ZERO`].
    pub fn nanos(self) -> i64 {
        if self.is_zero() { 0 } else { self.0 }
    }

    /// Whole seconds since the epoch; Go's `Unix()` of its zero time (-62135596800) for [`Timestamp::ZERO`].
    pub fn seconds(self) -> i64 {
        if self.is_zero() { -62_135_596_800 } else { self.0.div_euclid(1_000_000_000) }
    }

    /// Whether this is "never".
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// Time passed from `earlier` to this moment; zero when it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos().saturating_sub(earlier.nanos())).unwrap_or(0))
    }

    /// RFC 3339 with exactly nine fractional digits, as `docker logs -t` prints it.
    pub fn rfc3339_fixed(self) -> String {
        self.civil(|sec, nanos| format!("{sec}.{nanos:09}Z"))
    }

    fn civil(self, f: impl FnOnce(&str, i64) -> String) -> String {
        let nanos = self.0.rem_euclid(1_000_000_000);
        let text = jiff::Timestamp::from_second(self.seconds()).map(|t| t.to_string()).unwrap_or_default();
        f(text.strip_suffix('Z').unwrap_or(&text), nanos)
    }

    /// Reads the `since`/`until` forms: Unix seconds with an optional fraction, RFC 3339 (also without zone or with only a
    /// date, taken as UTC), or a Go duration counted back from `now`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidParameter`] when the text is none of these.
    pub fn parse_moment(text: &str, now: Self) -> Result<Self> {
        let invalid = || Error::invalid(format!("invalid time: {text:?} is no Unix time, RFC 3339 time or duration"));
        if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !text.is_empty() {
            let (sec, frac) = text.split_once('.').unwrap_or((text, ""));
            let sec: i64 = sec.parse().map_err(|_| invalid())?;
            let frac: i64 = format!("{frac:0<9}").get(..9).and_then(|f| f.parse().ok()).ok_or_else(invalid)?;
            return sec.checked_mul(1_000_000_000).and_then(|n| n.checked_add(frac)).map(Self).ok_or_else(invalid);
        }
        if let Ok(t) = text.parse::<jiff::Timestamp>() {
            return i64::try_from(t.as_nanosecond()).map(Self).map_err(|_| invalid());
        }
        if let Ok(t) = text.parse::<jiff::civil::DateTime>() {
            let t = t.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| invalid())?.timestamp();
            return i64::try_from(t.as_nanosecond()).map(Self).map_err(|_| invalid());
        }
        let back: GoDuration = text.parse().map_err(|_| invalid())?;
        Ok(Self(now.0.saturating_sub(back.nanos())))
    }
}

impl fmt::Display for Timestamp {
    /// Go's `RFC3339Nano`: trailing zeros of the fraction are dropped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str(GO_ZERO);
        }
        f.write_str(&self.civil(|sec, nanos| {
            if nanos == 0 { format!("{sec}Z") } else { format!("{sec}.{}Z", format!("{nanos:09}").trim_end_matches('0')) }
        }))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if s == GO_ZERO {
            return Ok(Self::ZERO);
        }
        let t: jiff::Timestamp = s.parse().map_err(|e| Error::invalid(format!("invalid time {s:?}: {e}")))?;
        i64::try_from(t.as_nanosecond()).map(Self).map_err(|_| Error::invalid(format!("time out of range: {s:?}")))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A Go `time.Duration` in nanoseconds, written `1h2m3.5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct GoDuration(i64);

impl GoDuration {
    /// From nanoseconds.
    pub fn from_nanos(n: i64) -> Self {
        Self(n)
    }
    /// In nanoseconds.
    pub fn nanos(self) -> i64 {
        self.0
    }
}

impl fmt::Display for GoDuration {
    /// Go's `Duration.String`: hours, minutes and seconds from the first that is there, one smaller unit below a second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (unit, name) = match total {
            0 => return f.write_str("0s"),
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let (whole, rest) = (total / unit, total % unit);
        let digits = unit.ilog10() as usize;
        let fraction = if rest == 0 { String::new() } else { format!(".{rest:0digits$}").trim_end_matches('0').to_owned() };
        let (minutes, hours) = (whole / 60, whole / 3600);
        match name {
            "s" if hours > 0 => write!(f, "{sign}{hours}h{}m{}{fraction}s", minutes % 60, whole % 60),
            "s" if minutes > 0 => write!(f, "{sign}{minutes}m{}{fraction}s", whole % 60),
            _ => write!(f, "{sign}{whole}{fraction}{name}"),
        }
    }
}

impl FromStr for GoDuration {
    type Err = Error;
    /// Go's `time.ParseDuration`: a signed sequence of decimals with units `ns`, `us`, `µs`, `ms`, `s`, `m`, `h`.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid(format!("time: invalid duration {text:?}"));
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(r) => (true, r),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: f64 = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
            let (number, tail) = rest.split_at(digits);
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let unit: f64 = match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(invalid()),
            };
            total += number.parse::<f64>().map_err(|_| invalid())? * unit;
            rest = tail;
        }
        if total > 9.2e18 {
            return Err(invalid());
        }
        let nanos = total.round() as i64;
        Ok(Self(if negative { -nanos } else { nanos }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_like_go() {
        assert_eq!(Timestamp::ZERO.to_string(), GO_ZERO);
        assert_eq!(Timestamp::from_nanos(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_nanos(1_500_000_000).to_string(), "1970-01-01T00:00:01.5Z");
        assert_eq!(Timestamp::from_nanos(1_000_000_010).to_string(), "1970-01-01T00:00:01.00000001Z");
        assert_eq!(Timestamp::from_nanos(1_500_000_000).rfc3339_fixed(), "1970-01-01T00:00:01.500000000Z");
    }

    #[test]
    fn reads_moments() {
        let now = Timestamp::from_nanos(100_000_000_000);
        for (text, nanos) in [
            ("12", 12_000_000_000),
            ("12.5", 12_500_000_000),
            ("1970-01-01T00:00:05Z", 5_000_000_000),
            ("1970-01-01T02:00:05+02:00", 5_000_000_000),
            ("1970-01-01T00:00:05", 5_000_000_000),
            ("1970-01-01", 0),
            ("10s", 90_000_000_000),
        ] {
            assert_eq!(Timestamp::parse_moment(text, now).unwrap().nanos(), nanos, "{text}");
        }
        assert!(Timestamp::parse_moment("yesterday", now).is_err());
        assert!(Timestamp::parse_moment("", now).is_err());
    }

    #[test]
    fn durations() {
        for (text, nanos) in [("1m30s", 90_000_000_000), ("1.5h", 5_400_000_000_000), ("-2ms", -2_000_000), ("0", 0), ("3ns", 3)] {
            assert_eq!(text.parse::<GoDuration>().unwrap().nanos(), nanos, "{text}");
        }
        for bad in ["", "1", "s", "1x", "1m 2s", "-"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_print_like_go() {
        for text in ["0s", "1ns", "1.1µs", "2.2ms", "3.3s", "4m5s", "4m5.001s", "5h6m7.001s", "8m0.000000001s", "-1h0m0s", "100ms"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn text_round_trip(n in 0i64..4_000_000_000_000_000_000) {
            let t = Timestamp::from_nanos(n);
            prop_assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        }
    }
}
