//! Turns: plugins that compute for long must not have all the threads on which the engine answers its users.
//!
//! Plugins run on those threads, since a decision takes microseconds and a change of threads takes more. Running code is left at
//! every tick of the clock, but whoever comes next would wait for a tick of each plugin that does not end, and a request has to
//! come next many times. So a call that has kept its thread for half a tick at once goes on in turns: in one thread of two.

use super::ticker::TICK;
use std::{future::poll_fn, pin::pin, task::Poll, time::Instant};
use tokio::{runtime::Handle, sync::Semaphore};

/// Of all plugins.
pub(super) struct Turns(Semaphore);

impl Turns {
    /// For the threads of this runtime.
    pub fn new() -> Self {
        let threads = Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
        Self(Semaphore::new((threads / 2).max(1)))
    }

    /// Goes on with a call that has run once, from `began`, and is not over. What it does at once counts, not what it waits for.
    pub async fn run<R>(&self, began: Instant, call: impl Future<Output = R>) -> R {
        let mut call = pin!(call);
        let mut long = began.elapsed() >= TICK / 2;
        loop {
            woken().await;
            let _turn = if long { self.0.acquire().await.ok() } else { None };
            let polled = poll_fn(|cx| {
                let began = Instant::now();
                let polled = call.as_mut().poll(cx);
                long |= began.elapsed() >= TICK / 2;
                Poll::Ready(polled)
            });
            if let Poll::Ready(outcome) = polled.await {
                return outcome;
            }
        }
    }
}

/// Until the task is woken, by whom ever it was promised that.
async fn woken() {
    let mut asked = false;
    poll_fn(|_| if std::mem::replace(&mut asked, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        thread,
        time::Duration,
    };

    /// As [`super::super::instance`] does it.
    async fn run<R>(turns: &Turns, call: impl Future<Output = R>) -> R {
        let (mut call, began) = (pin!(call), Instant::now());
        match poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => turns.run(began, call).await,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_computes_for_long_leaves_threads_to_others() {
        let turns = std::sync::Arc::new(Turns::new());
        let (now, most) = (std::sync::Arc::new(AtomicUsize::new(0)), std::sync::Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let (turns, now, most) = (turns.clone(), now.clone(), most.clone());
                tokio::spawn(async move {
                    let work = async {
                        for part in 0..5 {
                            // The first part is nobody's turn.
                            let running = if part == 0 { 0 } else { now.fetch_add(1, SeqCst) + 1 };
                            most.fetch_max(running, SeqCst);
                            thread::sleep(TICK);
                            if part > 0 {
                                now.fetch_sub(1, SeqCst);
                            }
                            tokio::task::yield_now().await;
                        }
                        7
                    };
                    run(&turns, work).await
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), 7);
        }
        assert_eq!(most.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn a_turn_is_waited_for_and_given_back() {
        let turns = Turns::new();
        let hog = || async {
            thread::sleep(TICK);
            tokio::task::yield_now().await;
            3
        };
        let all = turns.0.acquire().await.unwrap();
        tokio::time::timeout(Duration::from_millis(20), run(&turns, hog())).await.unwrap_err();
        drop(all);
        assert_eq!((run(&turns, hog()).await, run(&turns, hog()).await), (3, 3));
        assert_eq!(turns.0.available_permits(), 1);
    }
}
