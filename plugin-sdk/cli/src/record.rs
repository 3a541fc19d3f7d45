//! `wharf-plugin record`: decisions in the daemon's log become a case file.
//!
//! The log is the source, because only the engine knows what it judges: a proxy in front of the socket would see requests before they
//! are decoded, and callers that are the proxy.

use crate::request::Request;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, Write, stdin, stdout},
    path::Path,
};

/// Writes a line for each decision.
pub fn run(log: &Path, plugin: Option<&str>) -> Result<()> {
    let reader: Box<dyn BufRead> = if log == Path::new("-") {
        Box::new(stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(log).with_context(|| log.display().to_string())?))
    };
    let mut out = stdout().lock();
    let (mut found, mut plugins) = (0_usize, BTreeSet::new());
    for line in reader.lines() {
        if let Some(case) = case(&line?, plugin, &mut plugins)? {
            writeln!(out, "{case}")?;
            found += 1;
        }
    }
    if found == 0 {
        bail!("{}: {}", log.display(), nothing(plugin, &plugins));
    }
    eprintln!("{found} decisions");
    Ok(())
}

/// Why nothing was found, of a log that speaks of these plugins.
fn nothing(plugin: Option<&str>, plugins: &BTreeSet<String>) -> String {
    match plugin {
        Some(plugin) if !plugins.is_empty() => {
            format!("no decisions of {plugin}; there are some of {}", plugins.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        }
        _ => "no decisions; the daemon writes them with \"log-level\": \"trace\" and \"log-format\": \"json\"".to_owned(),
    }
}

/// The engine leaves the usual tag out where it names plugins.
fn familiar(plugin: &str) -> &str {
    plugin.strip_suffix(":latest").unwrap_or(plugin)
}

/// A line of a log: nothing when it is not about a decision of the plugin that is wanted. All are added to `plugins`.
fn case(line: &str, wanted: Option<&str>, plugins: &mut BTreeSet<String>) -> Result<Option<Value>> {
    // Other programs write to a journal, too.
    let Ok(entry) = serde_json::from_str::<Value>(line) else { return Ok(None) };
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let (Some("wharf::authz"), Some(request), Some(decision)) = (text("target"), text("request"), text("decision")) else {
        return Ok(None);
    };
    let plugin = familiar(text("plugin").unwrap_or_default());
    plugins.insert(plugin.to_owned());
    if wanted.is_some_and(|wanted| familiar(wanted) != plugin) {
        return Ok(None);
    }
    let context = || format!("a decision that this version does not understand: {line}");
    let recorded: Value = serde_json::from_str(request).with_context(context)?;
    serde_json::from_value::<Request>(recorded.clone()).with_context(context)?;
    let verdict: Value = serde_json::from_str(decision).with_context(context)?;
    Ok(Some(json!({"request": recorded, "expect": expect(&verdict, text("rule")).with_context(context)?})))
}

/// What the log says of a verdict (`{"Deny": …}`), in the form of a case.
fn expect(verdict: &Value, rule: Option<&str>) -> Option<Value> {
    let mut expect = match verdict {
        Value::String(word) if word == "Allow" => json!({"verdict": "allow"}),
        Value::Object(one) => match one.iter().next()? {
            (word, patches) if word == "AllowWith" => json!({"verdict": "allow-with", "patches": patches}),
            (word, denial) if word == "Deny" => json!({"verdict": "deny", "reason": denial.get("reason")?, "hide": denial.get("hide")?}),
            (word, reason) if word == "Error" => json!({"verdict": "error", "reason": reason}),
            _ => return None,
        },
        _ => return None,
    };
    if let (Some(rule), Some(fields)) = (rule.filter(|r| !r.is_empty()), expect.as_object_mut()) {
        fields.insert("rule".to_owned(), rule.into());
    }
    Some(expect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_become_cases() {
        let line = json!({
            "target": "wharf::authz", "level": "TRACE", "plugin": "p", "rule": "line 3",
            "request": json!({"action": "container.start", "caller": {"unix": null, "tls": null}}).to_string(),
            "decision": json!({"Deny": {"reason": "no", "hide": true}}).to_string(),
        });
        let mut plugins = BTreeSet::new();
        let mut case = |line: &str, wanted| super::case(line, wanted, &mut plugins).unwrap();
        let found = case(&line.to_string(), Some("p")).unwrap();
        assert_eq!(found["expect"], json!({"verdict": "deny", "reason": "no", "hide": true, "rule": "line 3"}));
        assert!(crate::step::parse(&found.to_string()).is_ok());
        assert_eq!(case(&line.to_string(), Some("p:latest")).unwrap(), found);
        assert!(case(&line.to_string(), Some("p:2")).is_none() && case(&line.to_string(), Some("q")).is_none());
        assert!(case("wharfd[3]: starting", None).is_none());
        assert!(case(r#"{"target":"wharf::authz","action":"x"}"#, None).is_none());
        assert_eq!(nothing(Some("q"), &plugins), "no decisions of q; there are some of p");
        assert!(nothing(Some("q"), &BTreeSet::new()).contains("log-level"));
    }
}
