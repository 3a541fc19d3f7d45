//! Writing a tar stream: ustar headers, and PAX records for what these cannot hold. Equal trees give equal bytes.

use super::{BLOCK, Entry, Kind};
use std::io::{self, Read, Write};

/// Writes entries one after another.
pub(crate) struct TarWriter<W> {
    out: W,
}

/// The longest name that a header holds, in bytes.
const MAX_NAME: usize = 100;
/// The largest size and owner that the octal fields of a header hold.
const MAX_SIZE: u64 = 0o777_7777_7777;
const MAX_ID: u32 = 0o777_7777;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes the header of an entry. Of a file, exactly `entry.size` bytes must follow through [`TarWriter::content`].
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let records = records(entry);
        if !records.is_empty() {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::XHeader);
            header.set_size(records.len() as u64);
            header.set_mode(0o644);
            put(&mut header.as_old_mut().name, &[b"PaxHeaders/", base_name(&entry.path)].concat());
            header.set_cksum();
            self.out.write_all(header.as_bytes())?;
            self.out.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.out.write_all(header(entry)?.as_bytes())
    }

    /// Writes `size` bytes of a file's content. A file that became shorter is filled up with zeros: its size is told already.
    pub(crate) fn content(&mut self, file: &mut dyn Read, size: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let n = match file.read(buffer.get_mut(..most).unwrap_or_default()) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.out.write_all(buffer.get(..n).unwrap_or_default())?;
            left -= n as u64;
        }
        io::copy(&mut io::repeat(0).take(left), &mut self.out)?;
        self.pad(size)
    }

    /// Ends the archive.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&ZEROS)?;
        self.out.write_all(&ZEROS)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let fill = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0);
        self.out.write_all(ZEROS.get(..fill).unwrap_or_default())
    }
}

fn header(entry: &Entry) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(match entry.kind {
        Kind::File => tar::EntryType::Regular,
        Kind::HardLink => tar::EntryType::Link,
        Kind::Symlink => tar::EntryType::Symlink,
        Kind::Char => tar::EntryType::Char,
        Kind::Block => tar::EntryType::Block,
        Kind::Dir => tar::EntryType::Directory,
        Kind::Fifo => tar::EntryType::Fifo,
    });
    put(&mut header.as_old_mut().name, &entry.path);
    put(&mut header.as_old_mut().linkname, &entry.link);
    header.set_mode(entry.mode);
    header.set_uid(entry.uid.min(MAX_ID).into());
    header.set_gid(entry.gid.min(MAX_ID).into());
    header.set_size(entry.size.min(MAX_SIZE));
    header.set_mtime(u64::try_from(entry.mtime.0).unwrap_or(0).min(MAX_SIZE));
    if matches!(entry.kind, Kind::Char | Kind::Block) {
        header.set_device_major(entry.device.0)?;
        header.set_device_minor(entry.device.1)?;
    }
    header.set_cksum();
    Ok(header)
}

fn put(field: &mut [u8; MAX_NAME], name: &[u8]) {
    for (to, from) in field.iter_mut().zip(name) {
        *to = *from;
    }
}

fn base_name(path: &[u8]) -> &[u8] {
    path.split(|b| *b == b'/').rfind(|part| !part.is_empty()).unwrap_or_default()
}

/// What the header cannot hold.
fn records(entry: &Entry) -> Vec<u8> {
    let mut text = Vec::new();
    let too_long = |name: &[u8]| name.len() > MAX_NAME || !name.is_ascii();
    if too_long(&entry.path) {
        record(&mut text, b"path", &entry.path);
    }
    if too_long(&entry.link) {
        record(&mut text, b"linkpath", &entry.link);
    }
    let numbers = [
        ("size", entry.size > MAX_SIZE, entry.size.to_string()),
        ("uid", entry.uid > MAX_ID, entry.uid.to_string()),
        ("gid", entry.gid > MAX_ID, entry.gid.to_string()),
        ("mtime", !(0..=MAX_SIZE.cast_signed()).contains(&entry.mtime.0), entry.mtime.0.to_string()),
    ];
    for (key, needed, value) in numbers {
        if needed {
            record(&mut text, key.as_bytes(), value.as_bytes());
        }
    }
    for (key, value) in &entry.xattrs {
        record(&mut text, &[b"SCHILY.xattr.", key.as_slice()].concat(), value);
    }
    text
}

/// `<length> <key>=<value>\n`, where the length counts itself.
pub(super) fn record(text: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    text.extend_from_slice(format!("{length} ").as_bytes());
    text.extend_from_slice(key);
    text.push(b'=');
    text.extend_from_slice(value);
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::{super::TarReader, *};
    use proptest::prelude::*;

    fn entry(path: &[u8], kind: Kind) -> Entry {
        Entry {
            path: path.to_vec(),
            link: Vec::new(),
            kind,
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: (1_700_000_000, 0),
            device: (0, 0),
            size: 0,
            sparse: None,
            xattrs: Vec::new(),
        }
    }

    fn written(entry: &Entry, data: &[u8]) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new());
        tar.entry(entry).unwrap();
        tar.content(&mut &*data, entry.size, &mut [0; 7]).unwrap();
        tar.finish().unwrap()
    }

    #[test]
    fn a_shrunken_file_keeps_the_archive_whole() {
        let file = Entry { size: 1000, ..entry(b"f", Kind::File) };
        let bytes = written(&file, b"short");
        assert_eq!(bytes.len(), 512 + 1024 + 1024);
        assert_eq!(&bytes[512..520], b"short\0\0\0");
    }

    proptest! {
        #[test]
        fn everything_is_read_back(
            path in "[a-zé/]{1,150}[a-z]",
            link in proptest::collection::vec(1u8.., 0..150),
            ids in any::<(u32, u32)>(),
            seconds in -1_000_000_000_000i64..1_000_000_000_000,
            xattrs in proptest::collection::vec(("[a-z.]{1,20}", proptest::collection::vec(any::<u8>(), 0..40)), 0..3),
            data in proptest::collection::vec(any::<u8>(), 0..1500),
            kind in prop_oneof![Just(Kind::File), Just(Kind::Symlink), Just(Kind::Char), Just(Kind::Dir), Just(Kind::Fifo)],
        ) {
            let mut original = entry(path.as_bytes(), kind);
            (original.uid, original.gid, original.mtime) = (ids.0, ids.1, (seconds, 0));
            original.xattrs = xattrs.into_iter().map(|(k, v)| (k.into_bytes(), v)).collect();
            match kind {
                Kind::File => original.size = data.len() as u64,
                Kind::Symlink => original.link = link,
                Kind::Char => original.device = (ids.0 & 0xfff, ids.1 & 0xf_ffff),
                _ => {}
            }
            let bytes = written(&original, &data);
            let mut reader = TarReader::new(&bytes[..]);
            let back = reader.next_entry().unwrap().unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{original:?}"));
            let mut content = vec![0; data.len()];
            if kind == Kind::File {
                reader.data_exact(&mut content).unwrap();
                prop_assert_eq!(content, data);
            }
            prop_assert!(reader.next_entry().unwrap().is_none());
        }
    }
}
