//! What happens in the engine.

pub use super::raw::events::{Event, since};

/// How many events are asked for at once.
const PAGE: u32 = 100;

/// Events after `cursor` up to now, oldest first. Keep the cursor of the last one that was dealt with.
pub fn after(mut cursor: u64) -> impl Iterator<Item = Event> {
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let page = since(cursor, PAGE);
        done = page.len() < PAGE as usize;
        cursor = page.last().map_or(cursor, |event| event.cursor);
        Some(page)
    })
    .flatten()
}
