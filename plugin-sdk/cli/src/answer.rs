//! What comes of a step, and what should come of it.

use crate::request::Decided;
use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::Value;

/// What comes of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Of a request.
    Decision(Decided),
    /// Of everything else that went well: what the plugin answered, or `done`.
    Result(Value),
    /// The plugin's log.
    Log(Vec<String>),
    /// It failed.
    Error(String),
    /// It is no step.
    Wrong(String),
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Decision(decided) => decided.fmt(f),
            Self::Result(result) => result.fmt(f),
            Self::Log(lines) => write!(f, "{} lines", lines.len()),
            Self::Error(e) => write!(f, "error: {e}"),
            Self::Wrong(what) => f.write_str(what),
        }
    }
}

/// What should come of a step; what is left out may be anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expect(Value);

/// Parts of a decision.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parts {
    verdict: Option<String>,
    /// Is part of the reason, or of the message of an error.
    reason: Option<String>,
    hide: Option<bool>,
    patches: Option<Vec<Value>>,
    /// Is part of the rule.
    rule: Option<String>,
}

impl Expect {
    /// Of what stands in a file.
    pub fn new(wanted: Value) -> Self {
        Self(wanted)
    }

    /// Whether the answer is as it should be.
    pub fn holds(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Decision(found) => self.parts().is_ok_and(|parts| parts.hold(found)),
            Answer::Error(e) => {
                let found = Decided { verdict: "error".to_owned(), reason: e.clone(), ..Decided::default() };
                self.is_failure() && self.parts().is_ok_and(|parts| parts.hold(&found))
            }
            Answer::Result(found) => covers(&self.0, found),
            Answer::Log(lines) => contains(&self.0, lines),
            Answer::Wrong(_) => false,
        }
    }

    /// Whether what is no decision is to fail.
    pub fn is_failure(&self) -> bool {
        self.parts().is_ok_and(|parts| parts.verdict.is_some_and(|verdict| verdict == "error") || parts.reason.is_some())
    }

    /// A recorded decision.
    pub fn decided(&self) -> Option<Decided> {
        let Parts { verdict, reason, hide, patches, rule } = self.parts().ok()?;
        Some(Decided {
            verdict: verdict?,
            reason: reason.unwrap_or_default(),
            hide: hide.unwrap_or_default(),
            patches: patches.unwrap_or_default(),
            rule: rule.unwrap_or_default(),
        })
    }

    /// As what a decision may be. A text is its verdict.
    ///
    /// # Errors
    /// It is about something else.
    pub fn parts(&self) -> serde_json::Result<Parts> {
        match &self.0 {
            Value::String(verdict) => Ok(Parts { verdict: Some(verdict.clone()), ..Parts::default() }),
            Value::Object(_) => Parts::deserialize(&self.0),
            other => Err(serde_json::Error::custom(format!("{other} is no decision"))),
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

/// Fields that are not wanted are nobody's business; everything else is as it is wanted.
fn covers(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| covers(wanted, found)))
        }
        (Value::Array(wanted), Value::Array(found)) => {
            wanted.len() == found.len() && wanted.iter().zip(found).all(|(wanted, found)| covers(wanted, found))
        }
        // 2 and 2.0
        (Value::Number(wanted), Value::Number(found)) => wanted.as_f64() == found.as_f64(),
        // The text of a line, whatever else belongs to it.
        (Value::String(_), Value::Object(line)) => line.get("line") == Some(wanted),
        _ => wanted == found,
    }
}

/// Each text is part of a line, one after the other.
fn contains(wanted: &Value, lines: &[String]) -> bool {
    let mut lines = lines.iter();
    let mut one = |wanted: &Value| wanted.as_str().is_some_and(|wanted| lines.any(|line| line.contains(wanted)));
    match wanted {
        Value::Array(all) => all.iter().all(one),
        text => one(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let error = Answer::Error("there is no file".into());
        assert!(expect(r#"{"reason":"no file"}"#).holds(&error) && expect(r#""error""#).holds(&error));
        assert!(!expect("{}").holds(&error) && !expect("[]").holds(&error) && !expect("[]").holds(&denied));
        assert!(!expect(r#"{"address":"10.1.0.2"}"#).holds(&error) && !expect(r#""done""#).holds(&error));
    }

    #[test]
    fn answers_hold_what_is_wanted_of_them() {
        let lease = Answer::Result(json!({"address": "10.1.0.2", "owner": {"name": "web", "mac": ""}, "used": 2.0, "seen": [true, false]}));
        for (text, holds) in [
            ("{}", true),
            (r#"{"address":"10.1.0.2","owner":{"name":"web"},"used":2}"#, true),
            (r#"{"seen":[true,false]}"#, true),
            (r#"{"seen":[true]}"#, false),
            (r#"{"address":"10.1.0.3"}"#, false),
            (r#"{"adress":"10.1.0.2"}"#, false),
            (r#"{"owner":{"name":"db"}}"#, false),
            (r#""done""#, false),
            (r#""error""#, false),
        ] {
            assert_eq!(expect(text).holds(&lease), holds, "{text}");
        }
        let lines = Answer::Result(json!([{"line": "a", "stream": "stdout"}, {"line": "b", "stream": "stderr"}]));
        assert!(expect(r#"["a", {"line": "b", "stream": "stderr"}]"#).holds(&lines) && !expect(r#"["a", "a"]"#).holds(&lines));
        let log = Answer::Log(vec!["1 info one".into(), "2 warn two".into()]);
        assert!(expect(r#""two""#).holds(&log) && expect(r#"["one", "two"]"#).holds(&log));
        assert!(!expect(r#"["two", "one"]"#).holds(&log) && !expect("[1]").holds(&log));
    }
}
