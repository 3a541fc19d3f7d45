//! Which of many texts a text begins with, found without trying them.

use std::{
    collections::BTreeMap,
    ops::Bound::{Included, Unbounded},
};

/// A map by texts, in their order.
#[derive(Debug, Default)]
pub(crate) struct Beginnings<T>(BTreeMap<Vec<u8>, T>);

impl<T> FromIterator<(Vec<u8>, T)> for Beginnings<T> {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, T)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Default> Beginnings<T> {
    pub fn at(&mut self, text: Vec<u8>) -> &mut T {
        self.0.entry(text).or_default()
    }

    /// The values of all texts that `text` begins with, the longest first.
    pub fn of(&self, text: &[u8]) -> impl Iterator<Item = &T> {
        // What remains of the text has all beginnings that are yet to be found.
        let mut remains = Some(text);
        std::iter::from_fn(move || {
            loop {
                let rest = remains?;
                let (last, value) = self.0.range::<[u8], _>((Unbounded, Included(rest))).next_back()?;
                let alike = last.iter().zip(rest).take_while(|(a, b)| a == b).count();
                if alike == last.len() {
                    remains = alike.checked_sub(1).and_then(|shorter| rest.get(..shorter));
                    return Some(value);
                }
                // Whatever stands between a beginning and the rest has that beginning, too: so has the last one before the rest.
                remains = rest.get(..alike);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn all_are_found(texts in prop::collection::btree_set("[ab]{0,4}", 0..12), text in "[abc]{0,5}") {
            let beginnings: Beginnings<String> = texts.iter().map(|t| (t.as_bytes().to_vec(), t.clone())).collect();
            let mut expected: Vec<&String> = texts.iter().filter(|t| text.starts_with(*t)).collect();
            expected.reverse();
            prop_assert_eq!(beginnings.of(text.as_bytes()).collect::<Vec<_>>(), expected);
        }
    }
}
