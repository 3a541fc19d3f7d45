//! What has to be done for a plugin while nobody asks it anything: timers, changed files, instances that are not needed.

use super::{clock::ManualClock, plugin::Inner, policy, timers::Timers};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use wharf_types::Timestamp;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// When a timer that could not be told is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Runs until the plugin is gone. `timers` are none where time passes in [`pass`] only.
pub(super) async fn keep(plugin: Weak<Inner>, timers: Option<Arc<Timers>>, files: bool) {
    let every = if files { LOOK } else { policy::IDLE };
    let mut due = Instant::now() + every;
    loop {
        wait(timers.as_ref(), due).await;
        let Some(plugin) = plugin.upgrade() else { return };
        if Instant::now() >= due {
            due = Instant::now() + every;
            plugin.faces.shrink(Instant::now());
            if files {
                plugin.look_at_files().await;
            }
        }
        if let Some(timers) = &timers {
            wake(&plugin, timers).await;
        }
    }
}

/// Until `due`, or until a timer goes off, or until there are other timers.
async fn wait(timers: Option<&Arc<Timers>>, due: Instant) {
    let rest = due.saturating_duration_since(Instant::now());
    match timers {
        None => tokio::time::sleep(rest).await,
        Some(timers) => {
            let asked = Arc::clone(timers);
            let next = tokio::task::spawn_blocking(move || asked.next(Timestamp::now())).await.ok().flatten();
            tokio::select! {
                () = tokio::time::sleep(next.map_or(rest, |next| next.min(rest))) => {}
                () = timers.changed.notified() => {}
            }
        }
    }
}

/// Lets time pass on a manual clock. Timers go off, each at its time.
pub(super) async fn pass(plugin: &Inner, clock: &ManualClock, time: Duration) {
    let until = clock.passed().saturating_add(time);
    while let Some(timers) = plugin.timers() {
        let (asked, now) = (Arc::clone(timers), clock.now());
        let next = tokio::task::spawn_blocking(move || asked.next(now)).await.ok().flatten();
        let Some(next) = next.filter(|next| clock.passed().saturating_add(*next) <= until) else { break };
        clock.advance(next);
        wake(plugin, timers).await;
    }
    clock.advance(until.saturating_sub(clock.passed()));
}

async fn wake(plugin: &Inner, timers: &Arc<Timers>) {
    let (asked, now) = (Arc::clone(timers), plugin.now());
    let all = tokio::task::spawn_blocking(move || asked.due(now)).await.unwrap_or_default();
    for (name, due) in all {
        let told = plugin.faces.wake(&name).await;
        let (timers, now) = (Arc::clone(timers), plugin.now());
        let write = move || if told { timers.called(&name, due, now) } else { timers.postpone(&name, due, now, AGAIN) };
        let _ = tokio::task::spawn_blocking(write).await;
    }
}
