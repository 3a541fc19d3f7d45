//! The 8-byte frames of a container's output, taken off where only the bytes are wanted.

/// Takes a multiplexed stream apart, wherever reads end.
#[derive(Debug, Default)]
pub struct Unframer {
    header: Vec<u8>,
    /// Bytes of the current frame that are still to come.
    left: usize,
}

impl Unframer {
    /// Hands the payload in `bytes` to `take`, piece by piece.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        const HEADER: usize = 8;
        while !bytes.is_empty() {
            let wanted = if self.left == 0 { HEADER - self.header.len() } else { self.left };
            let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
            bytes = rest;
            if self.left == 0 {
                self.header.extend_from_slice(part);
                if let [_, _, _, _, a, b, c, d] = *self.header.as_slice() {
                    self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.header.clear();
                }
            } else {
                self.left -= part.len();
                take(part);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn frame(kind: u8, text: &[u8]) -> Vec<u8> {
        [&[kind, 0, 0, 0], &u32::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat()
    }

    proptest! {
        #[test]
        fn frames_come_off_wherever_reads_end(
            texts in proptest::collection::vec("[a-z]{0,9}", 0..6),
            cuts in proptest::collection::vec(1usize..7, 1..20),
        ) {
            let stream: Vec<u8> = texts.iter().zip([1, 2].into_iter().cycle()).flat_map(|(t, kind)| frame(kind, t.as_bytes())).collect();
            let (mut frames, mut out, mut rest) = (Unframer::default(), Vec::new(), &stream[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                frames.push(now, |part| out.extend_from_slice(part));
                rest = later;
            }
            prop_assert_eq!(out, texts.concat().into_bytes());
        }
    }
}
