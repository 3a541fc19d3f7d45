//! One line of a case file, of a recording, or of the protocol of `wharf-plugin host`.

use crate::{
    answer::Expect,
    around::{Happening, Present},
    call::{
        ipam::Ipam,
        logging::{Logging, Transform},
        metrics::Metrics,
        volume::Volume,
    },
    request::{Asker, Request, Target},
};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use wharf_types::{GoDuration, Timestamp};

/// What to do, and what should come of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// For messages.
    pub name: Option<String>,
    /// The key beside the two others.
    pub what: What,
    /// What is not there must not fail.
    pub expect: Option<Expect>,
}

/// What to do.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Is judged.
    Request(Box<Request>),
    /// Which objects a caller may see.
    Filter(Filter),
    /// Another function of an authorization plugin.
    Authz(Authz),
    /// A function of a log driver.
    Logging(Logging),
    /// A function of a transformation of logs.
    Transform(Transform),
    /// A function of a volume driver.
    Volume(Volume),
    /// A function of a metrics sink.
    Metrics(Metrics),
    /// A function of an IPAM driver.
    Ipam(Ipam),
    /// Settings by their names, as of `docker plugin set`; the plugin starts anew with them.
    Settings(BTreeMap<String, Value>),
    /// Files by their names, put into the directory `${DIR}`; nothing instead of a text removes one. The plugin reads them again.
    Files(BTreeMap<String, Option<String>>),
    /// The operator's secrets by their names; nothing instead of a text removes one.
    Secrets(BTreeMap<String, Option<String>>),
    /// The objects that there are in the engine from now on.
    Objects(Vec<Present>),
    /// What happens in the engine, now.
    Events(Vec<Happening>),
    /// Limits; the plugin starts anew with them.
    Limits(Bounds),
    /// Moves the clock that the plugin sees.
    Clock(Move),
    /// All instances are dropped, and the plugin starts anew, as after a crash of the engine.
    Restart(Yes),
    /// Shows the plugin's log.
    Log(Yes),
    /// Shows the numbers that the plugin reports of itself.
    Numbers(Yes),
}

impl What {
    /// Whether it is a call of a function that the plugin exports.
    pub fn asks(&self) -> bool {
        match self {
            Self::Request(_)
            | Self::Filter(_)
            | Self::Authz(_)
            | Self::Logging(_)
            | Self::Transform(_)
            | Self::Volume(_)
            | Self::Metrics(_)
            | Self::Ipam(_) => true,
            Self::Settings(_)
            | Self::Files(_)
            | Self::Secrets(_)
            | Self::Objects(_)
            | Self::Events(_)
            | Self::Limits(_)
            | Self::Clock(_)
            | Self::Restart(_)
            | Self::Log(_)
            | Self::Numbers(_) => false,
        }
    }
}

/// What stands beside a key that says everything: `true`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "bool")]
pub struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;

    fn try_from(yes: bool) -> Result<Self, Self::Error> {
        if yes { Ok(Self) } else { Err("only true can stand here") }
    }
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

/// A function of `wharf:authz/authorizer` that takes nothing.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authz {
    /// What it wants to be asked.
    Interests,
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

/// How a clock is moved. Timers go off, each at its time.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// So much time passes.
    #[serde(deserialize_with = "duration")]
    Advance(Duration),
    /// The time of day is another one from now on.
    Set(Timestamp),
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    let time: GoDuration = text.parse().map_err(D::Error::custom)?;
    u64::try_from(time.nanos()).map(Duration::from_nanos).map_err(|_| D::Error::custom(format!("{text}: time does not go back")))
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
    let mut fields: Map<String, Value> = serde_json::from_str(line)?;
    let name = fields.remove("name").map(serde_json::from_value).transpose().context("name")?;
    let expect = fields.remove("expect").filter(|expect| !expect.is_null()).map(Expect::new);
    if fields.len() != 1 {
        let found: Vec<&str> = fields.keys().map(String::as_str).collect();
        bail!("a step has one key beside name and expect; this one has {}: {}", found.len(), found.join(", "));
    }
    let what = serde_json::from_value(fields.into())?;
    if let (What::Request(_), Some(expect)) = (&what, &expect) {
        expect.parts().context("expect")?;
    }
    Ok(Step { name, what, expect })
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

    #[test]
    fn one_thing_in_a_step() {
        assert!(parse(r#"{"name":"x","restart":true}"#).is_ok());
        assert!(parse(r#"{"name":"x"}"#).is_err());
        assert!(parse(r#"{"restart":true,"log":true}"#).is_err());
        assert!(parse(r#"{"request":{"action":"a"},"expects":"allow"}"#).unwrap_err().to_string().contains("expects"));
        assert!(parse(r#"{"request":{"action":"a"},"expect":{"raeson":"x"}}"#).is_err());
    }

    /// Every function of every interface that plugins export.
    #[test]
    fn every_function_has_a_step() {
        for (interface, wit, functions) in [
            ("authorizer", "authz", r#"{"authz":"interests"} {"request":{"action":"a"}} {"filter":{"objects":[]}}"#),
            (
                "driver",
                "logging",
                r#"{"logging":{"validate":{}}} {"logging":{"open":{}}} {"logging":{"push":{"lines":["a"]}}} {"logging":{"close":"web"}}"#,
            ),
            ("transform", "logging", r#"{"transform":{"apply":["a"]}}"#),
            (
                "driver",
                "volume",
                r#"{"volume":"capabilities"} {"volume":{"validate":{"a":"b"}}} {"volume":{"create":{"name":"v","key":"k"}}} {"volume":{"remove":{"name":"v"}}}
                   {"volume":{"publish":{"name":"v"}}} {"volume":{"unpublish":{"name":"v"}}} {"volume":{"status":{"name":"v"}}} {"volume":{"reconcile":[]}}"#,
            ),
            ("sink", "metrics", r#"{"metrics":"interests"} {"metrics":{"push":{"families":[]}}}"#),
            (
                "driver",
                "ipam",
                r#"{"ipam":{"open_pool":{"subnet":"10.1.0.0/24"}}} {"ipam":{"close_pool":{"pool":"p"}}} {"ipam":{"allocate":{"pool":"p"}}}
                   {"ipam":{"release":{"pool":"p","address":"10.1.0.2"}}} {"ipam":{"renew":{"pool":"p","address":"10.1.0.2"}}} {"ipam":{"usage":{"pool":"p"}}}
                   {"ipam":{"reconcile":[]}}"#,
            ),
        ] {
            let steps: Vec<Value> = serde_json::Deserializer::from_str(functions).into_iter().map(|step| step.unwrap()).collect();
            steps.iter().for_each(|step| drop(parse(&step.to_string()).unwrap()));
            let (_, text) = crate::toolchain::WIT.into_iter().find(|(name, _)| *name == wit).unwrap();
            let (_, body) = text.split_once(&format!("\ninterface {interface} {{")).unwrap();
            let (body, _) = body.split_once("\n}").unwrap();
            let found = body.matches(": func(").count() + body.matches("constructor(").count();
            assert_eq!(found, steps.len(), "{wit}/{interface}");
        }
        for wrong in [
            r#"{"ipam":{"open_pool":{"subnet":"10.1"}}}"#,
            r#"{"ipam":{"allocate":{"pool":"p","prefered":"10.1.0.2"}}}"#,
            r#"{"volume":{"create":{}}}"#,
            r#"{"volume":{"destroy":{"name":"v"}}}"#,
            r#"{"logging":{"push":{}}}"#,
            r#"{"restart":false}"#,
            r#"{"objects":[{"kind":"exec"}]}"#,
            r#"{"events":[{"kind":"container"}]}"#,
            r#"{"clock":{"advance":"soon"}}"#,
            r#"{"clock":{"advance":"-1s"}}"#,
            r#"{"metrics":{"push":{"families":[{"name":"n","series":[{"value":{"sum":1}}]}]}}}"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
