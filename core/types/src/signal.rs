//! Linux signals by name or number, as `docker kill` and `StopSignal` take them.

use crate::error::{Error, Result};
use std::{fmt, str::FromStr};

/// A signal number that exists on Linux (1 to 64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(i32);

/// Names without `SIG`, by number; from signal(7) for x86 and arm64.
const NAMES: &[(&str, i32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);

    /// The number, for `kill(2)`.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for Signal {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let invalid = || Error::invalid(format!("invalid signal: {s}"));
        if let Ok(n) = s.parse::<i32>() {
            return if (1..=RTMAX).contains(&n) { Ok(Self(n)) } else { Err(invalid()) };
        }
        let upper = s.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((_, n)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*n));
        }
        let n = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(""), _) => RTMIN,
            (_, Some("")) => RTMAX,
            (Some(plus), _) => RTMIN + plus.strip_prefix('+').and_then(|d| d.parse::<i32>().ok()).ok_or_else(invalid)?,
            (_, Some(minus)) => RTMAX - minus.strip_prefix('-').and_then(|d| d.parse::<i32>().ok()).ok_or_else(invalid)?,
            _ => return Err(invalid()),
        };
        if (RTMIN..=RTMAX).contains(&n) { Ok(Self(n)) } else { Err(invalid()) }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, n)| *n == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, n) in [("9", 9), ("SIGKILL", 9), ("kill", 9), ("term", 15), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("64", 64)] {
            assert_eq!(text.parse::<Signal>().unwrap().number(), n, "{text}");
        }
        for bad in ["", "0", "65", "-1", "SIGFOO", "RTMIN+99", "RTMIN3"] {
            assert!(bad.parse::<Signal>().is_err(), "{bad}");
        }
    }
}
