//! The settings of the plugin.

pub use super::raw::config::{name, settings};
use serde::de::DeserializeOwned;

/// All settings as a type of the plugin's own. The engine has checked them against the plugin's `settings.schema.json`.
///
/// ```no_run
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     server: String,
///     #[serde(default)]
///     port: Option<u16>,
/// }
///
/// let settings: Settings = wharf_plugin::host::config::parse()?;
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// Naming the setting that does not fit.
pub fn parse<T: DeserializeOwned>() -> Result<T, String> {
    serde_json::from_str(&settings()).map_err(|e| format!("settings: {e}"))
}

/// All settings as a JSON value.
///
/// # Errors
/// Never, as the engine hands over an object.
pub fn value() -> Result<serde_json::Value, String> {
    parse()
}
