//! Bytes on their way from blocking code to a client.

use bytes::Bytes;
use std::io::{self, Write};
use tokio::sync::mpsc;
use wharf_types::Result;

/// What the client gets; an error is the last item, and then the body must not look complete.
pub type ByteStream = mpsc::Receiver<Result<Bytes>>;

/// The writing end.
pub(crate) struct Pipe {
    buffer: Vec<u8>,
    to: mpsc::Sender<Result<Bytes>>,
}

/// Bytes sent at once: few wake-ups, and small enough to stay in the processor's cache.
const CHUNK: usize = 256 << 10;
/// Chunks that wait for a slow client before the writer waits too.
const WAITING: usize = 4;

/// Runs `work` off the async threads; what it writes is the stream. When the client goes away, its next write fails.
pub(crate) fn produce(work: impl FnOnce(&mut Pipe) -> Result<()> + Send + 'static) -> ByteStream {
    let (to, from) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { buffer: Vec::new(), to: to.clone() };
        if let Err(e) = work(&mut pipe).and_then(|()| Ok(pipe.send()?)) {
            tracing::debug!(error = %e, "stream ended early");
            let _ = to.blocking_send(Err(e));
        }
    });
    from
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.buffer);
        self.to.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + buf.len() > CHUNK {
            self.send()?;
        }
        if self.buffer.capacity() == 0 {
            self.buffer.reserve_exact(CHUNK.max(buf.len()));
        }
        self.buffer.extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_types::Error;

    #[tokio::test]
    async fn everything_arrives_in_order_and_errors_come_last() {
        let mut stream = produce(|pipe| {
            for n in 0..10_000u32 {
                pipe.write_all(&[n as u8; 100])?;
            }
            Err(Error::system("disk"))
        });
        let (mut all, mut chunks, mut error) = (Vec::new(), 0, None);
        while let Some(chunk) = stream.recv().await {
            match chunk {
                Ok(chunk) => (all.extend_from_slice(&chunk), chunks += 1).0,
                Err(e) => error = Some(e.message().to_owned()),
            }
        }
        // What was written just before the failure may be lost.
        assert!((3..5).contains(&chunks) && all.len() > 700_000 && all.chunks(100).enumerate().all(|(n, c)| c == [n as u8; 100]));
        assert_eq!(error.as_deref(), Some("disk"));
    }

    #[tokio::test]
    async fn a_client_that_went_away_ends_the_work() {
        let (told, heard) = tokio::sync::oneshot::channel();
        let stream = produce(|pipe| {
            let written = (0..1000).try_for_each(|_| pipe.write_all(&[0; CHUNK]));
            let _ = told.send(written.is_err());
            Ok(())
        });
        drop(stream);
        assert!(heard.await.unwrap());
    }
}
