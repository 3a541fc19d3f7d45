//! Archives made by hand, so that nothing but the format itself is trusted.

use super::*;
use proptest::prelude::*;

/// Builds archives, also such as no program writes.
#[derive(Default)]
pub(crate) struct Maker(Vec<u8>);

impl Maker {
    pub(crate) fn raw(mut self, kind: u8, path: &str, link: &str, mode: u32, data: &[u8]) -> Self {
        let mut header = ::tar::Header::new_gnu();
        header.set_entry_type(::tar::EntryType::new(kind));
        let bytes = header.as_mut_bytes();
        bytes[..path.len().min(100)].copy_from_slice(&path.as_bytes()[..path.len().min(100)]);
        bytes[157..157 + link.len().min(100)].copy_from_slice(&link.as_bytes()[..link.len().min(100)]);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.block(data)
    }
    fn block(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }
    pub(crate) fn file(self, path: &str, data: &[u8]) -> Self {
        self.raw(b'0', path, "", 0o644, data)
    }
    pub(crate) fn dir(self, path: &str, mode: u32) -> Self {
        self.raw(b'5', path, "", mode, b"")
    }
    pub(crate) fn symlink(self, path: &str, to: &str) -> Self {
        self.raw(b'2', path, to, 0o777, b"")
    }
    pub(crate) fn hardlink(self, path: &str, to: &str) -> Self {
        self.raw(b'1', path, to, 0o644, b"")
    }
    /// PAX records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let mut length = body + 1;
            while length != body + length.to_string().len() {
                length = body + length.to_string().len();
            }
            text.extend_from_slice(format!("{length} {key}=").as_bytes());
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.raw(b'x', "PaxHeaders/x", "", 0o644, &text)
    }
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

fn entries(tar: &[u8]) -> io::Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = TarReader::new(tar);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let (mut data, mut buf) = (Vec::new(), [0; 700]);
        loop {
            match reader.data(&mut buf)? {
                0 => break,
                n => data.extend_from_slice(&buf[..n]),
            }
        }
        all.push((entry, data));
    }
    Ok(all)
}

#[test]
fn names_in_every_form() {
    let long = "d/".repeat(120) + "file";
    let tar = Maker::default()
        .raw(b'L', "././@LongLink", "", 0, format!("{long}\0").as_bytes())
        .raw(b'K', "././@LongLink", "", 0, format!("{long}x\0").as_bytes())
        .raw(b'1', "short", "short", 0o644, b"")
        .pax(&[("path", "päx".as_bytes()), ("mtime", b"12.5"), ("uid", b"3000000"), ("size", b"2")])
        .raw(b'0', "ignored", "", 0o4755, b"hi")
        .raw(b'0', "olddir/", "", 0o755, b"")
        .finish();
    let all = entries(&tar).unwrap();
    assert_eq!((all[0].0.path.as_slice(), all[0].0.link.as_slice()), (long.as_bytes(), format!("{long}x").as_bytes()));
    let (pax, data) = &all[1];
    assert_eq!((pax.path.as_slice(), pax.mtime, pax.uid, data.as_slice()), ("päx".as_bytes(), (12, 500_000_000), 3_000_000, &b"hi"[..]));
    assert_eq!(all[2].0.kind, Kind::Dir);
}

#[test]
fn owners_are_ids() {
    let owned = |field: &str, id: &str| {
        let tar = Maker::default().pax(&[(field, id.as_bytes())]).raw(b'0', "file", "", 0o644, b"").finish();
        entries(&tar).map(|all| all.len()).map_err(|e| e.to_string())
    };
    for field in ["uid", "gid"] {
        assert_eq!(owned(field, "4294967294"), Ok(1));
        for id in ["4294967295", "4294967296"] {
            assert_eq!(owned(field, id), Err(format!("file: owner {id} is out of range")));
        }
    }
}

#[test]
fn what_the_tar_crate_writes() {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_ustar();
    header.set_size(3);
    header.set_mode(0o600);
    header.set_cksum();
    let long = "x".repeat(90) + "/" + &"y".repeat(90);
    builder.append_data(&mut header, &long, &b"abc"[..]).unwrap();
    let all = entries(&builder.into_inner().unwrap()).unwrap();
    assert_eq!((all[0].0.path.as_slice(), all[0].1.as_slice()), (long.as_bytes(), &b"abc"[..]));
}

#[test]
fn sparse_files_in_every_form() {
    let map = b"2\n10\n3\n20\n2\n";
    let mut v1 = map.to_vec();
    v1.resize(BLOCK, 0);
    v1.extend_from_slice(b"abcde");
    let tar = Maker::default()
        .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"one"), ("GNU.sparse.realsize", b"30")])
        .file("GNUSparseFile.0/one", &v1)
        .pax(&[("GNU.sparse.map", b"10,3,20,2"), ("GNU.sparse.name", b"two"), ("GNU.sparse.size", b"30")])
        .file("x", b"abcde")
        .finish();
    for (entry, data) in entries(&tar).unwrap() {
        assert_eq!((entry.size, data.as_slice()), (30, &b"abcde"[..]));
        assert_eq!(entry.sparse.unwrap(), [Segment { offset: 10, length: 3 }, Segment { offset: 20, length: 2 }]);
        assert!(entry.path == b"one" || entry.path == b"two");
    }
    for bad in ["10,3,11,2", "20,2,10,3", "10,3,29,2", "10,3", "18446744073709551615,3,4,2"] {
        let tar = Maker::default().pax(&[("GNU.sparse.map", bad.as_bytes()), ("GNU.sparse.size", b"30")]).file("x", b"abcde").finish();
        assert!(entries(&tar).is_err(), "{bad}");
    }
}

#[test]
fn damaged_archives_are_errors() {
    let good = Maker::default().file("a", &[7; 1500]).finish();
    assert_eq!(entries(&good).unwrap().len(), 1);
    assert!(entries(&good[..1000]).is_err());
    assert!(entries(&good[..300]).is_err());
    let mut bad = good.clone();
    bad[0] = b'b';
    assert!(entries(&bad).is_err());
    assert!(entries(&Maker::default().pax(&[("path", b"x")]).finish()).is_err());
    assert!(entries(&Maker::default().raw(b'V', "label", "", 0, b"").finish()).is_err());
    assert!(entries(&[]).unwrap().is_empty());
}

proptest! {
    #[test]
    fn never_panics(blocks in proptest::collection::vec((any::<u8>(), "[a-z/.]{0,12}", proptest::collection::vec(any::<u8>(), 0..600)), 0..5)) {
        let tar = blocks.into_iter().fold(Maker::default(), |m, (kind, path, data)| m.raw(kind, &path, "", 0o644, &data)).finish();
        let _ = entries(&tar);
    }
}
