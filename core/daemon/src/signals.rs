//! What signals mean to the daemon. SIGPIPE is ignored by Rust's start-up code already.

use std::{future::Future, io};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// This many signals end the process, drained or not.
const IMPATIENCE: u32 = 3;

/// A future that resolves with the number of the first SIGTERM or SIGINT. The third one exits at once with 128 + its number.
///
/// # Errors
/// When a handler can not be installed.
pub fn shutdown() -> io::Result<impl Future<Output = i32> + Send + use<>> {
    let (terminate, interrupt, hangup) = (SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup());
    let handlers = (signal(terminate)?, signal(interrupt)?, signal(hangup)?);
    let (first, told) = oneshot::channel();
    tokio::spawn(watch(handlers, first));
    Ok(async move {
        match told.await {
            Ok(number) => number,
            // The watcher ends only with the runtime.
            Err(_) => std::future::pending().await,
        }
    })
}

async fn watch((mut terminate, mut interrupt, mut hangup): (Signal, Signal, Signal), first: oneshot::Sender<i32>) {
    let mut first = Some(first);
    let mut count = 0;
    loop {
        let number = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = hangup.recv() => {
                tracing::warn!("SIGHUP has no effect: reload is not supported yet");
                continue;
            }
        };
        count += 1;
        tracing::info!(signal = number, count, "told to stop");
        if count == IMPATIENCE {
            tracing::warn!("exiting without further cleanup");
            std::process::exit(128 + number);
        }
        if let Some(first) = first.take() {
            // Nobody listens when the daemon failed to start; the process ends by itself then.
            _ = first.send(number);
        }
    }
}
