//! Sizes as people write them: `10m`, `1.5 GB`, `20MiB`.

use wharf_types::{Error, Result};

/// What a `k` is.
#[derive(Clone, Copy)]
pub(super) enum Base {
    Thousand,
    Binary,
}

/// Bytes; negative when the text is.
pub(super) fn parse_size(text: &str, base: Base) -> Result<i64> {
    let invalid = || Error::invalid(format!("invalid size: '{text}'"));
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').map_or(0, |i| i + 1);
    let (number, unit) = text.split_at_checked(end).ok_or_else(invalid)?;
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let step: f64 = match base {
        Base::Thousand => 1000.0,
        Base::Binary => 1024.0,
    };
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(invalid()),
    };
    let size = number * step.powi(power);
    if size.is_finite() && size.abs() < 9e18 { Ok(size as i64) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, thousand, binary) in [
            ("32", 32, 32),
            ("10m", 10_000_000, 10 << 20),
            ("1.5k", 1500, 1536),
            ("2 GB", 2_000_000_000, 2 << 30),
            ("1KiB", 1000, 1024),
            ("7b", 7, 7),
            ("-1", -1, -1),
        ] {
            assert_eq!(parse_size(text, Base::Thousand).unwrap(), thousand, "{text}");
            assert_eq!(parse_size(text, Base::Binary).unwrap(), binary, "{text}");
        }
        for bad in ["", "m", "1x", "1.2.3", "ten", "1 k m", "inf", "1e30p", "5é"] {
            assert!(parse_size(bad, Base::Thousand).is_err(), "{bad}");
        }
    }
}
