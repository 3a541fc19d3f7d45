//! Durable keys and values of the plugin's own.
//!
//! ```no_run
//! use wharf_plugin::host::state::{self, Changes};
//!
//! let seen = state::get("seen")?;
//! // Both or none, and only when nobody else has changed the one.
//! Changes::new().expect("seen", seen.as_deref()).put("seen", b"2").put("last", b"x").commit()?;
//! for entry in state::entries("lease/") {
//!     let entry = entry?;
//!     wharf_plugin::info!("{} has {} bytes", entry.key, entry.value.len());
//! }
//! # Ok::<(), String>(())
//! ```

pub use super::raw::state::{Change, Entry, Failure, commit, get, scan};

/// How many entries [`entries`] asks for at once.
const PAGE: u32 = 100;

/// In words.
impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Quota(left) => format!("the quota of the plugin's state would be exceeded: {left} bytes are left"),
            Failure::Conflict(key) => format!("{key} was changed by somebody else"),
            Failure::Unavailable(why) => why,
        }
    }
}

/// Sets one key.
///
/// # Errors
/// Nothing was changed.
pub fn put(key: &str, value: &[u8]) -> Result<(), Failure> {
    Changes::new().put(key, value).commit()
}

/// Removes one key, when it is there.
///
/// # Errors
/// Nothing was changed.
pub fn delete(key: &str) -> Result<(), Failure> {
    Changes::new().delete(key).commit()
}

/// All entries whose keys begin with `prefix`, in order. Ends with the first error.
pub fn entries(prefix: &str) -> impl Iterator<Item = Result<Entry, Failure>> {
    let prefix = prefix.to_owned();
    let mut after: Option<String> = None;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let page = scan(&prefix, after.as_deref(), PAGE);
        done = page.as_ref().map_or(true, |page| page.len() < PAGE as usize);
        let page: Vec<_> = match page {
            Ok(page) => page.into_iter().map(Ok).collect(),
            Err(e) => vec![Err(e)],
        };
        if let Some(Ok(last)) = page.last() {
            after = Some(last.key.clone());
        }
        Some(page)
    })
    .flatten()
}

/// Changes of which all are done or none.
#[derive(Debug, Default)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    #[must_use]
    pub fn put(mut self, key: &str, value: &[u8]) -> Self {
        self.0.push(Change::Put(Entry { key: key.to_owned(), value: value.to_vec() }));
        self
    }

    /// Removes a key.
    #[must_use]
    pub fn delete(mut self, key: &str) -> Self {
        self.0.push(Change::Delete(key.to_owned()));
        self
    }

    /// Only when the key has this value, or none.
    #[must_use]
    pub fn expect(mut self, key: &str, value: Option<&[u8]>) -> Self {
        self.0.push(Change::Expect((key.to_owned(), value.map(<[u8]>::to_vec))));
        self
    }

    /// Does them. They are durable when it returns.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn commit(self) -> Result<(), Failure> {
        commit(&self.0)
    }
}
