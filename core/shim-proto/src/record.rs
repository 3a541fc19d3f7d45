//! Small records that a monitor leaves in the task directory for whoever comes next.

use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, str::FromStr};
use wharf_types::{Error, Result, Timestamp};

/// How a process ended: `exit.json`. The file is the truth, the event is only speed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The exit code; 128 + n after signal n.
    pub code: i32,
    /// The signal that ended it.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Whether the kernel's out-of-memory killer hit the container.
    #[serde(default)]
    pub oom_killed: bool,
    /// When it was started; zero when it never was.
    pub started_at: Timestamp,
    /// When the monitor reaped it.
    pub exited_at: Timestamp,
    /// What went wrong beside the process, such as a log that could not be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What exists once `create` succeeded: `created.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedRecord {
    /// The container's first process.
    pub init: ProcessRef,
    /// The directories of its cgroup: one in the unified hierarchy, or one for each v1 hierarchy.
    pub cgroups: Vec<PathBuf>,
}

/// The fields of `/proc/<pid>/stat` from the third on. The second is the name, which may hold spaces and parentheses: it ends at the
/// last `)`.
pub fn stat_fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, after)| after).split_ascii_whitespace()
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process number.
    pub pid: i32,
    /// Clock ticks after boot at which it began (field 22 of `/proc/<pid>/stat`).
    pub start_time: u64,
}

impl ProcessRef {
    /// From the text of `/proc/<pid>/stat`.
    ///
    /// # Errors
    /// When the text is not of that form.
    pub fn from_stat(stat: &str) -> Result<Self> {
        let parse = || {
            let pid = stat.split_once(' ')?.0.parse().ok()?;
            let start_time = stat_fields(stat).nth(19)?.parse().ok()?;
            Some(Self { pid, start_time })
        };
        parse().ok_or_else(|| Error::system(format!("unexpected process status: {stat:?}")))
    }
}

impl fmt::Display for ProcessRef {
    /// The content of `shim.pid`: pid and start time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.start_time)
    }
}

impl FromStr for ProcessRef {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (pid, start_time) = text.trim().split_once(' ')?;
            Some(Self { pid: pid.parse().ok()?, start_time: start_time.parse().ok()? })
        };
        parse().ok_or_else(|| Error::system(format!("unexpected process reference: {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2";
        let process = ProcessRef::from_stat(stat).unwrap();
        assert_eq!(process, ProcessRef { pid: 42, start_time: 98765 });
        assert_eq!(process.to_string().parse::<ProcessRef>().unwrap(), process);
        assert!(ProcessRef::from_stat("42 (x) S 1").is_err());
    }
}
