//! `daemon.json` and its union with the flags: every key known and supported, every value of the right shape, nothing said
//! twice. What comes out is one JSON object that [`super::raw::Raw`] reads.

use super::reference::schema;
use super::table::{Opt, Support, by_key};
use serde_json::{Map, Value};
use std::{borrow::Cow, io, path::Path};
use wharf_types::{Error, Result};

/// Where configuration comes from besides the command line.
pub trait Source {
    /// The bytes of a file.
    ///
    /// # Errors
    /// As [`std::fs::read`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// An environment variable; `None` when unset or empty.
    fn var(&self, name: &str) -> Option<String>;
}

/// The real files and environment.
pub struct Process;

impl Source for Process {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|v| !v.is_empty())
    }
}

type Keys = Map<String, Value>;

/// Reads the file's keys; an empty file has none, and neither has a missing one when `may_miss`.
///
/// # Errors
/// Names the file, and the key when one is at fault.
pub fn load(source: &dyn Source, path: &Path, may_miss: bool) -> Result<Keys> {
    let in_file = |why: String| Error::invalid(format!("unable to configure wharfd with file {}: {why}", path.display()));
    let bytes = match source.read(path) {
        Err(e) if may_miss && e.kind() == io::ErrorKind::NotFound => return Ok(Keys::new()),
        other => other.map_err(|e| in_file(e.to_string()))?,
    };
    let text = decode(&bytes);
    if text.trim_ascii().is_empty() {
        return Ok(Keys::new());
    }
    let keys = match serde_json::from_slice(&text).map_err(|e| in_file(format!("invalid JSON: {e}")))? {
        Value::Object(keys) => keys,
        _ => return Err(in_file("invalid JSON: the file must hold one object".into())),
    };
    check_known(&keys).and_then(|()| check_shape(&keys)).map_err(in_file)?;
    Ok(keys)
}

/// The text as UTF-8 (or whatever it is, without a byte order mark). Some editors write UTF-16, which a mark tells.
fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into_bytes())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => Cow::Borrowed(rest),
        _ => Cow::Borrowed(bytes),
    }
}

fn check_known(keys: &Keys) -> Result<(), String> {
    let unknown: Vec<_> = keys.keys().filter(|k| by_key(k).is_none()).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("the following directives don't match any configuration option: {}", unknown.join(", ")))
}

fn check_shape(keys: &Keys) -> Result<(), String> {
    // Refused options have no shape worth an error: `supported` names them next.
    let keys: Keys = keys
        .iter()
        .filter(|(k, _)| by_key(k).is_some_and(|o| o.support != Support::Refused))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let whole = Value::Object(keys);
    let validator = jsonschema::validator_for(&schema()).map_err(|e| e.to_string())?;
    let Some(error) = validator.iter_errors(&whole).next() else { return Ok(()) };
    let place = error.instance_path().as_str();
    let key = place.split('/').nth(1).unwrap_or_default();
    let expected = by_key(key).map_or("a known option", |o| o.kind.expected());
    let inside = if place.matches('/').count() > 1 { format!(" (at {place})") } else { String::new() };
    Err(format!("invalid value for {key:?}: expected {expected}{inside}: {error}"))
}

/// Checks that Wharf does what the keys ask for and takes out those without effect; returns a warning for each of these.
///
/// # Errors
/// Names the option that is not supported.
pub fn supported(keys: &mut Keys) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let named: Vec<&Opt> = keys.keys().filter_map(|k| by_key(k)).collect();
    for option in named {
        let key = option.key;
        match option.support {
            Support::Yes => continue,
            Support::Refused => return Err(Error::invalid(format!("the option {key:?} is not supported by this version of wharfd"))),
            Support::NoEffect => warnings.push(format!("the option {key:?} has no effect: {}", option.help)),
            Support::Only(value) => {
                let asked = keys.get(key).map(Value::to_string).unwrap_or_default();
                if asked != value {
                    return Err(Error::invalid(format!(
                        "the option {key:?} with value {asked} is not supported by this version of wharfd (only {value} is: {})",
                        option.help
                    )));
                }
            }
        }
        keys.remove(key);
    }
    Ok(warnings)
}

/// Adds the flags to the file's keys.
///
/// # Errors
/// When an option is in both. Only `runtimes` may be, as long as the names in it differ.
pub fn unite(mut file: Keys, flags: Keys) -> Result<Keys> {
    let mut conflicts = Vec::new();
    for (key, flag) in flags {
        match (file.get_mut(&key), flag) {
            (Some(Value::Object(in_file)), Value::Object(in_flags)) if key == "runtimes" => {
                for (name, flag) in in_flags {
                    match in_file.get(&name) {
                        Some(in_file) => conflicts.push(conflict(&format!("{key}.{name}"), &flag, in_file)),
                        None => _ = in_file.insert(name, flag),
                    }
                }
            }
            (Some(in_file), flag) => conflicts.push(conflict(&key, &flag, in_file)),
            (None, flag) => _ = file.insert(key, flag),
        }
    }
    if conflicts.is_empty() {
        return Ok(file);
    }
    Err(Error::invalid(format!(
        "the following directives are specified both as a flag and in the configuration file: {}",
        conflicts.join(", ")
    )))
}

fn conflict(key: &str, flag: &Value, file: &Value) -> String {
    format!("{key}: (from flag: {}, from file: {})", plain(flag), plain(file))
}

/// The value as dockerd prints it: bare strings, lists as `[a b]`, maps as `map[k:v]`.
fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => format!("map[{}]", map.iter().map(|(k, v)| format!("{k}:{}", plain(v))).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}
