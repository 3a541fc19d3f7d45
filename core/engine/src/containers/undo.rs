//! Steps with undo: what a failed operation takes back, last step first.

use futures_util::future::BoxFuture;
use wharf_types::Result;

/// The undo list of an operation in progress. Dropped without [`Undo::commit`] or [`Undo::unwind`] it does nothing: boot
/// tidies up after a crash, and every error path unwinds.
#[derive(Default)]
pub struct Undo {
    steps: Vec<(&'static str, BoxFuture<'static, Result<()>>)>,
}

impl Undo {
    /// Remembers how to take back a step that just succeeded.
    pub fn push(&mut self, what: &'static str, step: impl Future<Output = Result<()>> + Send + 'static) {
        self.steps.push((what, Box::pin(step)));
    }

    /// The operation succeeded.
    pub fn commit(self) {}

    /// The operation failed: runs every undo, even when one fails. Failures are logged; what stays behind is found at boot.
    pub async fn unwind(self) {
        for (what, step) in self.steps.into_iter().rev() {
            if let Err(e) = step.await {
                tracing::warn!(step = what, error = %e, "could not take back a step");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn unwinds_backwards_and_past_failures() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut undo = Undo::default();
        for i in 0..3 {
            let seen = seen.clone();
            undo.push("step", async move {
                seen.lock().unwrap().push(i);
                if i == 1 { Err(wharf_types::Error::system("no")) } else { Ok(()) }
            });
        }
        undo.unwind().await;
        assert_eq!(*seen.lock().unwrap(), [2, 1, 0]);
    }
}
