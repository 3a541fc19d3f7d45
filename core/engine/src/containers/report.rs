//! How the containers' actors are doing, for whoever looks into a daemon that does not answer.

use super::{ContainerView, Containers};

/// One container's actor.
#[derive(Clone, Debug)]
pub struct ActorReport {
    /// What it last published.
    pub view: ContainerView,
    /// Whether it watches a process.
    pub attached: bool,
    /// Requests that it has not taken up yet.
    pub queued: usize,
    /// Whether its task has ended.
    pub ended: bool,
}

impl Containers {
    /// All actors, in the order of their ids. Asks none of them, so one that is stuck is listed too.
    pub fn report(&self) -> Vec<ActorReport> {
        let of = |handle: &super::Handle| {
            let published = handle.published.borrow();
            ActorReport {
                view: published.view.clone(),
                attached: published.task.is_some(),
                queued: handle.commands.max_capacity() - handle.commands.capacity(),
                ended: handle.commands.is_closed(),
            }
        };
        self.shared.index.all().iter().map(of).collect()
    }
}
