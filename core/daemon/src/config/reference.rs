//! What the table tells people and editors: the JSON schema of `daemon.json` and the reference page of the manual.

use super::table::{Opt, Section, Support, TABLE};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The JSON schema of `daemon.json`: the supported keys and the shape of each.
pub fn schema() -> Value {
    let accepted = TABLE.iter().filter(|o| o.in_file && o.support != Support::Refused);
    let properties: Map<String, Value> = accepted.map(|o| (o.key.to_owned(), property(o))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wharfd daemon.json",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn property(option: &Opt) -> Value {
    let mut schema = option.kind.schema();
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".into(), option.help.into());
    }
    schema
}

/// The page `docs/operator/daemon-json.md`.
pub fn markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in Section::ALL {
        let _ = write!(page, "\n## {}\n\n", section.title());
        let rows = TABLE.iter().filter(|o| o.section == section);
        if section == Section::Unsupported {
            page.push_str("| `daemon.json` | Flag | Answer |\n|---|---|---|\n");
            rows.for_each(|o| _ = writeln!(page, "| {} | {} | {} |", key(o), flag(o), answer(o)));
        } else {
            page.push_str("| `daemon.json` | Flag | Value | Default | Meaning |\n|---|---|---|---|---|\n");
            rows.for_each(|o| {
                _ = writeln!(
                    page,
                    "| {} | {} | {} | {} | {} |",
                    key(o),
                    flag(o),
                    o.kind.expected().replace('|', "\\|"),
                    code(o.default),
                    meaning(o)
                )
            });
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Configuring wharfd

<!-- Generated from the table of options by `make docs`; edit core/daemon/src/config/table.rs instead. -->

Every option is a flag, a key of the configuration file, or both. The file is one JSON object, by default
`/etc/wharf/daemon.json`; it may be missing, and another one is named with `--config-file`. `wharfd --validate` checks file and
flags without starting anything. [daemon.schema.json](daemon.schema.json) describes the file for editors.

* An option must not be given in both places; only `runtimes` may, with different names.
* A key that is not listed here is an error, and so is one that this version does not support.
* A flag of a list or a map is repeated. A bare boolean flag means `true`; `--flag=false` turns it off.
* An environment variable, where one is named, overrides file and flag.
* Options marked so are taken over when the daemon gets SIGHUP; the others change at its next start.
";

fn key(option: &Opt) -> String {
    if option.in_file { code(option.key) } else { String::new() }
}

fn flag(option: &Opt) -> String {
    let short = option.short.map(|s| format!("`-{s}`, ")).unwrap_or_default();
    option.flag.map(|f| format!("{short}`--{f}`")).unwrap_or_default()
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn meaning(option: &Opt) -> String {
    let env = option.env.map(|name| format!(" Environment: `{name}`.")).unwrap_or_default();
    let reload = if option.reload { " Reloaded on SIGHUP." } else { "" };
    format!("{}.{env}{reload}", option.help)
}

fn answer(option: &Opt) -> String {
    match option.support {
        Support::Only(value) => format!("Only `{value}` is accepted. {}.", option.help),
        Support::NoEffect => format!("Accepted and logged as having no effect. {}.", option.help),
        Support::Yes | Support::Refused => "Refused.".into(),
    }
}
