//! Tests of plugins: the built component in the engine's own plugin host.
//!
//! The host is the program `wharf-plugin` (`wharf-plugin host`), so a plugin's tests do not compile an engine. It is looked up in
//! `PATH`, or is what the variable `WHARF_PLUGIN` names.
//!
//! ```no_run
//! use wharf_plugin_testing::{Plugin, json};
//!
//! let mut plugin = Plugin::build(env!("CARGO_MANIFEST_DIR"));
//! plugin.settings(&json!({"ADMINISTRATORS": [1000]})).unwrap();
//! let decision = plugin.judge(&json!({"action": "container.create", "caller": {"unix": {"uid": 1000}}}));
//! assert!(decision.allows(), "{decision:?}");
//! ```
//!
//! Everything that a plugin is asked is JSON in the form of the steps of `wharf-plugin test`, with all that is left out empty: requests,
//! and the calls of the other kinds (in [`Plugin::logging`], [`Plugin::transform`], [`Plugin::volume`], [`Plugin::metrics`] and
//! [`Plugin::ipam`]). Whatever is not about the plugin (there is no program, a step that is none) panics: a test has no use for it.
//!
//! Time stands still, from the beginning of 2026 on, until [`Plugin::advance`] lets it pass.
#![allow(clippy::panic, reason = "for tests")]

mod kinds;

use serde::{Deserialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use kinds::{Line, Outcome};
pub use serde_json::{Value, json};

/// What was built already, by this process.
static BUILT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A decision.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Decision {
    /// `allow`, `allow-with`, `deny`, or `error`, which denies, too.
    pub verdict: String,
    /// Of a denial or an error.
    pub reason: String,
    /// Of a denial: as if there were no such object.
    pub hide: bool,
    /// Of `allow-with`, such as `{"Label": ["owner", "me"]}` or `"ReadOnlyRootfs"`.
    pub patches: Vec<Value>,
    /// What decided.
    pub rule: String,
}

impl Decision {
    /// With or without changes.
    pub fn allows(&self) -> bool {
        self.verdict.starts_with("allow")
    }

    /// On purpose: a plugin that failed denies, and this is false.
    pub fn denies(&self) -> bool {
        self.verdict == "deny"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Decision(Decision),
    Result(Value),
    Log(Vec<String>),
    Error(String),
    Wrong(String),
}

/// A plugin in a host of its own. It ends with this.
pub struct Plugin {
    dir: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Plugin {
    /// Builds the plugin in the directory `dir`, once in a process, and runs it.
    pub fn build(dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref();
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        if !built.iter().any(|b| b == dir) {
            let status = wharf_plugin().arg("build").arg("--dir").arg(dir).stdout(Stdio::null()).status();
            assert!(status.unwrap_or_else(|e| missing(&e)).success(), "wharf-plugin build failed");
            built.push(dir.to_owned());
        }
        drop(built);
        Self::open(dir)
    }

    /// Runs the plugin in the directory `dir` as it was built or packed.
    pub fn open(dir: impl AsRef<Path>) -> Self {
        let mut command = wharf_plugin();
        command.arg("host").arg("--dir").arg(dir.as_ref()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| missing(&e));
        let (input, Some(output)) = (child.stdin.take(), child.stdout.take()) else { panic!("wharf-plugin has no output") };
        Self { dir: dir.as_ref().to_owned(), child, input, output: BufReader::new(output) }
    }

    /// Takes a decision. A plugin that does not start answers with its error.
    pub fn judge(&mut self, request: &Value) -> Decision {
        match self.ask(&json!({"request": request})) {
            Answer::Decision(decision) => decision,
            Answer::Error(reason) => Decision { verdict: "error".to_owned(), reason, ..Decision::default() },
            _ => panic!("wharf-plugin answers something else"),
        }
    }

    /// Which objects the caller may see.
    ///
    /// # Errors
    /// The plugin's.
    pub fn filter(&mut self, caller: &Value, objects: &Value) -> Result<Vec<bool>, String> {
        let seen = self.step(&json!({"filter": {"caller": caller, "objects": objects}}))?;
        Ok(read(seen))
    }

    /// A step as in a case file: what the plugin answered, or `"done"`. The other functions are short for the usual ones.
    ///
    /// # Errors
    /// The plugin's, or that of the engine about its answer.
    pub fn step(&mut self, step: &Value) -> Result<Value, String> {
        match self.ask(step) {
            Answer::Result(result) => Ok(result),
            Answer::Error(reason) => Err(reason),
            _ => panic!("wharf-plugin answers something else"),
        }
    }

    /// Lets time pass: what the plugin sees as time moves, and its timers go off, each at its time. Limits of time are not moved.
    ///
    /// # Errors
    /// Of the plugin's start. What it answers to a timer is in its log.
    pub fn advance(&mut self, time: Duration) -> Result<(), String> {
        self.tell(&json!({"clock": {"advance": format!("{}ns", time.as_nanos())}}))
    }

    /// Settings by their names; the plugin starts anew with them. `${DIR}` in a text is the directory of [`Plugin::file`].
    ///
    /// # Errors
    /// Those of the schema, and of the plugin's start.
    pub fn settings(&mut self, settings: &Value) -> Result<(), String> {
        self.tell(&json!({"settings": settings}))
    }

    /// Writes a file that the plugin may read where a setting says `${DIR}/NAME`; one that runs reads its files again.
    ///
    /// # Errors
    /// What the plugin finds wrong; it goes on with what it had.
    pub fn file(&mut self, name: &str, text: &str) -> Result<(), String> {
        self.tell(&json!({"files": {name: text}}))
    }

    /// Removes such a file.
    ///
    /// # Errors
    /// What the plugin finds wrong; it goes on with what it had.
    pub fn remove_file(&mut self, name: &str) -> Result<(), String> {
        self.tell(&json!({"files": {name: null}}))
    }

    /// Gives the plugin a secret, as the operator does with a file of that name.
    pub fn secret(&mut self, name: &str, text: &str) {
        self.give(&json!({"secrets": {name: text}}));
    }

    /// Takes a secret away.
    pub fn remove_secret(&mut self, name: &str) {
        self.give(&json!({"secrets": {name: null}}));
    }

    /// The objects that there are in the engine from now on, a list: what the plugin finds through `wharf:host/objects`.
    pub fn objects(&mut self, objects: &Value) {
        self.give(&json!({"objects": objects}));
    }

    /// Things that happen in the engine now, a list: what the plugin hears of through `wharf:host/events`.
    pub fn events(&mut self, events: &Value) {
        self.give(&json!({"events": events}));
    }

    /// A fault: every call has so much time only. The plugin starts anew.
    ///
    /// # Errors
    /// Of its start.
    pub fn deadline(&mut self, limit: Duration) -> Result<(), String> {
        self.tell(&json!({"limits": {"deadline": limit.as_millis()}}))
    }

    /// A fault: every instance has so many bytes of memory only. The plugin starts anew.
    ///
    /// # Errors
    /// Of its start.
    pub fn memory(&mut self, bytes: u64) -> Result<(), String> {
        self.tell(&json!({"limits": {"memory": bytes}}))
    }

    /// A fault: all instances are dropped, with what they had in memory. What is in `state` stays.
    ///
    /// # Errors
    /// Of its start.
    pub fn restart(&mut self) -> Result<(), String> {
        self.tell(&json!({"restart": true}))
    }

    /// What it wrote to its log since it was started.
    pub fn log(&mut self) -> Vec<String> {
        match self.ask(&json!({"log": true})) {
            Answer::Log(lines) => lines,
            _ => panic!("wharf-plugin answers something else"),
        }
    }

    /// The numbers that it reported of itself (`wharf:host/metrics`) since it was started, by name and labels: `hits{kind="a"}`.
    pub fn numbers(&mut self) -> Value {
        self.step(&json!({"numbers": true})).unwrap_or_default()
    }

    /// Runs a case file of the plugin's directory in a host of its own; panics when not all is as expected.
    pub fn cases(&self, file: impl AsRef<Path>) {
        let output = wharf_plugin().arg("test").arg("--dir").arg(&self.dir).arg(self.dir.join(file)).output();
        let output = output.unwrap_or_else(|e| missing(&e));
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    }

    fn tell(&mut self, step: &Value) -> Result<(), String> {
        self.step(step).map(drop)
    }

    /// What only a test can get wrong.
    fn give(&mut self, step: &Value) {
        self.tell(step).unwrap_or_else(|e| panic!("{step}: {e}"));
    }

    fn ask(&mut self, step: &Value) -> Answer {
        let mut line = String::new();
        let asked = self.input.as_mut().map(|input| writeln!(input, "{step}"));
        let answered = self.output.read_line(&mut line);
        match (asked, answered, serde_json::from_str(&line)) {
            (Some(Ok(())), Ok(_), Ok(Answer::Wrong(what))) => panic!("{step} is no step: {what}"),
            (Some(Ok(())), Ok(_), Ok(answer)) => answer,
            _ => panic!("wharf-plugin ended: see what it said; asked {step}, answered {line:?}"),
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.input.take());
        _ = self.child.wait();
    }
}

/// An answer as what it is.
fn read<T: DeserializeOwned>(answer: Value) -> T {
    serde_json::from_value(answer).unwrap_or_else(|e| panic!("wharf-plugin answers something else: {e}"))
}

fn wharf_plugin() -> Command {
    Command::new(std::env::var_os("WHARF_PLUGIN").unwrap_or_else(|| OsString::from("wharf-plugin")))
}

fn missing(error: &std::io::Error) -> ! {
    panic!("wharf-plugin cannot be run: {error}; install it (`make install` in the engine's repository), or name it with WHARF_PLUGIN")
}
