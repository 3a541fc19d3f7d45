//! The reader: one thread per request, from the oldest file to the newest and then, if asked to, along with the writer.

use crate::{
    files::{Files, Snapshot},
    follow::{Waker, Watch},
    output::Output,
    query::{LogFile, LogFormat, LogQuery, Tail},
    record::{Records, keep_last},
};
use bytes::Bytes;
use std::{io, thread, time::Duration};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use wharf_types::{Result, Timestamp, error::Context};

/// Chunks that wait for a slow client.
const CHUNKS: usize = 4;
/// The reader's thread goes through few frames.
const STACK: usize = 256 * 1024;

/// The entries of `file` that `query` asks for, written as `format` says, in chunks of some 64 KiB. The stream ends at the end of
/// the log; when following, once `ended` is true (or its sender gone) and the rest was read; in any case at `until`. To drop
/// the stream ends the reading.
///
/// A log without files is empty. Damaged records are left out. Must be called in a runtime when it follows.
pub fn read(file: LogFile, query: LogQuery, format: LogFormat, ended: watch::Receiver<bool>) -> impl Stream<Item = Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let reader = Reader { file, query, ended, sender: sender.clone() };
    if let Err(e) = reader.start(format) {
        let _ = sender.try_send(Err(e));
    }
    ReceiverStream::new(receiver)
}

#[cfg(test)]
mod tests;

struct Reader {
    file: LogFile,
    query: LogQuery,
    ended: watch::Receiver<bool>,
    sender: mpsc::Sender<Result<Bytes>>,
}

impl Reader {
    fn start(self, format: LogFormat) -> Result<()> {
        let runtime = self.query.follow.then(Handle::try_current).transpose().context("follow a log")?;
        let thread = move || {
            if let Err(e) = self.run(format, runtime.as_ref()) {
                let _ = self.sender.blocking_send(Err(e).context(format_args!("log {}", self.file.path().display())));
            }
        };
        thread::Builder::new().name("log".to_owned()).stack_size(STACK).spawn(thread).map(drop).context("start a thread")
    }

    fn run(&self, format: LogFormat, runtime: Option<&Handle>) -> io::Result<()> {
        let mut watch = match Watch::new(self.file.path()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            watch => watch?,
        };
        // Dropped when this returns.
        let _reading = runtime.map(|runtime| self.wake_at_the_end(runtime, watch.waker()));
        let files = Files::new(self.file.clone(), format.details);
        let Snapshot { rotated: mut all, current } = files.open_all(&mut watch)?;
        let has_current = current.is_some();
        all.extend(current);
        if let Tail::Lines(lines) = self.query.tail {
            keep_last(&mut all, lines)?;
        }
        // The current file is the last one, and what `tail` leaves includes it.
        let current = if has_current { all.pop() } else { None };
        let mut output = Output::new(self.query, format, self.sender.clone());
        for mut records in all {
            if records.drain(|entry| output.push(entry))?.is_break() {
                let _ = output.flush();
                return Ok(());
            }
        }
        self.current(current, &files, &mut watch, &mut output)?;
        let _ = output.flush();
        Ok(())
    }

    /// Reads the current file, and whatever becomes current, to the end that the query sets.
    fn current(&self, mut file: Option<Records>, files: &Files, watch: &mut Watch, output: &mut Output) -> io::Result<()> {
        // How often `file` was moved aside; a log without a file yet is before the one to come.
        let mut behind = u32::from(file.is_none());
        loop {
            // Noted before reading, so that nothing is written in between.
            let over = *self.ended.borrow() || self.ended.has_changed().is_err() || self.remaining() == Some(Duration::ZERO);
            behind += watch.rotations()?;
            if let Some(records) = &mut file {
                records.notice_truncation()?;
                if records.drain(|entry| output.push(entry))?.is_break() {
                    return Ok(());
                }
            }
            if !self.query.follow {
                return Ok(());
            }
            if behind > 0
                && let Some(next) = files.open_next(&mut behind, watch)?
            {
                file = Some(next);
                continue;
            }
            if over || output.flush().is_break() {
                return Ok(());
            }
            watch.wait(self.remaining())?;
        }
    }

    /// Time until `until`.
    fn remaining(&self) -> Option<Duration> {
        self.query.until.map(|until| until.since(Timestamp::now()))
    }

    /// Wakes the thread when the container has ended or nobody listens any more, until the returned sender is dropped.
    fn wake_at_the_end(&self, runtime: &Handle, waker: Waker) -> oneshot::Sender<()> {
        let (mut ended, sender) = (self.ended.clone(), self.sender.clone());
        let (reading, done) = oneshot::channel();
        runtime.spawn(async move {
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => {}
                () = sender.closed() => {}
                // The stream ends when the last sender is gone, this one included.
                _ = done => return,
            }
            waker.wake();
        });
        reading
    }
}
