//! Cutting a stream into lines of at most 16 KiB.

use wharf_shim_proto::journal::{MAX_LINE, Partial};

/// What a stream has left unfinished.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: Vec<u8>,
    partial: Option<Partial>,
}

impl Splitter {
    /// Bytes of a line that has not ended, and were not recorded.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Passes on every line that `data` completes, and every piece of 16 KiB of a line that has not ended.
    pub fn push<E>(&mut self, mut data: &[u8], mut record: impl FnMut(&[u8], Option<&Partial>) -> Result<(), E>) -> Result<(), E> {
        while !data.is_empty() {
            let room = MAX_LINE - self.pending.len();
            let window = data.get(..room).unwrap_or(data);
            match memchr::memchr(b'\n', window) {
                Some(end) => {
                    let (line, rest) = data.split_at(end);
                    data = rest.get(1..).unwrap_or_default();
                    let partial = self.partial.take().map(|p| Partial { ordinal: p.ordinal + 1, last: true, ..p });
                    self.emit(line, partial.as_ref(), &mut record)?;
                }
                None if data.len() < room => {
                    self.pending.extend_from_slice(data);
                    break;
                }
                None => {
                    let (piece, rest) = data.split_at(room);
                    data = rest;
                    self.piece(piece, &mut record)?;
                }
            }
        }
        Ok(())
    }

    /// Passes on what is left when the stream ends: a piece without end.
    pub fn finish<E>(&mut self, mut record: impl FnMut(&[u8], Option<&Partial>) -> Result<(), E>) -> Result<(), E> {
        if self.pending.is_empty() { Ok(()) } else { self.piece(&[], &mut record) }
    }

    fn piece<E>(&mut self, piece: &[u8], record: &mut impl FnMut(&[u8], Option<&Partial>) -> Result<(), E>) -> Result<(), E> {
        let partial = match self.partial.take() {
            Some(p) => Partial { ordinal: p.ordinal + 1, ..p },
            None => Partial { id: random_id(), ordinal: 1, last: false },
        };
        let result = self.emit(piece, Some(&partial), record);
        self.partial = Some(partial);
        result
    }

    fn emit<E>(
        &mut self,
        line: &[u8],
        partial: Option<&Partial>,
        record: &mut impl FnMut(&[u8], Option<&Partial>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.pending.is_empty() {
            return record(line, partial);
        }
        self.pending.extend_from_slice(line);
        let result = record(&self.pending, partial);
        self.pending = Vec::new();
        result
    }
}

/// 64 hex digits, as Docker names split lines. Only readers of one log compare them, so a failing random source is no error.
fn random_id() -> String {
    wharf_types::ExecId::random().map(|id| id.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Records = Vec<(Vec<u8>, Option<Partial>)>;

    fn split(chunks: &[&[u8]]) -> Records {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        let mut keep = |line: &[u8], partial: Option<&Partial>| -> Result<(), ()> {
            out.push((line.to_vec(), partial.cloned()));
            Ok(())
        };
        for chunk in chunks {
            splitter.push(chunk, &mut keep).unwrap();
        }
        splitter.finish(&mut keep).unwrap();
        out
    }

    #[test]
    fn a_long_line_becomes_pieces() {
        let long = vec![b'x'; MAX_LINE * 2 + 5];
        let records = split(&[&long, b"\nnext\n"]);
        let shape: Vec<_> = records.iter().map(|(l, p)| (l.len(), p.as_ref().map(|p| (p.ordinal, p.last)))).collect();
        assert_eq!(shape, [(MAX_LINE, Some((1, false))), (MAX_LINE, Some((2, false))), (5, Some((3, true))), (4, None)]);
        let ids: Vec<_> = records.iter().filter_map(|(_, p)| p.as_ref().map(|p| &p.id)).collect();
        assert!(ids.iter().all(|id| id.len() == 64 && *id == ids[0]));
    }

    #[test]
    fn a_line_of_exactly_the_limit_ends_in_an_empty_piece() {
        let mut line = vec![b'x'; MAX_LINE];
        line.push(b'\n');
        let shape: Vec<_> = split(&[&line]).iter().map(|(l, p)| (l.len(), p.as_ref().map(|p| p.last))).collect();
        assert_eq!(shape, [(MAX_LINE, Some(false)), (0, Some(true))]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_whatever_the_chunks(text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400), cut in 1usize..50) {
            let chunks: Vec<_> = text.chunks(cut).collect();
            let mut joined = Vec::new();
            for (line, partial) in split(&chunks) {
                joined.extend(line);
                if partial.is_none_or(|p| p.last) {
                    joined.push(b'\n');
                }
            }
            prop_assert_eq!(joined, text);
        }
    }
}
