//! Crash-safe documents: whole-file replacement, directories of JSON documents, a trash, and the lock on the data root.
//!
//! There is no database. Every persistent fact is one JSON file that is replaced as a whole ([`write_atomic`]), so after a crash a
//! reader sees the old or the new text and never a mixture. What is *not* here: any knowledge of what the documents say.
//! Start with [`atomic`], then [`dir`].

pub mod atomic;
pub mod dir;
pub mod doc;
pub mod lock;
mod open;
pub mod trash;
pub mod tree;

pub use atomic::{Durability, sync_dir, write_atomic};
pub use dir::{DocDir, Quarantined};
pub use doc::Doc;
pub use lock::DataRootLock;
pub use open::open_in;
pub use trash::{Discarded, Trash};
pub use tree::remove_tree_at;
