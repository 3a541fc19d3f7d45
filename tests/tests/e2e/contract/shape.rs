//! What counts of an answer: every path with its type, and its value unless that is bound to the run.

use std::collections::BTreeMap;

use serde_json::Value;
use wharf_tests::Daemon;
use wharf_tests::http::Reply;

/// Paths of an answer and what is there.
pub type Shape = BTreeMap<String, String>;

/// Text that differs from run to run and has a name here.
pub struct Words(Vec<(String, &'static str)>);

/// Where only the type counts: patterns of `LABEL VERSION PATH`, with `*` for anything.
const BOUND_TO_THE_RUN: [&str; 30] = [
    "*.State.Pid",
    "* .Pid",
    "list*.Created",
    "*.Containers[*].Created",
    "list*.SizeRw",
    "events*.time",
    "events*.timeNano",
    "info* .ID",
    "info* .NFd",
    "info* .NGoroutines",
    "info* .MemTotal",
    "info* .NEventsListener",
    "stats*_stats.*",
    "stats* .num_procs",
    "stats* .networks.*",
    "stats* .network.*",
    "stats* .read",
    "stats* .preread",
    "top* .Processes[*]",
    "list*.Status",
    "*df*.Status",
    "*df*.SizeRw",
    "* .GraphDriver.Data.*",
    "*.Health.Log[*].Start",
    "*.Health.Log[*].End",
    "*MacAddress",
    "commit* .Id",
    "*committed*",
    "headers*Date",
    "load*progressDetail*",
];

/// Lists without an order: dockerd keeps these in maps.
const UNORDERED: [&str; 11] = [
    "*.Mounts",
    "*.Ports",
    "*.Images",
    "*.RepoTags",
    "*.IndexConfigs",
    "*.ImagesDeleted",
    "*.ContainersDeleted",
    "images* ",
    "no images* ",
    "changes* ",
    "*.ExecIDs",
];

impl Words {
    /// The words of a daemon.
    pub fn of(daemon: &Daemon) -> Words {
        Words(vec![(daemon.dir().display().to_string(), "<dir>")])
    }

    fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, name) in &self.0 {
            text = text.replace(word, name);
        }
        times(&addresses(&hexadecimals(&text)))
    }
}

/// The shape of a reply: `.status`, the type of its body, and the body.
pub fn of(label: &str, reply: &Reply, words: &Words) -> Shape {
    let mut shape = Shape::new();
    shape.insert("status".into(), reply.status().to_string());
    shape.insert("content-type".into(), reply.header("content-type").unwrap_or("none").to_owned());
    let text = reply.text();
    let lines: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    match (serde_json::from_str::<Value>(&text), lines) {
        (Ok(document), _) => flatten(&document, String::new(), label, words, &mut shape),
        (_, Ok(lines)) => flatten(&Value::Array(lines), String::new(), label, words, &mut shape),
        _ => drop(shape.insert("body".into(), words.apply(&text))),
    }
    shape
}

/// Adds what `value` holds below `path`.
pub fn flatten(value: &Value, path: String, label: &str, words: &Words, into: &mut Shape) {
    let text = match value {
        Value::Array(items) if !items.is_empty() => {
            let mut items: Vec<&Value> = items.iter().collect();
            if any(&UNORDERED, label, &path) {
                items.sort_by_cached_key(|item| item.to_string());
            }
            for (n, item) in items.into_iter().enumerate() {
                flatten(item, format!("{path}[{n}]"), label, words, into);
            }
            return;
        }
        Value::Object(fields) if !fields.is_empty() => {
            for (key, field) in fields {
                flatten(field, format!("{path}.{}", words.apply(key)), label, words, into);
            }
            return;
        }
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        Value::Null => "null".to_owned(),
        other => {
            let kind = match other {
                Value::Bool(_) => "bool",
                Value::Number(n) if n.is_f64() => "float",
                Value::Number(_) => "integer",
                _ => "string",
            };
            if any(&BOUND_TO_THE_RUN, label, &path) {
                kind.to_owned()
            } else {
                format!("{kind} {}", other.as_str().map_or_else(|| other.to_string(), |s| format!("{:?}", words.apply(s))))
            }
        }
    };
    into.insert(path, text);
}

fn any(patterns: &[&str], label: &str, path: &str) -> bool {
    let whole = format!("{label} {path}");
    patterns.iter().any(|pattern| matches(pattern, &whole))
}

/// Whether `text` has the form of `pattern`, in which `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Ids become `<id>` and short ids `<short>`; digests stay, because both engines hold the same images.
fn hexadecimals(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let (word, tail) = rest.split_at(length.max(rest.chars().next().map_or(0, char::len_utf8)));
        let hex = word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match word.len() {
            64 if hex && !out.ends_with("sha256:") => out.push_str("<id>"),
            12 if hex => out.push_str("<short>"),
            _ => out.push_str(word),
        }
        rest = tail;
    }
    out
}

/// An address in the default network becomes `172.17.<n>`: which one is free differs.
fn addresses(text: &str) -> String {
    match text.strip_prefix("172.17.0.") {
        Some(n) if n != "1" && n.parse::<u8>().is_ok() => "172.17.0.<n>".to_owned(),
        _ => text.to_owned(),
    }
}

/// A moment of this run becomes `<time>`; midnights (of the test images) and Go's zero time stay.
fn times(text: &str) -> String {
    let b = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| b.get(range).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    let is_time = digits(0..4) && b.get(4) == Some(&b'-') && b.get(10) == Some(&b'T') && (text.ends_with('Z') || b.len() > 25);
    if is_time && !text.contains("T00:00:00Z") { "<time>".to_owned() } else { text.to_owned() }
}
