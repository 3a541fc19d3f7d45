//! What signals mean to the daemon. SIGPIPE is ignored by Rust's start-up code already.

use std::{future::Future, io};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// This many signals end the process, drained or not.
const IMPATIENCE: u32 = 3;
/// Requests that may wait. More of them ask for nothing new.
const WAITING: usize = 4;

/// What a signal asks a running daemon to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Read the configuration again (SIGHUP).
    Reload,
    /// Write down what is going on (SIGUSR1).
    Dump,
}

/// Installs the handlers. The future resolves with the number of the first SIGTERM or SIGINT; the third one exits at once with
/// 128 + its number. The other signals arrive as requests.
///
/// # Errors
/// When a handler can not be installed.
pub fn watch() -> io::Result<(impl Future<Output = i32> + Send + use<>, mpsc::Receiver<Request>)> {
    let handlers = Handlers {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hangup: signal(SignalKind::hangup())?,
        user: signal(SignalKind::user_defined1())?,
    };
    let (first, told) = oneshot::channel();
    let (requests, requested) = mpsc::channel(WAITING);
    tokio::spawn(handlers.run(first, requests));
    let shutdown = async move {
        match told.await {
            Ok(number) => number,
            // The watcher ends only with the runtime.
            Err(_) => std::future::pending().await,
        }
    };
    Ok((shutdown, requested))
}

struct Handlers {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
}

impl Handlers {
    async fn run(mut self, first: oneshot::Sender<i32>, requests: mpsc::Sender<Request>) {
        let mut first = Some(first);
        let mut count = 0;
        loop {
            let request = tokio::select! {
                _ = self.terminate.recv() => Err(SignalKind::terminate().as_raw_value()),
                _ = self.interrupt.recv() => Err(SignalKind::interrupt().as_raw_value()),
                _ = self.hangup.recv() => Ok(Request::Reload),
                _ = self.user.recv() => Ok(Request::Dump),
            };
            let number = match request {
                Ok(request) => {
                    // A full queue holds the same request already.
                    _ = requests.try_send(request);
                    continue;
                }
                Err(number) => number,
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
}
