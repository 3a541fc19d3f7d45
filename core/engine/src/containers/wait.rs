//! Waiting for a container to end or go away.

use super::actor::Published;
use tokio::sync::watch;

/// `condition` of wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCondition {
    /// At once when it does not run.
    NotRunning,
    /// An exit after this call.
    NextExit,
    /// The container is gone.
    Removed,
}

/// Answer of wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitOutcome {
    /// The exit code.
    pub exit_code: i32,
    /// Why a removal failed.
    pub error: Option<String>,
}

/// A registered wait; it already watches before it is polled.
pub struct Waiter {
    published: watch::Receiver<Published>,
    condition: WaitCondition,
    exits: u64,
    removal_failures: u64,
}

impl Waiter {
    pub(super) fn new(published: watch::Receiver<Published>, condition: WaitCondition) -> Self {
        let (exits, removal_failures) = {
            let now = published.borrow();
            (now.exits, now.removal_failures.0)
        };
        Self { published, condition, exits, removal_failures }
    }

    /// Completes when the condition holds, or when the container is gone. Dropping it is fine.
    pub async fn finished(mut self) -> WaitOutcome {
        let Self { condition, exits, removal_failures, .. } = self;
        let failed = |p: &Published| p.removal_failures.0 > removal_failures;
        let holds = |p: &Published| match condition {
            WaitCondition::NotRunning => !p.view.state.running,
            WaitCondition::NextExit => p.exits > exits,
            WaitCondition::Removed => failed(p),
        };
        let outcome = |p: &Published| {
            let error = p.removal_failures.1.clone().filter(|_| failed(p));
            WaitOutcome { exit_code: p.view.state.exit_code, error }
        };
        // An error means that the actor ended: what it published last is final.
        let _ = self.published.wait_for(|p| holds(p) || p.gone).await.map(drop);
        outcome(&self.published.borrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::ContainerState;
    use std::sync::Arc;
    use wharf_types::ContainerId;

    fn channel() -> (watch::Sender<Published>, watch::Receiver<Published>) {
        watch::channel(Published::for_test(&ContainerId::random().unwrap()))
    }
    fn set(tx: &watch::Sender<Published>, running: bool, exit_code: i32, exits: u64) {
        tx.send_modify(|p| {
            p.view.state = Arc::new(ContainerState { running, exit_code, ..ContainerState::default() });
            p.exits = exits;
        });
    }

    #[tokio::test]
    async fn next_exit_needs_an_exit_after_the_call() {
        let (tx, rx) = channel();
        set(&tx, false, 3, 1);
        let at_once = Waiter::new(rx.clone(), WaitCondition::NotRunning).finished().await;
        assert_eq!(at_once.exit_code, 3);
        let waiting = tokio::spawn(Waiter::new(rx, WaitCondition::NextExit).finished());
        set(&tx, true, 0, 1);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        set(&tx, false, 7, 2);
        assert_eq!(waiting.await.unwrap().exit_code, 7);
    }

    #[tokio::test]
    async fn removal_ends_every_wait() {
        let (tx, rx) = channel();
        set(&tx, true, 9, 1);
        let waiters = [WaitCondition::Removed, WaitCondition::NextExit].map(|c| tokio::spawn(Waiter::new(rx.clone(), c).finished()));
        tx.send_modify(|p| p.gone = true);
        for w in waiters {
            assert_eq!(w.await.unwrap(), WaitOutcome { exit_code: 9, error: None });
        }
    }

    #[tokio::test]
    async fn a_failed_removal_is_told_to_those_who_wait_for_it_and_to_nobody_later() {
        let (tx, rx) = channel();
        let before = Waiter::new(rx.clone(), WaitCondition::Removed);
        tx.send_modify(|p| p.removal_failures = (1, Some("busy".into())));
        assert_eq!(before.finished().await.error.as_deref(), Some("busy"));
        let after = tokio::spawn(Waiter::new(rx, WaitCondition::Removed).finished());
        tokio::task::yield_now().await;
        assert!(!after.is_finished());
        tx.send_modify(|p| p.gone = true);
        assert_eq!(after.await.unwrap().error, None);
    }
}
