//! Puts stars in the place of words, and leaves empty lines out.

use serde::Deserialize;
use wharf_plugin::{
    Plugin, export_log_transform,
    host::config,
    logging::{Batch, BatchBuilder, Entry, LogTransform},
};

#[derive(Deserialize)]
struct Redact {
    #[serde(rename = "WORDS")]
    words: Vec<String>,
}

impl Plugin for Redact {
    fn start() -> Result<Self, String> {
        let redact: Self = config::parse()?;
        if redact.words.iter().any(String::is_empty) { Err("an empty word cannot be hidden".to_owned()) } else { Ok(redact) }
    }
}

impl Redact {
    fn hide(&self, line: &[u8]) -> Vec<u8> {
        let mut made = Vec::with_capacity(line.len());
        let mut rest = line;
        while let Some((first, tail)) = rest.split_first() {
            match self.words.iter().find(|word| rest.starts_with(word.as_bytes())) {
                Some(word) => {
                    made.extend_from_slice(b"***");
                    rest = rest.get(word.len()..).unwrap_or_default();
                }
                None => {
                    made.push(*first);
                    rest = tail;
                }
            }
        }
        made
    }
}

impl LogTransform for Redact {
    fn apply(&mut self, batch: Batch<'_>, made: &mut BatchBuilder) -> Result<(), String> {
        for entry in batch.into_iter().filter(|entry| !entry.line.is_empty()) {
            made.push(&Entry { line: &self.hide(entry.line), ..entry });
        }
        Ok(())
    }
}

export_log_transform!(Redact);
