//! The options of log drivers (`--log-opt`), in Docker's words.

mod attributes;
mod size;
mod tag;

pub use attributes::attributes;
pub use tag::TagContext;

use regex::Regex;
use size::{Base, parse_size};
use std::collections::BTreeMap;
use tag::Template;
use wharf_types::{Error, Result};

/// Names of the drivers that there are, beside `none`.
pub const DRIVERS: [&str; 2] = ["json-file", "local"];

/// What the options of a log driver say.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Bytes after which a file is rotated; never when absent.
    pub max_size: Option<u64>,
    /// How many files are kept, the current one included.
    pub max_file: u32,
    /// Whether rotated files are compressed.
    pub compress: bool,
    attributes: Selection,
}

/// Which labels and variables of a container become attributes of its entries.
#[derive(Debug, Clone, Default)]
struct Selection {
    labels: Vec<String>,
    labels_regex: Option<Regex>,
    env: Vec<String>,
    env_regex: Option<Regex>,
    tag: Option<Template>,
}

/// 20 MiB: where `local` rotates by default.
const LOCAL_MAX_SIZE: u64 = 20 << 20;
const LOCAL_MAX_FILE: u32 = 5;

/// Checks and reads the options of a driver.
///
/// # Errors
/// [`wharf_types::ErrorKind::InvalidParameter`] for an unknown driver, an unknown option or a wrong value.
pub fn parse_options(driver: &str, options: &BTreeMap<String, String>) -> Result<LogOptions> {
    let mut parsed = match driver {
        "json-file" | "none" => LogOptions { max_size: None, max_file: 1, compress: false, attributes: Selection::default() },
        "local" => {
            LogOptions { max_size: Some(LOCAL_MAX_SIZE), max_file: LOCAL_MAX_FILE, compress: true, attributes: Selection::default() }
        }
        _ => return Err(Error::invalid(format!("logger: no log driver named '{driver}' is registered"))),
    };
    check_mode(options)?;
    for (name, value) in options {
        match (driver, name.as_str()) {
            (_, "mode") => {}
            // Docker reads the sizes of the two drivers differently.
            ("json-file", "max-size") => parsed.max_size = limit(parse_size(value, Base::Thousand)?),
            ("local", "max-size") => parsed.max_size = limit(parse_size(value, Base::Binary)?),
            ("json-file" | "local", "max-file") => parsed.max_file = file_count(value)?,
            ("json-file" | "local", "compress") => parsed.compress = boolean(name, value)?,
            ("json-file", "labels") => parsed.attributes.labels = list(value),
            ("json-file", "env") => parsed.attributes.env = list(value),
            ("json-file", "labels-regex") => parsed.attributes.labels_regex = Some(pattern(name, value)?),
            ("json-file", "env-regex") => parsed.attributes.env_regex = Some(pattern(name, value)?),
            ("json-file", "tag") => parsed.attributes.tag = Some(value.parse()?),
            _ => return Err(Error::invalid(format!("unknown log opt '{name}' for {driver} log driver"))),
        }
    }
    if parsed.compress && (parsed.max_file < 2 || parsed.max_size.is_none()) {
        if driver == "json-file" || options.contains_key("compress") {
            return Err(Error::invalid("compress cannot be true when max-file is less than 2 or max-size is not set"));
        }
        // The default of `local`, which means nothing to a log of one file.
        parsed.compress = false;
    }
    Ok(parsed)
}

/// Output always waits for the log: there is no ring buffer in front of it.
fn check_mode(options: &BTreeMap<String, String>) -> Result<()> {
    match options.get("mode").map(String::as_str) {
        None | Some("" | "blocking") => {}
        Some(other) => return Err(Error::invalid(format!("logger: logging mode not supported: {other}"))),
    }
    if options.contains_key("max-buffer-size") {
        return Err(Error::invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'"));
    }
    Ok(())
}

/// Zero and less: no limit.
fn limit(size: i64) -> Option<u64> {
    u64::try_from(size).ok().filter(|size| *size > 0)
}

fn file_count(value: &str) -> Result<u32> {
    match value.parse::<i64>() {
        Ok(n) if n < 1 => Err(Error::invalid("max-file cannot be less than 1")),
        Ok(n) if n <= i64::from(u32::MAX) => Ok(n as u32),
        _ => Err(Error::invalid(format!("invalid value for max-file: {value:?} is no number"))),
    }
}

/// As Go reads booleans.
fn boolean(name: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::invalid(format!("invalid value for {name}: {value:?} is neither true nor false"))),
    }
}

fn list(value: &str) -> Vec<String> {
    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn pattern(name: &str, value: &str) -> Result<Regex> {
    Regex::new(value).map_err(|e| Error::invalid(format!("invalid value for {name}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_types::ErrorKind;

    fn parse(driver: &str, options: &[(&str, &str)]) -> Result<LogOptions> {
        parse_options(driver, &options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn limits(driver: &str, options: &[(&str, &str)]) -> (Option<u64>, u32, bool) {
        let o = parse(driver, options).unwrap();
        (o.max_size, o.max_file, o.compress)
    }

    #[test]
    fn defaults_and_values() {
        assert_eq!(limits("json-file", &[]), (None, 1, false));
        assert_eq!(limits("json-file", &[("max-size", "10m"), ("max-file", "3"), ("compress", "true")]), (Some(10_000_000), 3, true));
        assert_eq!(limits("json-file", &[("max-size", "-1"), ("mode", "blocking")]), (None, 1, false));
        assert_eq!(limits("local", &[]), (Some(20 << 20), 5, true));
        assert_eq!(limits("local", &[("max-size", "1k"), ("compress", "0")]), (Some(1024), 5, false));
        assert_eq!(limits("local", &[("max-file", "1")]), (Some(20 << 20), 1, false));
        assert_eq!(limits("none", &[]), (None, 1, false));
    }

    #[test]
    fn refusals_are_dockers() {
        for (driver, options, text) in [
            ("json-file", &[("x", "1")][..], "unknown log opt 'x' for json-file log driver"),
            ("local", &[("labels", "a")], "unknown log opt 'labels' for local log driver"),
            ("none", &[("max-size", "1m")], "unknown log opt 'max-size' for none log driver"),
            ("syslog", &[], "logger: no log driver named 'syslog' is registered"),
            ("json-file", &[("compress", "true")], "compress cannot be true when max-file is less than 2 or max-size is not set"),
            (
                "local",
                &[("compress", "true"), ("max-file", "1")],
                "compress cannot be true when max-file is less than 2 or max-size is not set",
            ),
            ("json-file", &[("mode", "x")], "logger: logging mode not supported: x"),
            ("json-file", &[("mode", "non-blocking")], "logger: logging mode not supported: non-blocking"),
            ("json-file", &[("max-buffer-size", "1m")], "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
            ("json-file", &[("max-file", "0")], "max-file cannot be less than 1"),
            ("json-file", &[("max-file", "x")], "invalid value for max-file: \"x\" is no number"),
            ("json-file", &[("max-size", "x")], "invalid size: 'x'"),
            ("json-file", &[("compress", "yes")], "invalid value for compress: \"yes\" is neither true nor false"),
        ] {
            let e = parse(driver, options).unwrap_err();
            assert_eq!((e.kind(), e.message()), (ErrorKind::InvalidParameter, text));
        }
        assert!(parse("json-file", &[("env-regex", "(")]).unwrap_err().message().starts_with("invalid value for env-regex: "));
    }
}
