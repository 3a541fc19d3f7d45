//! The OCI runtime's command line: the one way in which containers are made, whether the runtime is another program or the code in
//! [`crate::oci`].

use std::{ffi::OsString, fs, path::PathBuf};

/// One call of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Where it keeps its state.
    pub root: PathBuf,
    /// Where it writes errors and warnings, as JSON lines.
    pub log: Option<PathBuf>,
    /// The container.
    pub id: String,
    /// What is to be done.
    pub verb: Verb,
}

/// The verbs that are used here. `state` and `kill` exist for people and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    Create { bundle: PathBuf, pid_file: Option<PathBuf>, console: Option<PathBuf> },
    Start,
    Exec { process: PathBuf, pid_file: Option<PathBuf>, console: Option<PathBuf> },
    Kill { signal: String, all: bool },
    State,
    Pause,
    Resume,
    Update { resources: PathBuf },
    Delete { force: bool },
}

impl Invocation {
    /// The arguments for another program.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--root".into(), self.root.clone().into()];
        if let Some(log) = &self.log {
            args.extend(["--log".into(), log.clone().into(), "--log-format".into(), "json".into()]);
        }
        let option = |name: &str, value: &Option<PathBuf>| {
            value.as_ref().map(|v| [OsString::from(name), v.clone().into()]).into_iter().flatten().collect::<Vec<_>>()
        };
        let verb: Vec<OsString> = match &self.verb {
            Verb::Create { bundle, pid_file, console } => {
                let mut v = vec!["create".into(), "--bundle".into(), bundle.clone().into()];
                v.extend(option("--pid-file", pid_file));
                v.extend(option("--console-socket", console));
                v
            }
            Verb::Exec { process, pid_file, console } => {
                let mut v = vec!["exec".into(), "--detach".into(), "--process".into(), process.clone().into()];
                v.extend(option("--pid-file", pid_file));
                v.extend(option("--console-socket", console));
                v
            }
            Verb::Start => vec!["start".into()],
            Verb::Kill { all: false, .. } => vec!["kill".into()],
            Verb::Kill { all: true, .. } => vec!["kill".into(), "--all".into()],
            Verb::State => vec!["state".into()],
            Verb::Pause => vec!["pause".into()],
            Verb::Resume => vec!["resume".into()],
            Verb::Update { resources } => vec!["update".into(), "--resources".into(), resources.clone().into()],
            Verb::Delete { force: false } => vec!["delete".into()],
            Verb::Delete { force: true } => vec!["delete".into(), "--force".into()],
        };
        args.extend(verb);
        args.push(self.id.clone().into());
        if let Verb::Kill { signal, .. } = &self.verb {
            args.push(signal.into());
        }
        args
    }

    /// Reads what a runtime logged: the last error, and all warnings.
    pub fn read_log(&self) -> (Option<String>, Vec<String>) {
        let text = self.log.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        let (mut error, mut warnings) = (None, Vec::new());
        for line in text.lines().filter_map(|l| serde_json::from_str::<LogLine>(l).ok()) {
            match line.level.as_str() {
                "error" | "fatal" => error = Some(line.msg),
                "warning" => warnings.push(line.msg),
                _ => {}
            }
        }
        (error, warnings)
    }
}

/// One line of a runtime's log.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct LogLine {
    pub level: String,
    pub msg: String,
    #[serde(default)]
    pub time: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_command_line_of_runc() {
        let call = Invocation {
            root: "/r".into(),
            log: Some("/l".into()),
            id: "c".into(),
            verb: Verb::Create { bundle: "/b".into(), pid_file: Some("/p".into()), console: None },
        };
        let text: Vec<_> = call.arguments().iter().map(|a| a.to_string_lossy().into_owned()).collect();
        assert_eq!(text.join(" "), "--root /r --log /l --log-format json create --bundle /b --pid-file /p c");
        assert_eq!(crate::oci::arguments::parse(text.into_iter().map(Into::into)).unwrap(), call);
    }
}
