//! A file that moves aside when it is full: `log` → `log.1` → `log.2` …, older ones removed, optionally compressed.

use crate::sys::{self, Fork};
use flate2::{Compression, write::GzEncoder};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use wharf_types::{Result, error::Context};

/// Mode of log files, as Docker sets it.
const MODE: u32 = 0o640;

pub struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: Option<u64>,
    max_file: u32,
    compress: bool,
    compressor: Option<Pid>,
}

impl Rotated {
    pub fn open(path: &Path, max_size: Option<u64>, max_file: u32, compress: bool) -> Result<Self> {
        let file = open(path, false)?;
        let size = file.metadata().context(path.display())?.len();
        Ok(Self { path: path.to_owned(), file, size, max_size, max_file: max_file.max(1), compress, compressor: None })
    }

    /// Ends a last line that its writer was killed in the middle of, so that it does not swallow the next one.
    pub fn end_torn_line(&mut self) -> Result<()> {
        let mut last = [b'\n'];
        let read_back = File::open(&self.path).context(self.path.display())?;
        if self.size > 0 {
            read_back.read_exact_at(&mut last, self.size - 1).context(self.path.display())?;
        }
        if last == *b"\n" { Ok(()) } else { self.write(b"\n") }
    }

    /// Whether the file is due for rotation once `unwritten` more bytes are in it.
    pub fn is_full(&self, unwritten: usize) -> bool {
        self.max_size.is_some_and(|max| self.size + unwritten as u64 >= max)
    }

    pub fn write(&mut self, batch: &[u8]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(batch);
        match &written {
            Ok(()) => self.size += batch.len() as u64,
            // A full disk may have taken half a record, which would spoil what follows.
            Err(_) => drop(self.file.set_len(self.size)),
        }
        written.context(self.path.display())
    }

    pub fn rotate(&mut self) -> Result<()> {
        // The previous file must be done before it moves on to the next name.
        if let Some(pid) = self.compressor.take() {
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
        if self.max_file > 1 {
            for n in (1..self.max_file).rev() {
                for suffix in ["", ".gz"] {
                    let from = if n == 1 && suffix.is_empty() { self.path.clone() } else { self.numbered(n - 1, suffix) };
                    let to = self.numbered(n, suffix);
                    match fs::rename(&from, &to) {
                        // The other form of the same number is now out of date.
                        Ok(()) => drop(fs::remove_file(self.numbered(n, if suffix.is_empty() { ".gz" } else { "" }))),
                        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                        Err(e) => return Err(e).context(from.display()),
                    }
                }
            }
        }
        self.file = open(&self.path, true)?;
        self.size = 0;
        if self.compress && self.max_file > 1 {
            self.compressor = compress_aside(&self.numbered(1, ""));
        }
        Ok(())
    }

    fn numbered(&self, n: u32, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}{suffix}"));
        name.into()
    }
}

fn open(path: &Path, truncate: bool) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path).context(path.display())?;
    if truncate {
        file.set_len(0).context(path.display())?;
    }
    Ok(file)
}

/// Compresses in a child, so that output flows on meanwhile. A failure leaves the file as it is, which readers also take.
fn compress_aside(path: &Path) -> Option<Pid> {
    match sys::fork() {
        Ok(Fork::Parent(pid)) => Pid::from_raw(pid),
        Ok(Fork::Child) => {
            sys::close_from(3);
            sys::exit_now(i32::from(compress(path).is_err()));
        }
        Err(_) => None,
    }
}

fn compress(path: &Path) -> io::Result<()> {
    let with = |suffix: &str| {
        let mut name = path.to_owned().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (temporary, target) = (with(".gz.tmp"), with(".gz"));
    let out = OpenOptions::new().create(true).write(true).truncate(true).mode(MODE).open(&temporary)?;
    let mut encoder = GzEncoder::new(out, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?;
    fs::rename(&temporary, &target)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn keeps_so_many_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotated::open(&dir.path().join("log"), Some(4), 3, false).unwrap();
        for n in 0..5 {
            assert_eq!(log.is_full(0), n > 0);
            if log.is_full(0) {
                log.rotate().unwrap();
            }
            log.write(format!("n={n}\n").as_bytes()).unwrap();
        }
        assert_eq!(names(dir.path()), ["log", "log.1", "log.2"]);
        assert_eq!(fs::read_to_string(dir.path().join("log")).unwrap(), "n=4\n");
        assert_eq!(fs::read_to_string(dir.path().join("log.2")).unwrap(), "n=2\n");
    }

    #[test]
    fn a_torn_line_is_ended_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "whole\nto").unwrap();
        for _ in 0..2 {
            Rotated::open(&path, None, 1, false).unwrap().end_torn_line().unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole\nto\n");
    }

    #[test]
    fn a_single_file_is_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Rotated::open(&dir.path().join("log"), Some(1), 1, true).unwrap();
        log.write(b"old\n").unwrap();
        log.rotate().unwrap();
        log.write(b"new\n").unwrap();
        assert_eq!(names(dir.path()), ["log"]);
        assert_eq!(fs::read_to_string(dir.path().join("log")).unwrap(), "new\n");
    }

    #[test]
    fn compressed_files_move_on() {
        let dir = tempfile::tempdir().unwrap();
        for n in [2, 1] {
            fs::write(dir.path().join(format!("log.{n}.gz")), n.to_string()).unwrap();
        }
        let mut log = Rotated::open(&dir.path().join("log"), Some(1), 3, true).unwrap();
        log.write(b"text\n").unwrap();
        log.compress = false; // forking a multi-threaded test would be wrong
        log.rotate().unwrap();
        compress(&dir.path().join("log.1")).unwrap();
        assert_eq!(names(dir.path()), ["log", "log.1.gz", "log.2.gz"]);
        assert_eq!(fs::read_to_string(dir.path().join("log.2.gz")).unwrap(), "1");
        let mut text = String::new();
        io::Read::read_to_string(&mut flate2::read::GzDecoder::new(File::open(dir.path().join("log.1.gz")).unwrap()), &mut text).unwrap();
        assert_eq!(text, "text\n");
    }
}
