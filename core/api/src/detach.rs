//! Detach keys: parsing them, and finding them in what is typed.

use wharf_types::{Error, Result};

/// ctrl-p, ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// Reads `ctrl-p,ctrl-q`, `a,ctrl-x`, … ; empty text means the default.
///
/// # Errors
/// 400 `Invalid detach keys (x) provided`.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(DEFAULT.to_vec());
    }
    let keys = text.split(',').map(key).collect::<Option<Vec<u8>>>();
    keys.ok_or_else(|| Error::invalid(format!("Invalid detach keys ({text}) provided")))
}

/// One ASCII character, or `ctrl-` and one of `a`–`z`, `@`, `[`, `\`, `]`, `^`, `_`.
fn key(text: &str) -> Option<u8> {
    if let [one] = text.as_bytes() {
        return one.is_ascii().then_some(*one);
    }
    match text.strip_prefix("ctrl-")?.as_bytes() {
        [c @ b'a'..=b'z'] => Some(c - b'a' + 1),
        [b'@'] => Some(0),
        [c @ b'['..=b'_'] => Some(c - b'[' + 27),
        _ => None,
    }
}

/// Looks for the keys in a stream of input. What might be their beginning is held back until that is decided.
pub struct Scanner {
    keys: Vec<u8>,
    /// How many of `keys` the last bytes of the input equal; those are held back.
    matched: usize,
}

impl Scanner {
    /// Looks for these keys.
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes more input and appends to `out` what may be passed on. True when the keys were found: what came before them is
    /// in `out`, what follows is dropped.
    pub fn scan(&mut self, input: &[u8], out: &mut Vec<u8>) -> bool {
        for &byte in input {
            if self.matched == 0 && self.keys.first() != Some(&byte) {
                out.push(byte);
                continue;
            }
            // The longest end of (held back + byte) that still begins the keys stays held back; the rest is input.
            let mut seen = self.held().to_vec();
            seen.push(byte);
            self.matched =
                (0..=seen.len().min(self.keys.len())).rev().find(|n| seen.ends_with(self.keys.get(..*n).unwrap_or(&[]))).unwrap_or(0);
            out.extend(seen.iter().take(seen.len() - self.matched));
            if self.matched == self.keys.len() {
                return true;
            }
        }
        false
    }

    /// What is held back, for when the input ends.
    pub fn held(&self) -> &[u8] {
        self.keys.get(..self.matched).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(parse("").unwrap(), [16, 17]);
        assert_eq!(parse("ctrl-p,ctrl-q").unwrap(), [16, 17]);
        assert_eq!(parse("a,ctrl-x,ctrl-@,ctrl-[,ctrl-_").unwrap(), [b'a', 24, 0, 27, 31]);
        for bad in ["ctrl-", "ctrl-A", "ab", ",", "a,", "é", "ctrl-é"] {
            assert_eq!(parse(bad).unwrap_err().message(), format!("Invalid detach keys ({bad}) provided"));
        }
    }

    proptest! {
        /// However the input is cut into reads: everything before the first occurrence of the keys passes, nothing after it.
        #[test]
        fn cutting_does_not_matter(
            keys in proptest::collection::vec(0u8..3, 1..4),
            input in proptest::collection::vec(0u8..3, 0..40),
            cuts in proptest::collection::vec(1usize..5, 1..40),
        ) {
            let mut scanner = Scanner::new(keys.clone());
            let (mut out, mut rest, mut found) = (Vec::new(), &input[..], false);
            for cut in cuts.iter().cycle().take(40) {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                rest = later;
                found = scanner.scan(now, &mut out);
                if found { break }
            }
            let at = input.windows(keys.len()).position(|w| w == keys);
            prop_assert_eq!(found, at.is_some());
            if !found {
                out.extend_from_slice(scanner.held());
            }
            prop_assert_eq!(&out[..], &input[..at.unwrap_or(input.len())]);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
