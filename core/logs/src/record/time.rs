//! Times as logs have them: read and written without allocation, because every line has one.

use std::io::Write;
use wharf_types::Timestamp;

const NANOS: i64 = 1_000_000_000;

/// Reads `2026-01-02T03:04:05.678Z`. Other forms of RFC 3339 are left to the slow path.
pub(super) fn parse_utc(text: &[u8]) -> Option<i64> {
    let (date, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] = date else { return None };
    let number = |digits: &[&u8]| digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(*d - b'0')));
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    // What fits nanoseconds in 64 bits.
    if !valid || !(1678..2262).contains(&year) {
        return None;
    }
    let nanos = match fraction.split_first() {
        None => 0,
        Some((b'.', digits @ [_, ..])) if digits.len() <= 9 => {
            let value = digits.iter().try_fold(0, |n, d| d.is_ascii_digit().then(|| n * 10 + i64::from(*d - b'0')))?;
            value * 10_i64.pow(9 - digits.len() as u32)
        }
        Some(_) => return None,
    };
    Some((days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * NANOS + nanos)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Writes times with nine fractional digits; remembers the last second, which most lines share.
#[derive(Default)]
pub(crate) struct Stamp {
    second: Option<i64>,
    text: String,
}

impl Stamp {
    pub fn write(&mut self, out: &mut Vec<u8>, nanos: i64) {
        let second = nanos.div_euclid(NANOS);
        if self.second != Some(second) {
            let whole = Timestamp::from_nanos(second.saturating_mul(NANOS)).rfc3339_fixed();
            self.text = whole.strip_suffix("000000000Z").unwrap_or(&whole).to_owned();
            self.second = Some(second);
        }
        let _ = write!(out, "{}{:09}Z", self.text, nanos.rem_euclid(NANOS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_usual_form() {
        assert_eq!(parse_utc(b"1970-01-01T00:00:01.5Z"), Some(1_500_000_000));
        for other in
            ["1970-01-01T00:00:01+01:00", "1970-01-01T00:00:01.Z", "1970-13-01T00:00:01Z", "1970-01-01T00:00:01.1234567890Z", "", "Z"]
        {
            assert_eq!(parse_utc(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_general_reader(nanos in -9_000_000_000_000_000_000..9_000_000_000_000_000_000_i64) {
            let time = Timestamp::from_nanos(nanos);
            prop_assert_eq!(parse_utc(time.to_string().as_bytes()), Some(nanos));
            let (mut stamp, mut out) = (Stamp::default(), Vec::new());
            stamp.write(&mut out, nanos);
            prop_assert_eq!(String::from_utf8(out).unwrap(), time.rfc3339_fixed());
        }
    }
}
