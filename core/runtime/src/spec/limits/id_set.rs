//! Lists of CPUs and memory nodes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use wharf_types::{Error, Result};

/// CPUs or memory nodes, in the kernel's list format (`0-2,4`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdSet(BTreeSet<u32>);

/// Largest number in a list; keeps `0-4294967295` from filling memory.
const MAX_ID: u32 = 8192;

impl IdSet {
    /// Whether `other` has every member.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }
}

impl FromStr for IdSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid(format!("invalid list of numbers: {text}"));
        let number = |digits: &str| {
            let parsed = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok()).flatten();
            parsed.filter(|n| *n <= MAX_ID).ok_or_else(invalid)
        };
        let mut ids = BTreeSet::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = number(first)?..=number(last)?;
            if range.is_empty() {
                return Err(invalid());
            }
            ids.extend(range);
        }
        Ok(Self(ids))
    }
}

impl fmt::Display for IdSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for id in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == id => *last = id,
                _ => ranges.push((id, id)),
            }
        }
        let text = |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
        f.write_str(&ranges.into_iter().map(text).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bad_lists() {
        for bad in ["a", "1-", "-1", "3-1", "1,,2", "1-2-3", ",", "0-8193", "4294967296", "+1"] {
            assert!(bad.parse::<IdSet>().is_err(), "{bad}");
        }
        assert_eq!("".parse::<IdSet>().unwrap(), IdSet::default());
    }

    proptest! {
        #[test]
        fn lists_round_trip(ids in prop::collection::btree_set(0u32..40, 0..20)) {
            let set = IdSet(ids);
            prop_assert_eq!(set.to_string().parse::<IdSet>().unwrap(), set);
        }
    }
}
