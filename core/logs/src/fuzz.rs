//! The door for the fuzz target of logs (`tests/fuzz`); compiled only for it. Reading without watching: a watch takes the kernel
//! longer to take down than a small log takes to read.

use crate::{
    LogFile, LogFormat, LogQuery, Tail,
    output::Output,
    record::{Codec, Input, Records, keep_last},
};
use std::{fs::File, io};
use tokio::sync::mpsc;

/// Reads the files of a log, oldest first, each with whether it is compressed.
///
/// # Errors
/// What a damaged compression answers.
pub fn read(log: &LogFile, files: Vec<(File, bool)>, query: LogQuery, format: LogFormat) -> io::Result<Vec<u8>> {
    let codec = Codec::new(log, format.details);
    let input = |(file, packed)| if packed { Input::gz(file) } else { Input::Plain(file) };
    let mut all: Vec<_> = files.into_iter().map(|file| Records::new(input(file), codec.clone())).collect();
    if let Tail::Lines(lines) = query.tail {
        keep_last(&mut all, lines)?;
    }
    let (sender, mut receiver) = mpsc::channel(256);
    let mut output = Output::new(query, format, sender);
    for mut records in all {
        if records.drain(|entry| output.push(entry))?.is_break() {
            break;
        }
    }
    let _ = output.flush();
    let mut text = Vec::new();
    while let Ok(Ok(chunk)) = receiver.try_recv() {
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}
