//! Logs of both formats with any bytes in them, whole and compressed: decoders and reader neither panic nor hang, and a damaged part
//! costs what is in it and no more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{
    fs::{self, File},
    io::Write,
    sync::LazyLock,
};
use wharf_logs::{LogFile, LogFormat, LogQuery, Tail, fuzz::read};
use wharf_shim_proto::journal::{json_file, local};

static DIR: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a temporary directory"));

fuzz_target!(|input: &[u8]| {
    let Some((how, bytes)) = input.split_first() else { return };
    decoders(bytes);
    let log = DIR.path().join("log");
    let log = if how & 1 == 0 { LogFile::JsonFile(log) } else { LogFile::Local(log) };
    // Two files whose border is anywhere, the older one perhaps compressed, and perhaps badly; or one.
    let (older, newer) = if how & 2 == 0 { bytes.split_at(bytes.len() / 2) } else { (&[][..], bytes) };
    let packed = if how & 8 == 0 { older.to_vec() } else { gzip(older) };
    for (name, content) in [("older", packed.as_slice()), ("newer", newer)] {
        fs::write(DIR.path().join(name), content).expect("write");
    }
    let format = LogFormat { multiplexed: how & 16 != 0, timestamps: how & 32 != 0, details: how & 64 != 0 };
    let whole = |tail| {
        let open = |name: &str| File::open(DIR.path().join(name)).expect("open");
        let query = LogQuery { stdout: true, stderr: true, since: None, until: None, tail, follow: false };
        read(&log, vec![(open("older"), how & 4 != 0), (open("newer"), false)], query, format).ok()
    };
    let all = whole(Tail::All);
    let last = whole(Tail::Lines(u64::from(how >> 5)));
    if let (Some(all), Some(last)) = (&all, &last) {
        assert!(last.len() <= all.len(), "the tail is longer than the log");
        assert_eq!(whole(Tail::Lines(u64::MAX)).as_ref(), Some(all), "a tail of everything");
    }
});

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn decoders(bytes: &[u8]) {
    for line in bytes.split(|b| *b == b'\n') {
        let _ = json_file::decode(line);
    }
    let _ = local::decode_last(bytes);
    if let Ok(Some((entry, used))) = local::decode(bytes) {
        assert!(used <= bytes.len());
        let mut out = Vec::new();
        local::encode(&mut out, entry.source, entry.time, &entry.line, entry.partial.as_ref());
        let again = local::decode(&out).expect("what was encoded").expect("all of it");
        assert_eq!(again, (entry, out.len()));
    }
}
