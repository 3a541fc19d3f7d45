//! Doors for the fuzz targets (`tests/fuzz`); compiled only for them.

use crate::tar::{Kind, TarReader, write::TarWriter};
use std::io;

/// What becomes of a member's name.
///
/// # Errors
/// When it leads out of the root.
pub fn clean(path: &[u8]) -> io::Result<Vec<u8>> {
    crate::apply::path::clean(path)
}

/// Reads a whole tar without a file system, and writes every entry that was understood again: it must come back the same.
///
/// # Errors
/// Where the tar is damaged.
pub fn read_tar(bytes: &[u8]) -> io::Result<usize> {
    let mut tar = TarReader::new(bytes);
    let mut buffer = [0; 4096];
    let mut count = 0;
    while let Some(mut entry) = tar.next_entry()? {
        let mut stored = 0;
        loop {
            match tar.data(&mut buffer)? {
                0 => break,
                n => stored += n as u64,
            }
        }
        match entry.sparse.take() {
            Some(map) => assert_eq!(map.iter().map(|s| s.length).sum::<u64>(), stored, "the map tells another length: {entry:?}"),
            None => assert_eq!(entry.size, if entry.kind == Kind::File { stored } else { 0 }, "{entry:?}"),
        }
        // A written file's content would follow; and whole seconds are all that is written.
        entry.size = 0;
        entry.mtime.1 = 0;
        check_written(&entry);
        count += 1;
    }
    Ok(count)
}

fn check_written(entry: &crate::tar::Entry) {
    // A name with a zero byte or none at all is nobody's; a directory is known by its kind or by its name.
    let odd = |name: &[u8]| name.contains(&0);
    if odd(&entry.path) || odd(&entry.link) || entry.path.is_empty() || (entry.kind == Kind::File && entry.path.ends_with(b"/")) {
        return;
    }
    // The kernel has no such devices, so nobody writes them.
    if entry.device.0 >= 1 << 12 || entry.device.1 >= 1 << 20 {
        return;
    }
    let mut out = TarWriter::new(Vec::new());
    assert!(out.entry(entry).is_ok(), "{entry:?}");
    let Ok(bytes) = out.finish() else { return };
    let back = TarReader::new(&*bytes).next_entry();
    assert_eq!(format!("{:?}", back.ok().flatten()), format!("{:?}", Some(entry)));
}
