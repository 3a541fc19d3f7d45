//! The decision log: a file to which one JSON object after the other is appended, by a thread of its own.
//!
//! Who decides never waits for the disk. Between them is a queue with an end; what does not fit, and what cannot be written, is
//! counted, and the next line of the file and the daemon's log say how much it was.

use arc_swap::ArcSwapOption;
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};
use wharf_types::{Result, Timestamp, error::Context as _};

/// Lines that may wait; one has some hundred bytes.
const QUEUE: usize = 4096;
/// Bytes that are written at once when lines wait.
const BATCH: usize = 64 << 10;

/// Where decisions are written, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionLogSettings {
    /// The file; it is made with mode 0600, and its directory with 0700, when they are not there.
    pub path: PathBuf,
    /// All of them instead of only those that deny.
    pub all: bool,
}

/// The log, open or not.
#[derive(Default)]
pub struct DecisionLog {
    open: ArcSwapOption<Open>,
    dropped: Arc<AtomicU64>,
}

struct Open {
    settings: DecisionLogSettings,
    queue: SyncSender<Vec<u8>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl DecisionLog {
    /// Opens the file anew: another one, or the same after its old one was moved away; or none any more. What waits is still written
    /// where it belonged. Blocks.
    ///
    /// # Errors
    /// When the file cannot be opened; everything stays as it was then.
    pub fn configure(&self, settings: Option<DecisionLogSettings>) -> Result<()> {
        let open = settings.map(|settings| self.start(settings)).transpose()?;
        let old = self.open.swap(open.map(Arc::new));
        drop(old);
        Ok(())
    }

    /// Opens the same file anew.
    ///
    /// # Errors
    /// As [`DecisionLog::configure`].
    pub fn reopen(&self) -> Result<()> {
        let settings = self.open.load().as_ref().map(|open| open.settings.clone());
        if settings.is_some() { self.configure(settings) } else { Ok(()) }
    }

    /// Writes everything that waits, and closes the file. Blocks.
    pub fn close(&self) {
        let Some(open) = self.open.swap(None) else { return };
        let writer = open.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
        if let Some(writer) = writer {
            // A thread that panicked has said so.
            let _ = writer.join();
        }
    }

    /// Whether decisions are written that deny, or that do not.
    pub fn wants(&self, denies: bool) -> bool {
        self.open.load().as_ref().is_some_and(|open| denies || open.settings.all)
    }

    /// Adds a line, without waiting for anything.
    pub fn push(&self, line: Vec<u8>) {
        if let Some(open) = self.open.load().as_ref()
            && open.queue.try_send(line).is_err()
        {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Lines that were lost; none when there is no log.
    pub fn dropped(&self) -> Option<u64> {
        self.open.load().as_ref().map(|_| self.dropped.load(Relaxed))
    }

    fn start(&self, settings: DecisionLogSettings) -> Result<Open> {
        let file = open(&settings.path).context(format_args!("open the decision log {}", settings.path.display()))?;
        let (queue, lines) = sync_channel(QUEUE);
        let (path, dropped) = (settings.path.clone(), self.dropped.clone());
        let work = move || write(&lines, file, &path, &dropped);
        let writer = thread::Builder::new().name("decision-log".into()).spawn(work).context("start the thread of the decision log")?;
        Ok(Open { settings, queue, writer: Mutex::new(Some(writer)) })
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Until nobody can send any more.
fn write(lines: &Receiver<Vec<u8>>, mut file: impl Write, path: &Path, dropped: &AtomicU64) {
    let (mut told, mut failing) = (dropped.load(Relaxed), false);
    while let Ok(first) = lines.recv() {
        let (mut batch, mut count) = (Vec::new(), 1);
        let lost = dropped.load(Relaxed) - told;
        if lost > 0 {
            tracing::warn!(file = %path.display(), lost, "decisions were not logged");
            batch = format!("{{\"time\":\"{}\",\"lost\":{lost}}}\n", Timestamp::now()).into_bytes();
        }
        batch.extend(first);
        while batch.len() < BATCH
            && let Ok(line) = lines.try_recv()
        {
            batch.extend(line);
            count += 1;
        }
        match file.write_all(&batch) {
            Ok(()) => {
                told += lost;
                failing = false;
            }
            Err(e) => {
                dropped.fetch_add(count, Relaxed);
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(file = %path.display(), "decisions cannot be logged: {e}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn rotated_and_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/decisions.jsonl");
        let log = DecisionLog::default();
        assert!(!log.wants(true) && log.dropped().is_none());
        log.configure(Some(DecisionLogSettings { path: path.clone(), all: false })).unwrap();
        assert!(log.wants(true) && !log.wants(false));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        log.push(b"a\n".to_vec());
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        log.reopen().unwrap();
        log.push(b"b\n".to_vec());
        // A file that cannot be opened changes nothing.
        log.configure(Some(DecisionLogSettings { path: dir.path().to_owned(), all: true })).unwrap_err();
        log.push(b"c\n".to_vec());
        log.close();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "b\nc\n");
        while std::fs::read_to_string(dir.path().join("old")).unwrap() != "a\n" {
            thread::yield_now();
        }
    }

    /// Fails as often as it says.
    struct Full(u32, Arc<Mutex<String>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 > 0 {
                self.0 -= 1;
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.1.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_lost_is_said() {
        let (written, dropped) = (Arc::default(), Arc::<AtomicU64>::default());
        let (queue, lines) = sync_channel::<Vec<u8>>(0);
        let (file, counter) = (Full(1, Arc::clone(&written)), dropped.clone());
        let writer = thread::spawn(move || write(&lines, file, Path::new("/f"), &counter));
        queue.send(b"a\n".to_vec()).unwrap();
        // Taken only when the first was tried: the queue has no room.
        queue.send(b"b\n".to_vec()).unwrap();
        drop(queue);
        writer.join().unwrap();
        let written = written.lock().unwrap();
        // The second may have been tried together with the first.
        let lost = dropped.load(Relaxed);
        match lost {
            1 => assert!(written.contains("\"lost\":1}\nb\n"), "{written}"),
            other => assert_eq!((other, written.as_str()), (2, "")),
        }
    }
}
