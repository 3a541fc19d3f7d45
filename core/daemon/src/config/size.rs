//! Sizes with binary units, as Docker's options write them.

/// Bytes of `64M`, `1.5g`, `10 KiB` or `4096`; units are powers of 1024 in either case, with or without `b` or `ib`.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    let bytes = number * (1u64 << shift) as f64;
    // 2^63: a size must fit the kernel's signed file sizes.
    (bytes < 9_223_372_036_854_775_808.0).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("64M", 64 << 20), ("64mib", 64 << 20), ("1.5g", 3 << 29), ("10 kb", 10240), ("7b", 7), ("4096", 4096)]
        {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1x", "1.2.3", "9000p", "0x10"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
