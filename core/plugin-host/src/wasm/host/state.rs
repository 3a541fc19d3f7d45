//! `wharf:host/state`: see [`crate::wasm::state`].

use super::{
    super::{
        bindings::host::state as wit,
        state::{Change, Refusal, Store},
    },
    Cx,
};
use std::sync::Arc;

/// Entries of one `scan`.
const SCAN_MAX: u32 = 1_000;

fn store(cx: &Cx) -> Result<&Arc<Store>, wit::Failure> {
    cx.shared.state.as_ref().ok_or_else(|| wit::Failure::Unavailable("no permission".to_owned()))
}

impl wit::Host for Cx {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, wit::Failure> {
        Ok(store(self)?.get(&key))
    }

    async fn scan(&mut self, prefix: String, after: Option<String>, limit: u32) -> Result<Vec<wit::Entry>, wit::Failure> {
        let entries = store(self)?.scan(&prefix, after.as_deref(), limit.min(SCAN_MAX) as usize);
        Ok(entries.into_iter().map(|(key, value)| wit::Entry { key, value }).collect())
    }

    async fn commit(&mut self, changes: Vec<wit::Change>) -> Result<(), wit::Failure> {
        let store = Arc::clone(store(self)?);
        let changes: Vec<Change> = changes
            .into_iter()
            .map(|change| match change {
                wit::Change::Put(entry) => Change::Put(entry.key, entry.value),
                wit::Change::Delete(key) => Change::Delete(key),
                wit::Change::Expect((key, value)) => Change::Expect(key, value),
            })
            .collect();
        let done = self.shared.jobs.run(move || store.commit(&changes)).await;
        done.unwrap_or_else(|e| Err(Refusal::Unavailable(e))).map_err(|refusal| match refusal {
            Refusal::Quota(left) => wit::Failure::Quota(left),
            Refusal::Conflict(key) => wit::Failure::Conflict(key),
            Refusal::Unavailable(why) => wit::Failure::Unavailable(why),
        })
    }
}
