//! Two kinds in one component: a log driver and a metrics sink add up what they got. Once an hour a timer says how much that was, and
//! which containers ended.
//!
//! Each kind has an instance of its own, so what both know is in the plugin's state.

use std::time::Duration;
use wharf_plugin::{
    Plugin, export_plugin,
    host::{
        events,
        objects::{self, Kind},
        state::{self, Changes},
        timers,
    },
    info,
    logging::{Batch, Container, LogDriver, LogSink, Options, Outcome},
    metrics_sink::{Family, MetricsSink},
};

struct Both;

struct Sink;

/// What a sum is, and its bytes in the state.
fn sum(key: &str) -> Result<(u64, Option<Vec<u8>>), String> {
    let bytes = state::get(key)?;
    let sum = bytes.as_deref().and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    Ok((sum, bytes))
}

fn add(key: &str, more: usize) -> Result<(), String> {
    let (sum, before) = sum(key)?;
    Ok(Changes::new().expect(key, before.as_deref()).put(key, &(sum + more as u64).to_le_bytes()).commit()?)
}

impl Plugin for Both {
    fn start() -> Result<Self, String> {
        timers::every("hourly", Duration::from_secs(3_600))?;
        Ok(Self)
    }

    fn wake(&mut self, _timer: &str) -> Result<(), String> {
        info!("{} lines and {} series so far", sum("lines")?.0, sum("series")?.0);
        let (mut cursor, before) = sum("cursor")?;
        for event in events::after(cursor) {
            cursor = event.cursor;
            if event.kind == "container" && event.action == "die" {
                let name = objects::find(Kind::Container, &event.id).map_or(event.id, |container| container.name);
                info!("{name} ended");
            }
        }
        Ok(Changes::new().expect("cursor", before.as_deref()).put("cursor", &cursor.to_le_bytes()).commit()?)
    }
}

impl LogDriver for Both {
    type Sink = Sink;

    fn open(&mut self, _container: &Container, _options: &Options, _cursor: u64) -> Result<Sink, String> {
        Ok(Sink)
    }
}

impl LogSink for Sink {
    fn push(&mut self, batch: Batch<'_>, _cursor: u64) -> Result<Outcome, String> {
        add("lines", batch.len())?;
        Ok(Outcome::Committed)
    }
}

impl MetricsSink for Both {
    fn push(&mut self, _time: u64, families: &[Family]) -> Result<(), String> {
        add("series", families.iter().map(|family| family.series.len()).sum())
    }
}

export_plugin!(Both: log_driver, metrics_sink);
