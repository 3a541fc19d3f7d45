//! Files that the operator allows. The plugin is reloaded when one that it read has changed.

pub use super::raw::files::{Meta, list, read, stat};

/// A whole file that is text.
///
/// # Errors
/// Naming the path.
pub fn read_to_string(path: &str) -> Result<String, String> {
    // The host's errors name the path.
    String::from_utf8(read(path)?).map_err(|_| format!("{path} is not UTF-8"))
}
