//! Bytes on their way from blocking code to a client.

use bytes::Bytes;
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder},
};
use std::io::{self, Write};
use tokio::sync::{mpsc, oneshot};
use wharf_types::Result;

/// What the client gets; an error is the last item, and then the body must not look complete.
pub type ByteStream = mpsc::Receiver<Result<Bytes>>;

/// The writing end.
pub(crate) struct Pipe {
    buffer: Vec<u8>,
    to: mpsc::Sender<Result<Bytes>>,
    /// Who waits for the first chunk.
    begun: Option<oneshot::Sender<Result<()>>>,
}

/// Bytes sent at once: few wake-ups, and small enough to stay in the processor's cache.
const CHUNK: usize = 256 << 10;
/// Chunks that wait for a slow client before the writer waits too.
const WAITING: usize = 4;

/// Runs `work` off the async threads; what it writes is the stream, which is returned once it has begun. When the client goes away,
/// its next write fails.
///
/// # Errors
/// What `work` fails with before it has written much: then there still is a status to tell it with.
pub(crate) async fn produce(work: impl FnOnce(&mut Pipe) -> Result<()> + Send + 'static) -> Result<ByteStream> {
    let (to, from) = mpsc::channel(WAITING);
    let (begun, begins) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let mut pipe = Pipe { buffer: Vec::new(), to, begun: Some(begun) };
        if let Err(e) = work(&mut pipe).and_then(|()| Ok(pipe.send()?)) {
            tracing::debug!(error = %e, "stream ended early");
            // It fails when the client has gone.
            let _ = match pipe.begun {
                Some(begun) => begun.send(Err(e)).is_ok(),
                None => pipe.to.blocking_send(Err(e)).is_ok(),
            };
        }
    });
    // One that ends with nothing written says nothing.
    begins.await.unwrap_or(Ok(())).map(|()| from)
}

impl Pipe {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(Ok(()));
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

/// How a stream is packed on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    #[default]
    None,
    /// As a gzip file (RFC 1952).
    Gzip,
    /// As bare deflate (RFC 1951), which is what Docker means by the word.
    Deflate,
}

impl Packing {
    /// Its name in HTTP (`Content-Encoding`); none for what is not packed.
    pub fn coding(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
        }
    }

    /// Writes what `work` writes to `pipe`, packed.
    pub(crate) fn write(self, pipe: &mut Pipe, work: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        // Whoever asks for it wants fewer bytes soon, not the fewest.
        let level = Compression::fast();
        match self {
            Self::None => work(pipe)?,
            Self::Gzip => {
                let mut out = GzEncoder::new(pipe, level);
                work(&mut out)?;
                out.finish()?;
            }
            Self::Deflate => {
                let mut out = DeflateEncoder::new(pipe, level);
                work(&mut out)?;
                out.finish()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use wharf_types::Error;

    #[tokio::test]
    async fn packed_streams_hold_what_was_written() {
        for packing in [Packing::None, Packing::Gzip, Packing::Deflate] {
            let mut stream = produce(move |pipe| packing.write(pipe, |out| Ok(out.write_all(&b"text ".repeat(100_000))?))).await.unwrap();
            let mut all = Vec::new();
            while let Some(chunk) = stream.recv().await {
                all.extend_from_slice(&chunk.unwrap());
            }
            let mut plain = Vec::new();
            match packing {
                Packing::None => plain = all,
                Packing::Gzip => drop(flate2::read::GzDecoder::new(&all[..]).read_to_end(&mut plain).unwrap()),
                Packing::Deflate => drop(flate2::read::DeflateDecoder::new(&all[..]).read_to_end(&mut plain).unwrap()),
            }
            assert!(plain == b"text ".repeat(100_000), "{packing:?}");
        }
    }

    #[tokio::test]
    async fn everything_arrives_in_order_and_errors_come_last() {
        let mut stream = produce(|pipe| {
            for n in 0..10_000u32 {
                pipe.write_all(&[n as u8; 100])?;
            }
            Err(Error::system("disk"))
        })
        .await
        .unwrap();
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
    async fn a_failure_before_the_first_chunk_is_no_stream() {
        let failed = produce(|pipe| {
            pipe.write_all(b"head")?;
            Err(Error::not_found("gone"))
        });
        assert_eq!(failed.await.unwrap_err().message(), "gone");
        assert!(produce(|_| Ok(())).await.unwrap().recv().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_went_away_ends_the_work() {
        let (told, heard) = tokio::sync::oneshot::channel();
        let stream = produce(|pipe| {
            let written = (0..1000).try_for_each(|_| pipe.write_all(&[0; CHUNK]));
            let _ = told.send(written.is_err());
            Ok(())
        })
        .await
        .unwrap();
        drop(stream);
        assert!(heard.await.unwrap());
    }
}
