//! Durable keys and values of one plugin: a file of commits, and all of it in memory.
//!
//! A commit is one record: its length, eight bytes of the SHA-256 of what follows, and the changes. It is synced before anybody sees
//! it. At opening the records are read until the first that is not whole: that is a commit which was never acknowledged, and is cut
//! off. When the file has grown to several times of what it holds, it is replaced by one with a single record.

use super::private;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::File,
    ops::Bound,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock},
};
use wharf_store::{Durability, dir::link_aside, sync_dir, write_atomic};
use wharf_types::{Result, error::Context};

/// Bytes of a key.
const KEY_MAX: usize = 512;
/// Bytes of a value.
const VALUE_MAX: usize = 1 << 20;
/// Bytes that one `scan` answers before it stops early.
const SCAN_MAX: usize = 4 << 20;
const HEAD: usize = 12;
/// What an entry costs besides its bytes, in memory and in the quota (the number stands in `wharf:host/state`).
const ENTRY: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Put(String, Vec<u8>),
    Delete(String),
    Expect(String, Option<Vec<u8>>),
}

/// Why a commit was not done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// So many bytes are left.
    Quota(u64),
    /// This key has another value.
    Conflict(String),
    Unavailable(String),
}

type Map = BTreeMap<String, Vec<u8>>;

pub(super) struct Store {
    path: PathBuf,
    quota: u64,
    map: RwLock<Map>,
    writer: Mutex<Writer>,
}

struct Writer {
    /// None after a failure that left the end of the file unknown.
    file: Option<File>,
    length: u64,
    /// What all entries count for.
    held: u64,
}

impl Store {
    /// Opens `state` in `dir`, which must exist.
    pub fn open(dir: &Path, quota: u64) -> Result<Self> {
        let path = dir.join("state");
        let (map, length) = match std::fs::read(&path) {
            Ok(bytes) => replay(&path, &bytes)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                write_atomic(&path, b"", Durability::Synced)?;
                (Map::new(), 0)
            }
            Err(e) => return Err(e).context(format_args!("read {}", path.display())),
        };
        let file = open(&path)?;
        file.set_len(length).context(format_args!("truncate {}", path.display()))?;
        let held = map.iter().map(|(key, value)| size(key, value)).sum();
        Ok(Self { path, quota, map: RwLock::new(map), writer: Mutex::new(Writer { file: Some(file), length, held }) })
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.map.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Entries whose keys begin with `prefix`, from after `after`. At least one when there is one, however large.
    pub fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(String, Vec<u8>)> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        map.range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .take_while(|(key, value)| {
                let first = bytes == 0;
                bytes += key.len() + value.len() + 1;
                first || bytes <= SCAN_MAX
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// All changes or none. Blocks until they are on disk.
    pub fn commit(&self, changes: &[Change]) -> Result<(), Refusal> {
        let unavailable = |e: std::io::Error| Refusal::Unavailable(e.to_string());
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.admit(changes, writer.held)?;
        let mut record = vec![0; HEAD];
        for change in changes {
            encode(&mut record, change);
        }
        if record.len() == HEAD {
            return Ok(());
        }
        seal(&mut record);
        if writer.file.is_none() {
            writer.file = Some(self.reopen(writer.length).map_err(unavailable)?);
        }
        let Some(file) = &writer.file else { return Err(Refusal::Unavailable("it is closed".to_owned())) };
        if let Err(e) = file.write_all_at(&record, writer.length).and_then(|()| file.sync_data()) {
            // What is behind the length is no commit. If it cannot be cut off now, the next commit begins with that.
            writer.file = self.reopen(writer.length).ok();
            return Err(unavailable(e));
        }
        writer.length += record.len() as u64;
        writer.held = held;
        apply(&mut self.map.write().unwrap_or_else(PoisonError::into_inner), changes);
        if writer.length > 4 * held + (1 << 20) {
            self.compact(&mut writer);
        }
        Ok(())
    }

    /// What would be held after the changes.
    fn admit(&self, changes: &[Change], held: u64) -> Result<u64, Refusal> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
        let mut total = held;
        for change in changes {
            let (key, new) = match change {
                Change::Expect(key, value) if map.get(key) != value.as_ref() => return Err(Refusal::Conflict(key.clone())),
                Change::Expect(..) => continue,
                Change::Put(key, value) if key.is_empty() || key.len() > KEY_MAX || value.len() > VALUE_MAX => {
                    return Err(Refusal::Unavailable(format!("a key has 1 to {KEY_MAX} bytes, and a value {VALUE_MAX} at the most")));
                }
                Change::Put(key, value) => (key, size(key, value)),
                Change::Delete(key) => (key, 0),
            };
            let old = sizes.insert(key, new).unwrap_or_else(|| map.get(key).map_or(0, |value| size(key, value)));
            total = total - old + new;
        }
        // What makes it smaller is always taken, also when the operator has lowered the quota, or when entries counted for less.
        if total > self.quota && total > held { Err(Refusal::Quota(self.quota.saturating_sub(held))) } else { Ok(total) }
    }

    fn reopen(&self, length: u64) -> std::io::Result<File> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        if file.metadata()?.len() < length {
            return Err(std::io::Error::other("it is shorter than what was written"));
        }
        file.set_len(length)?;
        file.sync_data()?;
        // It may be one whose name is not on disk yet.
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(file)
    }

    /// A failure here loses nothing: the long file stays, or the short one has come.
    fn compact(&self, writer: &mut Writer) {
        let mut record = vec![0; HEAD];
        for (key, value) in self.map.read().unwrap_or_else(PoisonError::into_inner).iter() {
            put(&mut record, key, value);
        }
        seal(&mut record);
        if let Err(error) = write_atomic(&self.path, &record, Durability::Synced) {
            tracing::warn!(%error, "state of a plugin was not made smaller");
        }
        self.adopt(writer, record.len() as u64);
    }

    /// Goes on with the file that has the name now: the one that is open, or one of this length that has replaced it. The next commit
    /// opens a new one, and finds out about one that cannot be looked at.
    fn adopt(&self, writer: &mut Writer, length: u64) {
        let open = writer.file.take();
        let identity = |meta: &std::fs::Metadata| (meta.dev(), meta.ino());
        match (open.as_ref().map(File::metadata), std::fs::metadata(&self.path)) {
            (Some(Ok(old)), Ok(new)) if identity(&old) == identity(&new) => writer.file = open,
            (_, Ok(_)) => writer.length = length,
            (_, Err(_)) => {}
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).open(path).context(format_args!("open {}", path.display()))?;
    let meta = file.metadata().context(format_args!("look at {}", path.display()))?;
    if !private::own(&meta) {
        return Err(wharf_types::Error::system(format!("{} can be written by others", path.display())));
    }
    Ok(file)
}

fn size(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len() + ENTRY) as u64
}

fn apply(map: &mut Map, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(key, value) => drop(map.insert(key.clone(), value.clone())),
            Change::Delete(key) => drop(map.remove(key)),
            Change::Expect(..) => {}
        }
    }
}

fn encode(record: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Put(key, value) => put(record, key, value),
        Change::Delete(key) => {
            record.push(b'-');
            bytes(record, key.as_bytes());
        }
        Change::Expect(..) => {}
    }
}

fn put(record: &mut Vec<u8>, key: &str, value: &[u8]) {
    record.push(b'+');
    bytes(record, key.as_bytes());
    bytes(record, value);
}

/// Keys and values are far below 4 GiB.
fn bytes(record: &mut Vec<u8>, text: &[u8]) {
    record.extend_from_slice(&(text.len() as u32).to_le_bytes());
    record.extend_from_slice(text);
}

fn seal(record: &mut [u8]) {
    if let Some((head, body)) = record.split_first_chunk_mut::<HEAD>() {
        let (length, sum) = head.split_at_mut(4);
        length.copy_from_slice(&(body.len() as u32).to_le_bytes());
        sum.copy_from_slice(Sha256::digest(body).first_chunk::<8>().unwrap_or(&[0; 8]));
    }
}

/// The content, and how many bytes of the file are whole.
fn replay(path: &Path, all: &[u8]) -> Result<(Map, u64)> {
    let (mut map, mut rest) = (Map::new(), all);
    while let Some((changes, behind)) = record(rest) {
        apply(&mut map, &changes);
        rest = behind;
    }
    let whole = all.len() - rest.len();
    if !is_torn(rest) {
        // Something was damaged, and somebody may want to look at it. The name always has a file with what is whole.
        let aside = link_aside(path).context(format_args!("keep {}", path.display()))?;
        tracing::error!(file = %aside.display(), "state of a plugin is damaged: what was committed behind the damage is lost");
        write_atomic(path, all.get(..whole).unwrap_or_default(), Durability::Synced)?;
    }
    Ok((map, whole as u64))
}

/// Whether it can be what is left of one commit that was never acknowledged: nothing that was written, or the beginning of a record.
/// In one whose length was damaged, the head of the next comes where a change should begin.
fn is_torn(rest: &[u8]) -> bool {
    let more = end(rest).is_some_and(|end| end < rest.len());
    rest.iter().all(|byte| *byte == 0) || !more && is_beginning(rest.get(HEAD..).unwrap_or_default())
}

fn is_beginning(mut body: &[u8]) -> bool {
    while let Some((kind, behind)) = body.split_first() {
        body = behind;
        let texts = match kind {
            b'+' => 2,
            b'-' => 1,
            _ => return false,
        };
        if (0..texts).any(|_| take(&mut body).is_none()) {
            return true;
        }
    }
    true
}

/// Where the record at the beginning should end.
fn end(rest: &[u8]) -> Option<usize> {
    let length = rest.first_chunk::<4>().map(|length| u32::from_le_bytes(*length))?;
    HEAD.checked_add(length as usize)
}

fn record(all: &[u8]) -> Option<(Vec<Change>, &[u8])> {
    let (record, rest) = all.split_at_checked(end(all)?)?;
    let (head, mut body) = record.split_first_chunk::<HEAD>()?;
    if Sha256::digest(body).first_chunk::<8>()? != head.last_chunk::<8>()? {
        return None;
    }
    let mut changes = Vec::new();
    while let Some((kind, behind)) = body.split_first() {
        body = behind;
        let key = String::from_utf8(take(&mut body)?).ok()?;
        changes.push(match kind {
            b'+' => Change::Put(key, take(&mut body)?),
            b'-' => Change::Delete(key),
            _ => return None,
        });
    }
    Some((changes, rest))
}

fn take(body: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = body.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *body = rest;
    Some(text.to_vec())
}

#[cfg(test)]
mod tests;
