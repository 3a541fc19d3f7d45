//! What has to be done for a plugin while nobody asks it anything: timers, changed files, instances that are not needed.

use super::{plugin::Inner, policy, timers::Timers};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use wharf_types::Timestamp;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// When a timer that could not be told is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// Runs until the plugin is gone.
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

async fn wake(plugin: &Inner, timers: &Arc<Timers>) {
    let asked = Arc::clone(timers);
    let all = tokio::task::spawn_blocking(move || asked.due(Timestamp::now())).await.unwrap_or_default();
    for (name, due) in all {
        let told = plugin.faces.wake(&name).await;
        let timers = Arc::clone(timers);
        let write = move || {
            if told { timers.called(&name, due, Timestamp::now()) } else { timers.postpone(&name, due, Timestamp::now(), AGAIN) }
        };
        let _ = tokio::task::spawn_blocking(write).await;
    }
}
