//! Step three of a load: unpacking layers, several at a time.

use crate::{
    compress::{Compression, unpack},
    image::chain_ids,
    load::{LayerApplier, LoadProgress, lease::Lease, spool::Source},
    store::Inner,
};
use sha2::{Digest as _, Sha256};
use std::{
    io::{self, Read},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread,
};
use wharf_types::{Digest, Error, Result, error::Context};

/// One layer to unpack.
pub(crate) struct Layer<'a> {
    pub(crate) diff_id: &'a Digest,
    pub(crate) blob: &'a Digest,
    /// The blob's length in bytes.
    pub(crate) total: u64,
    pub(crate) source: Source,
}

/// Unpacking is bound by the processor (gzip), then by the disk; more threads than this wait for the disk.
const MAX_THREADS: usize = 4;
/// Progress is told about that often, in bytes.
const STEP: u64 = 512 << 10;

/// Unpacks the layers of one image, base first; returns their unpacked lengths.
pub(crate) fn unpack_layers(
    store: &Inner,
    lease: &Lease,
    work: &[Layer<'_>],
    layers: &dyn LayerApplier,
    on: &mut dyn FnMut(LoadProgress),
) -> Result<Vec<u64>> {
    let diff_ids: Vec<Digest> = work.iter().map(|l| l.diff_id.clone()).collect();
    let chains = chain_ids(&diff_ids);
    chains.iter().for_each(|c| lease.pin(c));
    let parallel = if layers.parents_first() { 1 } else { thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS) };

    let next = AtomicUsize::new(0);
    let sizes = Mutex::new(vec![0u64; work.len()]);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let (progress, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..parallel.min(work.len()) {
            let progress = progress.clone();
            let (next, sizes, failed, chains) = (&next, &sizes, &failed, &chains);
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(layer), Some(chain)) = (work.get(i), chains.get(i)) else { return };
                    if lock(failed).is_some() {
                        return;
                    }
                    let parent = i.checked_sub(1).and_then(|p| chains.get(p));
                    match layer.unpack(store, layers, parent, chain, &progress) {
                        Ok(size) => {
                            if let Some(slot) = lock(sizes).get_mut(i) {
                                *slot = size;
                            }
                        }
                        Err(e) => {
                            lock(failed).get_or_insert(e);
                        }
                    }
                }
            });
        }
        drop(progress);
        told.into_iter().for_each(&mut *on);
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(e) => Err(e),
        None => Ok(sizes.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Layer<'_> {
    fn unpack(
        &self,
        store: &Inner,
        layers: &dyn LayerApplier,
        parent: Option<&Digest>,
        chain: &Digest,
        progress: &Sender<LoadProgress>,
    ) -> Result<u64> {
        let is_new = !layers.has(chain);
        let mut current = 0u64;
        let mut told = 0u64;
        let mut tell = |n: usize| {
            current += n as u64;
            if is_new && (current - told >= STEP || (n > 0 && current >= self.total)) {
                told = current;
                let _ = progress.send(LoadProgress::Layer { diff_id: self.diff_id.clone(), current, total: self.total });
            }
        };
        let file = self.source.open(&store.blobs, self.blob)?;
        let (compression, tar) = unpack(Counted { inner: file, tell: &mut tell }).context("read layer")?;
        // The blob was hashed when it was stored.
        let known = compression == Compression::None && self.blob == self.diff_id;
        let mut tar = Verified { tar, sum: (!known).then(Sha256::new), layer: self, started: false };
        let size = layers.apply(parent, chain, self.diff_id, &mut tar)?;
        // A layer that was there already says nothing about this blob.
        if !known && !tar.started && !store.knows_layer(self.diff_id, self.blob) {
            io::copy(&mut tar, &mut io::sink()).map_err(|e| Error::invalid(format!("invalid layer {}: {e}", self.blob)))?;
        }
        Ok(size)
    }
}

impl Inner {
    /// Whether an image pairs this diff id with this blob, so that it was checked once.
    fn knows_layer(&self, diff_id: &Digest, blob: &Digest) -> bool {
        self.index().images.values().any(|i| i.layers.iter().any(|l| l.diff_id == *diff_id && l.blob == *blob))
    }
}

struct Counted<R, F> {
    inner: R,
    tell: F,
}

impl<R: Read, F: FnMut(usize)> Read for Counted<R, F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        (self.tell)(n);
        Ok(n)
    }
}

/// The tar of a layer, which fails at its end when it has another digest than the image says.
struct Verified<'a, R> {
    tar: R,
    /// None when the digest is known.
    sum: Option<Sha256>,
    layer: &'a Layer<'a>,
    /// Whether anything was read.
    started: bool,
}

impl<R: Read> Read for Verified<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.started = true;
        let n = self.tar.read(buf)?;
        let Some(sum) = &mut self.sum else { return Ok(n) };
        sum.update(buf.get(..n).unwrap_or_default());
        if n == 0 && !buf.is_empty() {
            let (expected, got) = (self.layer.diff_id, Digest::from_sha256(&sum.clone().finalize()));
            if got != *expected {
                let text = format!("invalid diffID for layer {}: expected {expected}, got {got}", self.layer.blob);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(n)
    }
}
