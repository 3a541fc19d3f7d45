//! The files of a log, oldest first, opened in a moment when none of them moves.

use crate::{
    follow::{Watch, number},
    query::LogFile,
    record::{Codec, Input, Records},
};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    path::PathBuf,
    thread,
    time::Duration,
};

/// How long to wait for a rotation to end, at a time and how often; a monitor that died in one leaves a gap for good.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 20;

/// The files of one log.
pub(crate) struct Files {
    log: LogFile,
    codec: Codec,
}

/// All files of a log at one moment.
pub(crate) struct Snapshot {
    /// Rotated ones, oldest first.
    pub rotated: Vec<Records>,
    /// The current one; none before the container's first output.
    pub current: Option<Records>,
}

impl Files {
    pub fn new(log: LogFile, attrs: bool) -> Self {
        let codec = Codec::new(&log, attrs);
        Self { log, codec }
    }

    /// Opens all files.
    ///
    /// # Errors
    /// What the filesystem answers.
    pub fn open_all(&self, watch: &mut Watch) -> io::Result<Snapshot> {
        for attempt in 0.. {
            watch.rotations()?;
            let patient = attempt < PATIENCE;
            let numbers = self.numbers()?;
            let current = self.open(0)?;
            let mut rotated = Vec::new();
            for number in numbers.iter().rev() {
                rotated.extend(self.open(*number)?);
            }
            let gap = numbers.last().is_some_and(|last| *last as usize != rotated.len() || current.is_none());
            if watch.rotations()? == 0 && !watch.rotating && !gap || !patient {
                return Ok(Snapshot { rotated, current });
            }
            thread::sleep(PAUSE);
        }
        Ok(Snapshot { rotated: Vec::new(), current: None })
    }

    /// Opens the file that comes after one that was moved aside `behind` times, and updates that to how often the file it opened
    /// was moved. `None` while there is no such file yet.
    ///
    /// # Errors
    /// What the filesystem answers.
    pub fn open_next(&self, behind: &mut u32, watch: &mut Watch) -> io::Result<Option<Records>> {
        for attempt in 0.. {
            *behind += watch.rotations()?;
            let number = behind.saturating_sub(1);
            let next = self.open(number)?;
            let moved = watch.rotations()?;
            *behind += moved;
            let patient = attempt < PATIENCE;
            match next {
                Some(next) if moved == 0 && (!watch.rotating || !patient) => {
                    *behind = number;
                    return Ok(Some(next));
                }
                None if number == 0 && moved == 0 => return Ok(None),
                // Too old to be kept: what was in it is lost.
                None if !patient => *behind = number,
                _ if moved == 0 => thread::sleep(PAUSE),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The numbers of the rotated files that exist.
    fn numbers(&self) -> io::Result<BTreeSet<u32>> {
        let path = self.log.path();
        let current = path.file_name().unwrap_or_default().to_owned();
        let mut numbers = BTreeSet::new();
        for entry in fs::read_dir(path.parent().unwrap_or(path))? {
            numbers.extend(number(&current, &entry?.file_name()));
        }
        Ok(numbers)
    }

    /// Opens a file by its number, 0 being the current one.
    fn open(&self, number: u32) -> io::Result<Option<Records>> {
        let path = self.log.path();
        if number == 0 {
            return Ok(found(File::open(path))?.map(|file| Records::new(Input::Plain(file), self.codec.clone())));
        }
        let with = |suffix: &str| {
            let mut name = OsString::from(path);
            name.push(format!(".{number}{suffix}"));
            PathBuf::from(name)
        };
        // The compressed file is complete before the plain one disappears.
        let input = match found(File::open(with("")))? {
            Some(file) => Some(Input::Plain(file)),
            None => found(File::open(with(".gz")))?.map(Input::gz),
        };
        Ok(input.map(|input| Records::new(input, self.codec.clone())))
    }
}

fn found(file: io::Result<File>) -> io::Result<Option<File>> {
    match file {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}
