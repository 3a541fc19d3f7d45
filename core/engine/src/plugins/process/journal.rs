//! What a plugin's process writes: line by line into the daemon's log, and the last lines kept for `docker plugin inspect`.

use crate::frames::Unframer;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use tokio::{io::AsyncReadExt as _, net::UnixStream};
use wharf_types::Timestamp;

/// Lines that are kept.
const LINES: usize = 1_000;
/// The longest line in bytes; what is longer becomes several.
const LENGTH: usize = 8 << 10;

/// The log of one plugin, over all of its processes.
#[derive(Debug, Default)]
pub struct Journal(Mutex<VecDeque<String>>);

impl Journal {
    /// Reads what the process of `plugin` writes to its end.
    pub async fn follow(&self, plugin: &str, mut output: UnixStream) {
        let (mut frames, mut line, mut buffer) = (Unframer::default(), Vec::new(), vec![0; LENGTH]);
        while let Ok(n @ 1..) = output.read(&mut buffer).await {
            frames.push(buffer.get(..n).unwrap_or_default(), |part| self.take(plugin, &mut line, part));
        }
        if !line.is_empty() {
            self.write(plugin, &line);
        }
    }

    fn take(&self, plugin: &str, line: &mut Vec<u8>, part: &[u8]) {
        for byte in part {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() == LENGTH {
                self.write(plugin, line);
                line.clear();
            }
        }
    }

    fn write(&self, plugin: &str, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches('\r');
        tracing::info!(plugin, "{text}");
        let mut lines = self.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{} {text}", Timestamp::now()));
    }

    /// The lines that are kept, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// The last words, without their time.
    pub fn last(&self) -> Option<String> {
        self.lock().back().and_then(|line| line.split_once(' ')).map(|(_, text)| text.to_owned())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::frame;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn lines_however_they_come() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let text = [frame(1, b"fir"), frame(1, b"st\r\nsecond\n\n"), frame(2, &[b'x'; LENGTH + 1]), frame(1, b"\nend")].concat();
        theirs.write_all(&text).await.unwrap();
        drop(theirs);
        let journal = Journal::default();
        journal.follow("p", ours).await;
        let lines: Vec<_> = journal.lines().iter().map(|l| l.split_once(' ').unwrap().1.to_owned()).collect();
        assert_eq!(lines, ["first", "second", "", &"x".repeat(LENGTH), "x", "end"]);
        assert_eq!(journal.last().as_deref(), Some("end"));
        for _ in 0..2 * LINES {
            journal.write("p", b"more");
        }
        assert_eq!(journal.lines().len(), LINES);
    }
}
