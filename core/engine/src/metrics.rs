//! What the engine measures of itself, under the names that dockerd gave: a table of timers, and what is counted besides.
//!
//! Not here: plugins' numbers (`plugins/exposed.rs`), and what the daemon knows of its process.

use crate::{Engine, containers::Status};
use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};
use wharf_metrics::{Exposition, Histogram, Kind};
use wharf_types::Result;

/// What is timed, in the order of [`TIMERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the table says it
pub enum Timer {
    ContainerChanges,
    ContainerCommit,
    ContainerCreate,
    ContainerDelete,
    ContainerStart,
    SystemInfo,
    ImageDelete,
    NetworkAllocate,
    NetworkConnect,
    NetworkRelease,
}

const CONTAINER: Group =
    ("engine_daemon_container_actions_seconds", "The number of seconds it takes to process each container action", "action");
const HOST: Group = (
    "engine_daemon_host_info_functions_seconds",
    "The number of seconds it takes to call functions gathering info about the host",
    "function",
);
const IMAGE: Group = ("engine_daemon_image_actions_seconds", "The number of seconds it takes to process each image action", "action");
const NETWORK: Group = ("engine_daemon_network_actions_seconds", "The number of seconds it takes to process each network action", "action");

/// Name, help, and the label that tells its timers apart.
type Group = (&'static str, &'static str, &'static str);

/// Each timer's group and label; a group's timers stand together.
const TIMERS: [(Timer, Group, &str); 10] = [
    (Timer::ContainerChanges, CONTAINER, "changes"),
    (Timer::ContainerCommit, CONTAINER, "commit"),
    (Timer::ContainerCreate, CONTAINER, "create"),
    (Timer::ContainerDelete, CONTAINER, "delete"),
    (Timer::ContainerStart, CONTAINER, "start"),
    (Timer::SystemInfo, HOST, "system_info"),
    (Timer::ImageDelete, IMAGE, "delete"),
    (Timer::NetworkAllocate, NETWORK, "allocate"),
    (Timer::NetworkConnect, NETWORK, "connect"),
    (Timer::NetworkRelease, NETWORK, "release"),
];

/// Counters of one engine.
#[derive(Debug, Default)]
pub struct Metrics {
    timers: [Histogram; TIMERS.len()],
    health_checks: AtomicU64,
    health_checks_failed: AtomicU64,
}

impl Metrics {
    /// Does something and counts how long it took, when it went well.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn timed<T>(&self, timer: Timer, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        let done = work.await?;
        self.observe(timer, began);
        Ok(done)
    }

    /// Something that began at `began` went well.
    pub fn observe(&self, timer: Timer, began: Instant) {
        if let Some(histogram) = self.timers.get(timer as usize) {
            histogram.observe(began.elapsed());
        }
    }

    /// A health check was made; `ran` tells whether its command could be run at all.
    pub fn health_check(&self, ran: bool) {
        self.health_checks.fetch_add(1, Relaxed);
        self.health_checks_failed.fetch_add(u64::from(!ran), Relaxed);
    }

    fn write(&self, text: &mut Exposition) {
        for group in [CONTAINER, HOST, IMAGE, NETWORK] {
            let (name, help, label) = group;
            let mut family = text.family(Kind::Histogram, name, help);
            for ((_, of, value), histogram) in TIMERS.iter().zip(&self.timers) {
                if *of == group {
                    family.histogram(&[(label, value)], &histogram.read());
                }
            }
        }
        let number = |counter: &AtomicU64| float(counter.load(Relaxed));
        text.family(Kind::Counter, "engine_daemon_health_checks_total", "The total number of health checks")
            .sample(&[], number(&self.health_checks));
        text.family(Kind::Counter, "engine_daemon_health_checks_failed_total", "The total number of failed health checks")
            .sample(&[], number(&self.health_checks_failed));
    }
}

/// The text format has floats only; what does not fit exactly is beyond 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn float(number: u64) -> f64 {
    number as f64
}

impl Engine {
    /// Writes what the engine and its plugins measure.
    pub fn expose(&self, text: &mut Exposition) {
        let [mut running, mut paused, mut stopped] = [0_u32; 3];
        for view in self.containers.list() {
            *match view.state.status() {
                Status::Running | Status::Restarting => &mut running,
                Status::Paused => &mut paused,
                _ => &mut stopped,
            } += 1;
        }
        text.family(Kind::Gauge, "engine_daemon_container_states_containers", "The count of containers in various states")
            .sample(&[("state", "paused")], paused.into())
            .sample(&[("state", "running")], running.into())
            .sample(&[("state", "stopped")], stopped.into());
        let host = self.system.host();
        text.family(Kind::Gauge, "engine_daemon_engine_cpus_cpus", "The number of cpus that the host system of the engine has")
            .sample(&[], float(host.cpus as u64));
        text.family(
            Kind::Gauge,
            "engine_daemon_engine_memory_bytes",
            "The number of bytes of memory that the host system of the engine has",
        )
        .sample(&[], float(host.memory));
        text.family(Kind::Counter, "engine_daemon_events_total", "The number of events logged").sample(&[], float(self.events.published()));
        text.family(Kind::Gauge, "engine_daemon_events_subscribers_total", "The number of current subscribers to events")
            .sample(&[], float(self.events.listeners() as u64));
        self.metrics.write(text);
        self.plugins.expose(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (at, (timer, ..)) in TIMERS.iter().enumerate() {
            assert_eq!(*timer as usize, at);
        }
    }

    #[tokio::test]
    async fn what_fails_is_not_timed() {
        let metrics = Metrics::default();
        metrics.timed(Timer::ContainerStart, async { Ok(()) }).await.unwrap();
        metrics.timed(Timer::ContainerStart, async { Err::<(), _>(wharf_types::Error::system("x")) }).await.unwrap_err();
        metrics.health_check(false);
        let mut text = Exposition::default();
        metrics.write(&mut text);
        let text = text.finish();
        assert!(text.contains("engine_daemon_container_actions_seconds_count{action=\"start\"} 1\n"), "{text}");
        assert!(text.contains("engine_daemon_health_checks_failed_total 1\n"), "{text}");
        assert_eq!(text.matches("# TYPE engine_daemon_container_actions_seconds histogram").count(), 1);
    }
}
