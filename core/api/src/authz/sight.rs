//! What a caller may see: lists, events and inspect show nothing else.

use std::sync::Arc;
use wharf_spi::authz::{Authorizer, Caller, Object};

/// The eyes of one caller.
#[derive(Clone, Default)]
pub struct Sight {
    filters: Vec<Arc<dyn Authorizer>>,
    caller: Arc<Caller>,
}

impl Sight {
    /// Of a caller, who is looked at when there is somebody who hides things.
    pub fn new(chain: &[Arc<dyn Authorizer>], caller: impl FnOnce() -> Caller) -> Self {
        let filters: Vec<_> = chain.iter().filter(|a| a.interests().filter).cloned().collect();
        let caller = if filters.is_empty() { Arc::default() } else { Arc::new(caller()) };
        Self { filters, caller }
    }

    /// Whether nobody hides anything.
    pub fn is_open(&self) -> bool {
        self.filters.is_empty()
    }

    /// Which of these objects are seen, in the same order. Who cannot answer hides everything.
    pub async fn of(&self, objects: &[Object]) -> Vec<bool> {
        let mut seen = vec![true; objects.len()];
        for authorizer in &self.filters {
            match authorizer.filter(&self.caller, objects).await {
                Ok(judged) if judged.len() == objects.len() => seen.iter_mut().zip(judged).for_each(|(s, j)| *s &= j),
                Ok(judged) => {
                    tracing::error!(target: "wharf::authz", plugin = authorizer.name(), "{} answers about {} objects", judged.len(), objects.len());
                    seen.fill(false);
                }
                Err(e) => {
                    tracing::error!(target: "wharf::authz", plugin = authorizer.name(), error = %e, "everything is hidden");
                    seen.fill(false);
                }
            }
        }
        seen
    }

    /// Keeps of `items` what is seen.
    pub async fn keep<T>(&self, items: Vec<T>, object: impl Fn(&T) -> Object) -> Vec<T> {
        if self.is_open() {
            return items;
        }
        let objects: Vec<Object> = items.iter().map(object).collect();
        let seen = self.of(&objects).await;
        items.into_iter().zip(seen).filter_map(|(item, seen)| seen.then_some(item)).collect()
    }
}
