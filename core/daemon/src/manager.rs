//! What the service manager is told, as sd_notify(3) describes. Without a manager nothing happens.

use sd_notify::NotifyState;

/// The API can be reached, or a reload is over.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The daemon drains.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The configuration is being read again; [`ready`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(e) => tracing::warn!("the monotonic clock: {e}"),
    }
}

/// Tells the manager that the daemon still runs its tasks, twice in the time that it set for that (`WatchdogSec=`); returns
/// at once when it set none.
pub async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()) else { return };
    let mut ticks = tokio::time::interval(limit / 2);
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::warn!("can not reach the service manager: {e}");
    }
}
