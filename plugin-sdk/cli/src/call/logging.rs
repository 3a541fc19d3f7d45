//! Log drivers and transformations of logs: batches as lists of lines, and the sinks of containers.

use super::{Pairs, done};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wharf_spi::logging::{
    LogContainer, LogDriver, LogSink, LogTransform, Outcome,
    batch::{self, Entry},
};
use wharf_types::{Error, Result, Timestamp};

/// A function of `wharf:logging/driver`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logging {
    /// `--log-opt`s.
    Validate(Pairs),
    /// A sink for a container, instead of the one that it has.
    Open(Opening),
    /// Lines of a container. One that has no sink gets it now.
    Push(Push),
    /// The container of this name has ended.
    Close(String),
}

/// Whose sink, and how it begins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Opening {
    container: Container,
    options: Pairs,
    cursor: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Container {
    id: String,
    name: String,
    image_id: String,
    image_name: String,
    command: String,
    created: Option<Timestamp>,
    labels: Pairs,
    env: Pairs,
}

/// A batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Its name.
    #[serde(default)]
    container: String,
    lines: Vec<Line>,
    /// Where the batch ends; as many places after the last one as it has lines, when it is not said.
    #[serde(default)]
    cursor: Option<u64>,
}

/// A function of `wharf:logging/transform`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Lines on their way to a driver.
    Apply(Vec<Line>),
}

/// A line, alone or with what belongs to it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Of standard output, as a whole, and of now.
    Alone(String),
    /// What is left out is as above.
    Full(FullLine),
}

/// See [`Line::Full`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FullLine {
    line: Text,
    #[serde(default)]
    stream: Stream,
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    time: Option<Timestamp>,
}

/// Bytes that need not be UTF-8 are a list of numbers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Stream {
    #[default]
    Stdout,
    Stderr,
}

/// Lines as a batch.
fn pack(lines: Vec<Line>, now: Timestamp) -> Result<Vec<u8>> {
    let mut batch = Vec::new();
    for line in lines {
        let FullLine { line, stream, partial, time } = match line {
            Line::Alone(line) => FullLine { line: Text::Utf8(line), stream: Stream::default(), partial: false, time: None },
            Line::Full(line) => line,
        };
        let bytes = match &line {
            Text::Utf8(text) => text.as_bytes(),
            Text::Bytes(bytes) => bytes,
        };
        let stream = match stream {
            Stream::Stdout => batch::Stream::Out,
            Stream::Stderr => batch::Stream::Err,
        };
        let time = u64::try_from(time.unwrap_or(now).nanos()).unwrap_or(0);
        batch::append(&mut batch, &Entry { time, stream, partial, line: bytes }).map_err(|e| Error::invalid(e.to_string()))?;
    }
    Ok(batch)
}

/// A batch as lines, each with all that belongs to it.
fn unpack(batch: &[u8]) -> Result<Vec<FullLine>> {
    let line = |entry: Entry<'_>| FullLine {
        line: String::from_utf8(entry.line.to_vec()).map_or_else(|e| Text::Bytes(e.into_bytes()), Text::Utf8),
        stream: match entry.stream {
            batch::Stream::Out => Stream::Stdout,
            batch::Stream::Err => Stream::Stderr,
        },
        partial: entry.partial,
        time: i64::try_from(entry.time).ok().map(Timestamp::from_nanos),
    };
    batch::entries(batch).map(|entry| entry.map(line)).collect::<Result<_, _>>().map_err(|e| Error::system(e.to_string()))
}

/// What a transformation makes of lines.
pub async fn transform(transform: &dyn LogTransform, Transform::Apply(lines): Transform, now: Timestamp) -> Result<Value> {
    Ok(serde_json::to_value(unpack(&transform.apply(&pack(lines, now)?).await?)?)?)
}

/// The sinks of a log driver by their containers, and what they have acknowledged. As in an engine, a plugin that starts anew gets
/// new ones, which begin there.
#[derive(Default)]
pub struct Sinks(BTreeMap<String, Open>);

struct Open {
    container: LogContainer,
    options: Vec<(String, String)>,
    cursor: u64,
    sink: Option<Box<dyn LogSink>>,
}

impl Sinks {
    /// What the driver answers.
    pub async fn call(&mut self, driver: &dyn LogDriver, call: Logging, now: Timestamp) -> Result<Value> {
        match call {
            Logging::Validate(options) => driver.validate(&Vec::from(options)).await?,
            Logging::Open(opening) => {
                let open = Open::of(opening, now);
                self.0.insert(open.container.name.clone(), open);
            }
            Logging::Push(Push { container, lines, cursor }) => {
                let named = || Opening { container: Container { name: container.clone(), ..Container::default() }, ..Opening::default() };
                let open = self.0.entry(container.clone()).or_insert_with(|| Open::of(named(), now));
                return open.push(driver, lines, cursor, now).await;
            }
            Logging::Close(container) => match self.0.remove(&container) {
                Some(mut open) => open.sink(driver).await?.close().await?,
                None => return Err(Error::not_found(format!("container {container:?} has no sink that could be closed"))),
            },
        }
        Ok(done())
    }

    /// The plugin starts anew.
    pub fn detach(&mut self) {
        self.0.values_mut().for_each(|open| open.sink = None);
    }
}

impl Open {
    fn of(opening: Opening, now: Timestamp) -> Self {
        let Container { id, name, image_id, image_name, command, created, labels, env } = opening.container;
        let (created, labels, env) = (created.unwrap_or(now), labels.into(), env.into());
        let container = LogContainer { id, name, image_id, image_name, command, created, labels, env };
        Self { container, options: opening.options.into(), cursor: opening.cursor, sink: None }
    }

    async fn sink(&mut self, driver: &dyn LogDriver) -> Result<&mut Box<dyn LogSink>> {
        Ok(match &mut self.sink {
            Some(sink) => sink,
            none => none.insert(driver.open(&self.container, &self.options, self.cursor).await?),
        })
    }

    async fn push(&mut self, driver: &dyn LogDriver, lines: Vec<Line>, cursor: Option<u64>, now: Timestamp) -> Result<Value> {
        let end = cursor.unwrap_or_else(|| self.cursor + lines.len() as u64);
        let batch = pack(lines, now)?;
        let outcome = self.sink(driver).await?.push(&batch, end).await?;
        if !matches!(outcome, Outcome::RetryAfter(_)) {
            self.cursor = end;
        }
        Ok(match outcome {
            Outcome::Committed => json!("committed"),
            Outcome::RetryAfter(time) => json!({"retry_after": time.as_millis()}),
            Outcome::Rejected(places) => json!({"rejected": places}),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let lines: Vec<Line> = serde_json::from_str(
            r#"["a", {"line": "b", "stream": "stderr", "partial": true, "time": "2026-01-01T00:00:01Z"}, {"line": [255]}]"#,
        )
        .unwrap();
        let now = "2026-01-01T00:00:00Z";
        let back = serde_json::to_value(unpack(&pack(lines, now.parse().unwrap()).unwrap()).unwrap()).unwrap();
        let expected = json!([
            {"line": "a", "stream": "stdout", "partial": false, "time": now},
            {"line": "b", "stream": "stderr", "partial": true, "time": "2026-01-01T00:00:01Z"},
            {"line": [255], "stream": "stdout", "partial": false, "time": now},
        ]);
        assert_eq!(back, expected);
        assert!(serde_json::from_str::<Line>(r#"{"line": "a", "streem": "stderr"}"#).is_err());
    }
}
