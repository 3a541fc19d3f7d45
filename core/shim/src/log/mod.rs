//! The container's log: splits output into lines, encodes them, and appends each batch with one write. The only writer there is.
//!
//! Formats are in `wharf_shim_proto::journal`; rotation in [`rotate`].

mod lines;
mod rotate;

pub use lines::Splitter;

use rotate::Rotated;
use wharf_shim_proto::{
    LogSettings,
    journal::{Partial, Source, json_file, local},
};
use wharf_types::{Result, Timestamp};

/// Capacity that is kept for the next batch; a larger one is given back, because a monitor is mostly idle.
const KEEP: usize = 16 * 1024;

/// Where lines go.
pub struct Log {
    file: Rotated,
    format: Format,
    batch: Vec<u8>,
    tail: json_file::Tail,
}

enum Format {
    JsonFile { attrs: Vec<u8> },
    Local,
}

impl Log {
    /// Opens the log, if there is to be one.
    pub fn open(settings: &LogSettings) -> Result<Option<Self>> {
        let (file, format) = match settings {
            LogSettings::None => return Ok(None),
            LogSettings::JsonFile { path, max_size, max_file, compress, attrs } => {
                let mut file = Rotated::open(path, *max_size, *max_file, *compress)?;
                file.end_torn_line()?;
                (file, Format::JsonFile { attrs: json_file::attrs(attrs) })
            }
            LogSettings::Local { path, max_size, max_file, compress } => {
                (Rotated::open(path, *max_size, *max_file, *compress)?, Format::Local)
            }
        };
        Ok(Some(Self { file, format, batch: Vec::new(), tail: json_file::Tail::default() }))
    }

    /// Appends the lines that `data` completes, all with the time `now`; the rest stays in `splitter`.
    pub fn append(&mut self, splitter: &mut Splitter, source: Source, now: Timestamp, data: &[u8]) -> Result<()> {
        self.begin(source, now);
        splitter.push(data, |line, partial| self.record(source, now, line, partial))?;
        self.commit()
    }

    /// Appends an unfinished line at the end of a stream.
    pub fn finish(&mut self, splitter: &mut Splitter, source: Source, now: Timestamp) -> Result<()> {
        self.begin(source, now);
        splitter.finish(|line, partial| self.record(source, now, line, partial))?;
        self.commit()
    }

    fn begin(&mut self, source: Source, now: Timestamp) {
        if let Format::JsonFile { attrs } = &self.format {
            self.tail.set(source, attrs, now);
        }
    }

    fn record(&mut self, source: Source, now: Timestamp, line: &[u8], partial: Option<&Partial>) -> Result<()> {
        if self.file.is_full(self.batch.len()) {
            self.commit()?;
            self.file.rotate()?;
        }
        match &self.format {
            Format::JsonFile { .. } => json_file::encode(&mut self.batch, line, partial.is_none_or(|p| p.last), &self.tail),
            Format::Local => local::encode(&mut self.batch, source, now, line, partial),
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let result = self.file.write(&self.batch);
        self.batch.clear();
        self.batch.shrink_to(KEEP);
        result
    }
}
