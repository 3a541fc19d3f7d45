//! SIGUSR1: a text file that says what the daemon is doing, for a report about one that hangs. It asks nobody who could be
//! stuck: actors are described by what they last published, threads by the kernel.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};
use tokio_util::task::TaskTracker;
use wharf_engine::Engine;
use wharf_types::{Result, Timestamp, error::Context};

/// What a dump looks at.
pub struct Dump {
    /// Where its file goes.
    pub dir: PathBuf,
    /// The engine.
    pub engine: Engine,
    /// Open connections.
    pub connections: TaskTracker,
    /// When the daemon started to serve.
    pub since: Timestamp,
}

impl Dump {
    /// Writes `tasks-<time>.log` and returns its path. Blocks.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn write(&self) -> Result<PathBuf> {
        let now = Timestamp::now().to_string();
        // Colons are no friends of shells and archives.
        let path = self.dir.join(format!("tasks-{}.log", now.replace(':', "")));
        wharf_store::write_atomic(&path, self.text(&now).as_bytes(), wharf_store::Durability::Cached)
            .context(format_args!("write {}", path.display()))?;
        Ok(path)
    }

    fn text(&self, now: &str) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        _ = self.describe(&mut text, now);
        threads(&mut text, Path::new("/proc/self/task"));
        text
    }

    fn describe(&self, text: &mut String, now: &str) -> std::fmt::Result {
        let runtime = tokio::runtime::Handle::current().metrics();
        let host = self.engine.system.host();
        writeln!(text, "time {now}")?;
        writeln!(text, "wharfd {} pid {} serving since {}", env!("CARGO_PKG_VERSION"), std::process::id(), self.since)?;
        writeln!(text, "kernel {} engine {}", host.kernel, host.engine_id)?;
        writeln!(text, "connections {}", self.connections.len())?;
        writeln!(text, "event subscribers {}", self.engine.events.listeners())?;
        writeln!(
            text,
            "runtime: {} tasks, {} workers, {} waiting in the global queue",
            runtime.num_alive_tasks(),
            runtime.num_workers(),
            runtime.global_queue_depth()
        )?;
        let containers = self.engine.containers.report();
        writeln!(text, "\n{} containers: id, name, state, pid, restarts, process watched, requests waiting", containers.len())?;
        for actor in containers {
            let (view, state) = (&actor.view, &actor.view.state);
            let attached = if actor.attached { "watched" } else { "-" };
            let ended = if actor.ended { " (actor ended)" } else { "" };
            writeln!(
                text,
                "{} {} {} {} {} {attached} {}{ended}",
                view.id(),
                view.name(),
                state.status().as_str(),
                state.pid,
                state.restart_count,
                actor.queued
            )?;
        }
        Ok(())
    }
}

/// Each thread's name, its state, and where in the kernel it sleeps.
fn threads(text: &mut String, tasks: &Path) {
    text.push_str("\nthreads: id, name, state, waiting in\n");
    let Ok(entries) = std::fs::read_dir(tasks) else { return };
    for entry in entries.flatten() {
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let stat = read("stat");
        let state = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').next()).unwrap_or("?");
        _ = writeln!(text, "{} {} {state} {}", entry.file_name().to_string_lossy(), read("comm").trim_end(), read("wchan"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_listed() {
        let mut text = String::new();
        threads(&mut text, Path::new("/proc/self/task"));
        let own = format!("\n{} ", rustix::thread::gettid().as_raw_nonzero());
        assert!(text.contains(&own) && text.lines().count() >= 3, "{text}");
    }
}
