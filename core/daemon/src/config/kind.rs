//! The shapes a configuration value can have: how it reads on the command line, what it must look like in `daemon.json`,
//! and what an error calls it. Meaning (is this a known ulimit, is that an address) is checked in [`super::resolve`].

use serde_json::{Map, Value, json};

/// The shape of one option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; a bare flag means `true`.
    Bool,
    /// A whole number.
    Int,
    /// A string.
    Text,
    /// A number of bytes, or a string with a unit such as `64M`.
    Size,
    /// Strings; the flag is repeated.
    List,
    /// Strings by name; the flag is repeated with `name=value`.
    Map,
    /// Resource limits by name; the flag is `name=soft[:hard]`.
    Ulimits,
    /// Runtimes by name; the flag is `name=path`.
    Runtimes,
    /// Address pools; the flag is `base=CIDR,size=PREFIX`.
    Pools,
    /// Plugins in directories; there is no flag.
    Plugins,
    /// Any JSON: the shape of options that are refused by name.
    Any,
}

impl Kind {
    /// What an error says was expected.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Text => "a string",
            Self::Size => "a size: an integer or a string such as \"64M\"",
            Self::List => "an array of strings",
            Self::Map => "an object of strings",
            Self::Ulimits => "an object of {\"Name\", \"Soft\", \"Hard\"} by name",
            Self::Runtimes => "an object of {\"path\", \"runtimeArgs\"} by name",
            Self::Pools => "an array of {\"base\", \"size\"}",
            Self::Plugins => "an array of {\"name\", \"path\", \"settings\", \"permissions\"}",
            Self::Any => "any value",
        }
    }

    /// The JSON schema of the value in `daemon.json`.
    pub fn schema(self) -> Value {
        match self {
            Self::Bool => json!({"type": "boolean"}),
            Self::Int => json!({"type": "integer"}),
            Self::Text => json!({"type": "string"}),
            Self::Size => json!({"type": ["string", "integer"]}),
            Self::List => json!({"type": "array", "items": {"type": "string"}}),
            Self::Map => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Ulimits => {
                by_name(json!({"Name": {"type": "string"}, "Soft": {"type": "integer"}, "Hard": {"type": "integer"}}), &["Soft", "Hard"])
            }
            Self::Runtimes => {
                by_name(json!({"path": {"type": "string"}, "runtimeArgs": {"type": "array", "items": {"type": "string"}}}), &["path"])
            }
            Self::Pools => json!({"type": "array", "items": object(
                json!({"base": {"type": "string"}, "size": {"type": "integer"}}), &["base", "size"])}),
            Self::Plugins => json!({"type": "array", "items": object(
                json!({
                    "name": {"type": "string"},
                    "path": {"type": "string"},
                    "settings": {"type": "object"},
                    "permissions": {"type": "array", "items": {"type": "string"}},
                }),
                &["name", "path"],
            )}),
            Self::Any => json!({}),
        }
    }

    /// Whether repeating the flag adds to the value instead of replacing it.
    pub fn repeats(self) -> bool {
        matches!(self, Self::List | Self::Map | Self::Ulimits | Self::Runtimes | Self::Pools)
    }

    /// What stands for the value in `--help`.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Bool => "true|false",
            Self::Int => "N",
            Self::Size => "BYTES",
            Self::Map => "NAME=VALUE",
            Self::Ulimits => "NAME=SOFT[:HARD]",
            Self::Runtimes => "NAME=PATH",
            Self::Pools => "base=CIDR,size=PREFIX",
            Self::Text | Self::List | Self::Plugins | Self::Any => "VALUE",
        }
    }

    /// The JSON form of what the command line gave; `given` holds every occurrence of the flag in order.
    ///
    /// # Errors
    /// Why the text does not have this shape.
    pub fn read_flag(self, given: &[String]) -> Result<Value, String> {
        let last = given.last().map(String::as_str).unwrap_or_default();
        match self {
            Self::Bool => bool_of(last).map(Value::from),
            Self::Int => last.parse::<i64>().map(Value::from).map_err(|_| format!("{last:?} is not an integer")),
            Self::Text | Self::Size | Self::Any => Ok(Value::from(last)),
            Self::List => Ok(given.iter().map(String::as_str).collect()),
            Self::Map => collect(given, |name, value| Ok((name, Value::from(value)))),
            Self::Runtimes => collect(given, |name, value| Ok((name, json!({"path": value})))),
            Self::Ulimits => collect(given, ulimit),
            Self::Pools => given.iter().map(|text| pool(text)).collect(),
            Self::Plugins => Err("plugins are named in the file only".to_owned()),
        }
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn by_name(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "additionalProperties": object(properties, required)})
}

/// The spellings that Go's `strconv.ParseBool` takes, which existing unit files and scripts use.
fn bool_of(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

fn collect<'a>(given: &'a [String], entry: impl Fn(&'a str, &'a str) -> Result<(&'a str, Value), String>) -> Result<Value, String> {
    let mut map = Map::new();
    for text in given {
        let (name, value) =
            text.split_once('=').filter(|(n, _)| !n.is_empty()).ok_or_else(|| format!("{text:?} is not of the form name=value"))?;
        let (name, value) = entry(name, value)?;
        map.insert(name.to_owned(), value);
    }
    Ok(Value::Object(map))
}

fn ulimit<'a>(name: &'a str, limits: &'a str) -> Result<(&'a str, Value), String> {
    let number = |text: &str| text.parse::<i64>().map_err(|_| format!("invalid ulimit argument: {name}={limits}"));
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    Ok((name, json!({"Name": name, "Soft": number(soft)?, "Hard": number(hard)?})))
}

fn pool(text: &str) -> Result<Value, String> {
    let mut map = Map::new();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("base", base)) => map.insert("base".into(), base.into()),
            Some(("size", size)) => map.insert(
                "size".into(),
                size.parse::<u8>().map_err(|_| format!("invalid size value: {size:?} (must be an integer)"))?.into(),
            ),
            _ => return Err(format!("{part:?} is neither base=CIDR nor size=PREFIX")),
        };
    }
    if map.len() == 2 { Ok(Value::Object(map)) } else { Err(format!("{text:?} must give both base and size")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(kind: Kind, given: &[&str]) -> Result<Value, String> {
        kind.read_flag(&given.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_take_the_form_that_the_file_has() {
        for (kind, given, json) in [
            (Kind::Bool, &["false", "T"][..], json!(true)),
            (Kind::Int, &["3", "-1"], json!(-1)),
            (Kind::List, &["a", "b"], json!(["a", "b"])),
            (Kind::Map, &["max-size=1m", "x=a=b"], json!({"max-size": "1m", "x": "a=b"})),
            (
                Kind::Ulimits,
                &["nofile=1:2", "core=0"],
                json!({"nofile": {"Name": "nofile", "Soft": 1, "Hard": 2}, "core": {"Name": "core", "Soft": 0, "Hard": 0}}),
            ),
            (Kind::Runtimes, &["crun=/usr/bin/crun"], json!({"crun": {"path": "/usr/bin/crun"}})),
            (Kind::Pools, &["base=10.0.0.0/8,size=24"], json!([{"base": "10.0.0.0/8", "size": 24}])),
        ] {
            assert_eq!(flag(kind, given).unwrap(), json);
            assert!(jsonschema::is_valid(&kind.schema(), &json), "{kind:?}");
        }
    }

    #[test]
    fn malformed_flags_say_why() {
        for (kind, given, text) in [
            (Kind::Bool, "yes", r#""yes" is neither true nor false"#),
            (Kind::Int, "x", r#""x" is not an integer"#),
            (Kind::Map, "a", r#""a" is not of the form name=value"#),
            (Kind::Runtimes, "=x", r#""=x" is not of the form name=value"#),
            (Kind::Ulimits, "nofile=x", "invalid ulimit argument: nofile=x"),
            (Kind::Pools, "base=10.0.0.0/8", r#""base=10.0.0.0/8" must give both base and size"#),
            (Kind::Pools, "base=10.0.0.0/8,size=a", r#"invalid size value: "a" (must be an integer)"#),
        ] {
            assert_eq!(flag(kind, &[given]).unwrap_err(), text);
        }
    }
}
