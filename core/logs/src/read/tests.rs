//! Whole logs, written as the monitor writes them.

use super::*;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tokio_stream::StreamExt;
use wharf_shim_proto::journal::{Partial, Source, json_file, local};

const ALL: LogQuery = LogQuery { stdout: true, stderr: true, since: None, until: None, tail: Tail::All, follow: false };
const RAW: LogFormat = LogFormat { multiplexed: false, timestamps: false, details: false };

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Json,
    Local,
}

/// A log in a directory of its own.
struct Log {
    dir: tempfile::TempDir,
    kind: Kind,
}

impl Log {
    fn new(kind: Kind) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), kind }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("log{suffix}"))
    }

    fn file(&self) -> LogFile {
        match self.kind {
            Kind::Json => LogFile::JsonFile(self.path("")),
            Kind::Local => LogFile::Local(self.path("")),
        }
    }

    fn bytes(&self, source: Source, second: i64, text: &str, ends_line: bool) -> Vec<u8> {
        let (mut out, time) = (Vec::new(), Timestamp::from_nanos(second * 1_000_000_000));
        match self.kind {
            Kind::Json => {
                let mut tail = json_file::Tail::default();
                tail.set(source, b"", time);
                json_file::encode(&mut out, text.as_bytes(), ends_line, &tail);
            }
            Kind::Local => {
                let piece = Partial { id: "p".to_owned(), ordinal: 1, last: false };
                local::encode(&mut out, source, time, text.as_bytes(), (!ends_line).then_some(&piece));
            }
        }
        out
    }

    fn append_bytes(&self, suffix: &str, bytes: &[u8]) {
        fs::OpenOptions::new().create(true).append(true).open(self.path(suffix)).unwrap().write_all(bytes).unwrap();
    }

    fn append(&self, suffix: &str, second: i64, text: &str) {
        self.append_bytes(suffix, &self.bytes(Source::Stdout, second, text, true));
    }

    fn compress(&self, suffix: &str) {
        compress(&self.path(suffix));
    }

    async fn read(&self, query: LogQuery, format: LogFormat) -> String {
        text(collect(read(self.file(), query, format, watch::channel(false).1)).await)
    }
}

fn compress(path: &Path) {
    let name = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let mut encoder = GzEncoder::new(fs::File::create(name(".gz.tmp")).unwrap(), Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::rename(name(".gz.tmp"), name(".gz")).unwrap();
    fs::remove_file(path).unwrap();
}

async fn collect(stream: impl Stream<Item = Result<Bytes>>) -> Vec<u8> {
    let mut stream = std::pin::pin!(stream);
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk.unwrap());
    }
    all
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn formats() {
    let log = Log::new(Kind::Json);
    let lines = concat!(
        "{\"log\":\"a\\tb \\u003cc\\u003e\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.6Z\"}\n",
        "{\"log\":\"err\\n\",\"stream\":\"stderr\",\"attrs\":{\"x\":\"1 2\",\"a\":\"b\"},\"time\":\"2026-01-02T03:04:06Z\"}\n",
        "{\"log\":\"long \",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:07Z\"}\n",
        "{\"log\":\"line\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T05:04:07+02:00\"}\n",
    );
    log.append_bytes("", lines.as_bytes());
    assert_eq!(log.read(ALL, RAW).await, "a\tb <c>\nerr\nlong line\n");
    assert_eq!(
        log.read(ALL, LogFormat { timestamps: true, details: true, ..RAW }).await,
        "2026-01-02T03:04:05.600000000Z  a\tb <c>\n\
         2026-01-02T03:04:06.000000000Z a=b,x=1+2 err\n\
         2026-01-02T03:04:07.000000000Z  long 2026-01-02T03:04:07.000000000Z  line\n"
    );
    assert_eq!(
        log.read(ALL, LogFormat { multiplexed: true, ..RAW }).await,
        "\x01\0\0\0\0\0\0\x08a\tb <c>\n\x02\0\0\0\0\0\0\x04err\n\x01\0\0\0\0\0\0\x05long \x01\0\0\0\0\0\0\x05line\n"
    );
}

#[tokio::test]
async fn streams_and_times() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        for second in 1..=6 {
            let source = if second % 2 == 0 { Source::Stderr } else { Source::Stdout };
            log.append_bytes("", &log.bytes(source, second, &second.to_string(), true));
        }
        let at = |second: i64| Some(Timestamp::from_nanos(second * 1_000_000_000));
        assert_eq!(log.read(LogQuery { stderr: false, ..ALL }, RAW).await, "1\n3\n5\n");
        assert_eq!(log.read(LogQuery { stdout: false, ..ALL }, RAW).await, "2\n4\n6\n");
        assert_eq!(log.read(LogQuery { since: at(3), until: at(4), ..ALL }, RAW).await, "3\n4\n");
        assert_eq!(log.read(LogQuery { stderr: false, tail: Tail::Lines(3), ..ALL }, RAW).await, "5\n", "both streams count");
    }
}

#[tokio::test]
async fn rotated_files_come_first() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        assert_eq!(log.read(ALL, RAW).await, "", "no file yet");
        for (n, suffix) in [".10", ".9", ".2", ".1", ""].into_iter().enumerate() {
            log.append(suffix, n as i64, &format!("line {n}"));
        }
        log.compress(".9");
        log.compress(".2");
        // Left by a compression that was interrupted, and a stranger.
        log.append_bytes(".1.gz.tmp", b"junk");
        log.append_bytes(".1.gz", b"older than .1");
        assert_eq!(log.read(ALL, RAW).await, "line 0\nline 1\nline 2\nline 3\nline 4\n");
    }
    let gone = LogFile::Local(PathBuf::from("/nowhere/at/all/log"));
    assert_eq!(collect(read(gone, ALL, RAW, watch::channel(false).1)).await, b"");
}

#[tokio::test]
async fn damage_costs_only_what_is_damaged() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        log.append("", 1, "one");
        // A monitor died while it wrote; the next one goes on behind that.
        let torn = log.bytes(Source::Stdout, 2, "two", true);
        log.append_bytes("", &torn[..torn.len() - 6]);
        if kind == Kind::Json {
            log.append("", 2, "behind");
            log.append_bytes("", b"{\"log\":\"x\\n\",\"stream\":\"nowhere\",\"time\":\"2026-01-02T03:04:05Z\"}\n");
        }
        log.append("", 3, "three");
        log.append("", 4, "four");
        log.append_bytes("", &torn[..torn.len() - 6]);
        let behind = if kind == Kind::Json { "behind\n" } else { "" };
        assert_eq!(log.read(ALL, RAW).await, format!("one\n{behind}three\nfour\n"), "{kind:?}");
        assert_eq!(log.read(LogQuery { tail: Tail::Lines(2), ..ALL }, RAW).await, "three\nfour\n", "{kind:?}");
    }
}

#[tokio::test]
async fn following_ends_with_the_container() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        let (ended, ending) = watch::channel(false);
        let mut stream = std::pin::pin!(read(log.file(), LogQuery { follow: true, ..ALL }, RAW, ending));
        log.append("", 1, "one");
        assert_eq!(stream.next().await.unwrap().unwrap(), "one\n");
        // A record in two writes.
        let two = log.bytes(Source::Stdout, 2, "two", true);
        log.append_bytes("", &two[..7]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        log.append_bytes("", &two[7..]);
        assert_eq!(stream.next().await.unwrap().unwrap(), "two\n");
        // A log of a single file is emptied when it is full.
        fs::File::create(log.path("")).unwrap();
        log.append("", 3, "3");
        assert_eq!(stream.next().await.unwrap().unwrap(), "3\n");
        log.append("", 4, "four");
        ended.send(true).unwrap();
        assert_eq!(text(collect(stream).await), "four\n");
    }
}

#[tokio::test]
async fn following_ends_at_until() {
    let log = Log::new(Kind::Json);
    let (_ended, ending) = watch::channel(false);
    let until = Timestamp::from_nanos(Timestamp::now().nanos() + 50_000_000);
    log.append("", 1, "one");
    assert_eq!(collect(read(log.file(), LogQuery { follow: true, until: Some(until), ..ALL }, RAW, ending)).await, b"one\n");
    assert!(Timestamp::now() >= until);
}

#[tokio::test]
async fn a_dropped_stream_ends_the_thread() {
    let log = Log::new(Kind::Json);
    let (ended, ending) = watch::channel(false);
    log.append("", 1, "one");
    let mut stream = Box::pin(read(log.file(), LogQuery { follow: true, ..ALL }, RAW, ending));
    stream.next().await.unwrap().unwrap();
    assert!(ended.receiver_count() > 0);
    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), ended.closed()).await.unwrap();
}

#[tokio::test]
async fn tail_and_follow() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        log.append(".1", 1, "one");
        log.append("", 2, "two");
        for (lines, expected) in [(0, "three\n"), (1, "two\nthree\n"), (2, "one\ntwo\nthree\n")] {
            let (ended, ending) = watch::channel(false);
            let copy = Log::new(kind);
            for suffix in ["", ".1"] {
                fs::copy(log.path(suffix), copy.path(suffix)).unwrap();
            }
            let stream = read(copy.file(), LogQuery { follow: true, tail: Tail::Lines(lines), ..ALL }, RAW, ending);
            let collected = tokio::spawn(async move { collect(stream).await });
            tokio::time::sleep(Duration::from_millis(50)).await;
            copy.append("", 3, "three");
            ended.send(true).unwrap();
            assert_eq!(text(collected.await.unwrap()), expected);
        }
    }
}

#[tokio::test]
async fn tail_of_a_line_that_goes_on() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        log.append(".1", 1, "one");
        log.append_bytes(".1", &log.bytes(Source::Stdout, 2, "tw", false));
        log.append_bytes("", b"");
        for compressed in [false, true] {
            if compressed {
                log.compress(".1");
            }
            for (lines, expected) in [(0, ""), (1, "tw"), (2, "one\ntw")] {
                assert_eq!(log.read(LogQuery { tail: Tail::Lines(lines), ..ALL }, RAW).await, expected, "{lines} of {kind:?}");
            }
        }
    }
}

/// What the monitor does when a file is full, as fast as possible and with compression aside.
fn rotate(log: &Log, files: u32, compressing: &mut Option<thread::JoinHandle<()>>) {
    if let Some(thread) = compressing.take() {
        thread.join().unwrap();
    }
    for n in (1..files).rev() {
        for suffix in ["", ".gz"] {
            let from = if n == 1 && suffix.is_empty() { log.path("") } else { log.path(&format!(".{}{suffix}", n - 1)) };
            let _ = fs::rename(from, log.path(&format!(".{n}{suffix}")));
        }
    }
    fs::File::create(log.path("")).unwrap();
    let newest = log.path(".1");
    *compressing = Some(thread::spawn(move || compress(&newest)));
}

/// A line, as its pieces.
fn lines() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec("[a-z\"<é]{0,12}", 1..4), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// However often the files move on meanwhile, a follower sees every line once and in order.
    #[test]
    fn nothing_is_lost_or_repeated(kind in prop_oneof![Just(Kind::Json), Just(Kind::Local)],
                                   bursts in prop::collection::vec((1usize..30, 0u64..3), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let log = Log::new(kind);
        let total: usize = bursts.iter().map(|(lines, _)| lines).sum();
        let (ended, ending) = watch::channel(false);
        let got = runtime.block_on(async {
            let stream = read(log.file(), LogQuery { follow: true, ..ALL }, RAW, ending);
            let writer = thread::spawn(move || {
                let (mut n, mut compressing) = (0, None);
                for (lines, pause) in bursts {
                    for _ in 0..lines {
                        log.append("", 1, &format!("line {n}"));
                        n += 1;
                    }
                    thread::sleep(Duration::from_millis(pause));
                    rotate(&log, 100, &mut compressing);
                }
                compressing.unwrap().join().unwrap();
                ended.send(true).unwrap();
                log
            });
            let got = collect(stream).await;
            writer.join().unwrap();
            text(got)
        });
        let expected: String = (0..total).map(|n| format!("line {n}\n")).collect();
        prop_assert_eq!(got, expected);
    }

    /// The last lines, whatever files they lie in.
    #[test]
    fn tail_counts_lines(kind in prop_oneof![Just(Kind::Json), Just(Kind::Local)], lines in lines(), wanted in 0u64..45,
                         cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4), complete: bool) {
        let log = Log::new(kind);
        let mut pieces: Vec<(String, bool)> = Vec::new();
        for line in &lines {
            for (i, piece) in line.iter().enumerate() {
                pieces.push((piece.clone(), i + 1 == line.len()));
            }
        }
        if !complete && let Some(last) = pieces.last_mut() {
            last.1 = false;
        }
        // Files, also in the middle of a line.
        let mut at: Vec<(usize, bool)> = cuts.iter().map(|(i, gz)| (i.index(pieces.len() + 1), *gz)).collect();
        at.sort_unstable();
        let mut start = 0;
        for (n, (end, gz)) in at.iter().chain([&(pieces.len(), false)]).enumerate() {
            let number = at.len() - n;
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            log.append_bytes(&suffix, b"");
            for (piece, ends_line) in &pieces[start..*end] {
                log.append_bytes(&suffix, &log.bytes(Source::Stdout, 1, piece, *ends_line));
            }
            if *gz {
                log.compress(&suffix);
            }
            start = *end;
        }
        let skipped = lines.len().saturating_sub(wanted as usize);
        let mut expected: String = lines[skipped..].iter().map(|line| line.concat() + "\n").collect();
        if !complete {
            expected.pop();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        prop_assert_eq!(runtime.block_on(log.read(LogQuery { tail: Tail::Lines(wanted), ..ALL }, RAW)), expected);
    }
}

#[tokio::test]
async fn tail_of_a_large_file() {
    for kind in [Kind::Json, Kind::Local] {
        let log = Log::new(kind);
        let mut bytes = Vec::new();
        for n in 0..5000 {
            // Lines longer than a block as well.
            let text = if n % 1000 == 999 { "x".repeat(100_000) } else { format!("line {n}") };
            bytes.extend(log.bytes(Source::Stdout, n, &text, true));
        }
        log.append_bytes("", &bytes);
        let got = log.read(LogQuery { tail: Tail::Lines(1500), ..ALL }, RAW).await;
        assert_eq!(got.lines().count(), 1500);
        assert!(got.starts_with("line 3500\n") && got.ends_with("x\n"));
    }
}
