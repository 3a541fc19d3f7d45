//! Counts the lines of every container, as a number on the engine's `/metrics`.

use wharf_plugin::{
    Plugin, export_log_driver,
    host::metrics,
    info,
    logging::{Batch, Container, LogDriver, LogSink, Options, Outcome},
};

struct Lines;

struct Count {
    labels: Vec<(String, String)>,
}

impl Plugin for Lines {
    fn start() -> Result<Self, String> {
        Ok(Self)
    }
}

impl LogDriver for Lines {
    type Sink = Count;

    fn validate(&mut self, options: &Options) -> Result<(), String> {
        match options.keys().find(|key| *key != "label") {
            Some(key) => Err(format!("unknown log opt '{key}' for this log driver")),
            None => Ok(()),
        }
    }

    fn open(&mut self, container: &Container, options: &Options, cursor: u64) -> Result<Count, String> {
        info!("{} begins after {cursor}", container.name);
        let label = options.get("label").map_or("container", String::as_str);
        Ok(Count { labels: vec![(label.to_owned(), container.name.clone())] })
    }
}

impl LogSink for Count {
    fn push(&mut self, batch: Batch<'_>, _cursor: u64) -> Result<Outcome, String> {
        let whole = batch.into_iter().filter(|entry| !entry.partial).count();
        metrics::add("lines", &self.labels, whole as f64);
        Ok(Outcome::Committed)
    }
}

export_log_driver!(Lines);
