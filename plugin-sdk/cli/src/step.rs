//! One line of a case file, of a recording, or of the protocol of `wharf-plugin host`.

use crate::request::{Asker, Decided, Request, Target};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What to do, and what should come of it. Exactly one of the fields before `expect` is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// For messages.
    pub name: Option<String>,
    /// Is judged.
    pub request: Option<Request>,
    /// Which objects a caller may see.
    pub filter: Option<Filter>,
    /// Settings by their names, as of `docker plugin set`; the plugin starts anew with them.
    pub settings: Option<BTreeMap<String, Value>>,
    /// Files by their names, put into the directory `${DIR}`; nothing instead of a text removes one. The plugin reads them again.
    pub files: Option<BTreeMap<String, Option<String>>>,
    /// Limits; the plugin starts anew with them.
    pub limits: Option<Bounds>,
    /// All instances are dropped, and the plugin starts anew, as after a crash of the engine.
    pub restart: Option<bool>,
    /// Shows the plugin's log.
    pub log: Option<bool>,
    /// For requests, filters, and what may fail.
    pub expect: Option<Expect>,
}

/// The question about a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Who asks.
    #[serde(default)]
    pub caller: Asker,
    /// What for.
    pub objects: Vec<Target>,
}

/// Limits for a test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// Milliseconds.
    pub deadline: Option<u64>,
    /// Bytes.
    pub memory: Option<u64>,
}

/// What comes of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Of a request.
    Decision(Decided),
    /// Of a filter.
    Seen(Vec<bool>),
    /// Of everything else that went well.
    Done(bool),
    /// The plugin's log.
    Log(Vec<String>),
    /// It failed.
    Error(String),
}

/// What should come of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expect {
    /// A verdict, or `done`.
    Verdict(String),
    /// Of a filter.
    Seen(Vec<bool>),
    /// What is left out may be anything.
    Parts(Parts),
}

/// Parts of a decision.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parts {
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    /// Is part of the reason, or of the message of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hide: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patches: Option<Vec<Value>>,
    /// Is part of the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

impl Expect {
    /// Whether the answer is as it should be.
    pub fn holds(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Verdict(wanted), Answer::Decision(found)) => *wanted == found.verdict,
            (Self::Verdict(wanted), Answer::Done(_)) => wanted == "done",
            (Self::Verdict(wanted), Answer::Error(_)) => wanted == "error",
            (Self::Seen(wanted), Answer::Seen(found)) => wanted == found,
            (Self::Parts(parts), Answer::Decision(found)) => parts.hold(found),
            (Self::Parts(parts), Answer::Error(e)) => {
                parts.hold(&Decided { verdict: "error".to_owned(), reason: e.clone(), ..Decided::default() })
            }
            _ => false,
        }
    }

    /// A recorded decision.
    pub fn decided(&self) -> Option<Decided> {
        match self {
            Self::Verdict(verdict) => Some(Decided { verdict: verdict.clone(), ..Decided::default() }),
            Self::Seen(_) => None,
            Self::Parts(Parts { verdict, reason, hide, patches, rule }) => Some(Decided {
                verdict: verdict.clone()?,
                reason: reason.clone().unwrap_or_default(),
                hide: hide.unwrap_or_default(),
                patches: patches.clone().unwrap_or_default(),
                rule: rule.clone().unwrap_or_default(),
            }),
        }
    }
}

impl Parts {
    fn hold(&self, found: &Decided) -> bool {
        self.verdict.as_ref().is_none_or(|v| *v == found.verdict)
            && self.reason.as_ref().is_none_or(|r| found.reason.contains(r))
            && self.hide.is_none_or(|h| h == found.hide)
            && self.patches.as_ref().is_none_or(|p| *p == found.patches)
            && self.rule.as_ref().is_none_or(|r| found.rule.contains(r))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Decision(decided) => decided.fmt(f),
            Self::Seen(seen) => write!(f, "{seen:?}"),
            Self::Done(_) => f.write_str("done"),
            Self::Log(lines) => write!(f, "{} lines", lines.len()),
            Self::Error(e) => write!(f, "error: {e}"),
        }
    }
}

/// A step and where it stands.
#[derive(Debug)]
pub struct Line {
    /// `FILE:LINE`, and its name when it has one.
    pub place: String,
    /// What stands there.
    pub step: Step,
}

/// Reads one.
pub fn parse(line: &str) -> Result<Step> {
    let step: Step = serde_json::from_str(line)?;
    let Step { request, filter, settings, files, limits, restart, log, .. } = &step;
    let there =
        [request.is_some(), filter.is_some(), settings.is_some(), files.is_some(), limits.is_some(), restart.is_some(), log.is_some()];
    if there.iter().filter(|t| **t).count() != 1 {
        bail!("a step has exactly one of request, filter, settings, files, limits, restart, log");
    }
    Ok(step)
}

/// Reads a file of steps; empty lines and those that begin with `//` are nothing.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with("//") {
            continue;
        }
        let place = format!("{}:{}", path.display(), number + 1);
        let step = parse(line).with_context(|| place.clone())?;
        let place = step.name.as_ref().map_or_else(|| place.clone(), |name| format!("{place}: {name}"));
        lines.push(Line { place, step });
    }
    Ok(lines)
}

/// Reads several files.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Line>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(read(path)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(text: &str) -> Expect {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn expectations() {
        let denied =
            Answer::Decision(Decided { verdict: "deny".into(), reason: "not you".into(), rule: "line 3".into(), ..Decided::default() });
        for (text, holds) in [
            (r#""deny""#, true),
            (r#""allow""#, false),
            (r#"{"reason":"you"}"#, true),
            (r#"{"reason":"me"}"#, false),
            (r#"{"verdict":"deny","rule":"3","hide":false,"patches":[]}"#, true),
            (r#"{"hide":true}"#, false),
            ("[true]", false),
        ] {
            assert_eq!(expect(text).holds(&denied), holds, "{text}");
        }
        assert!(expect(r#"{"reason":"no file"}"#).holds(&Answer::Error("there is no file".into())));
        assert!(expect("[true,false]").holds(&Answer::Seen(vec![true, false])));
    }

    #[test]
    fn one_thing_in_a_step() {
        assert!(parse(r#"{"name":"x","restart":true}"#).is_ok());
        assert!(parse(r#"{"name":"x"}"#).is_err());
        assert!(parse(r#"{"restart":true,"log":true}"#).is_err());
        assert!(parse(r#"{"request":{"action":"a"},"expects":"allow"}"#).unwrap_err().to_string().contains("expects"));
    }
}
