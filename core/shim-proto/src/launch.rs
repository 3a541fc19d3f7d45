//! The description from which a monitor starts: `launch.json` in the task directory.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};
use wharf_types::ContainerId;

/// Everything that a monitor needs to know beside the OCI spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The container.
    pub id: ContainerId,
    /// The OCI runtime.
    pub runtime: RuntimeKind,
    /// Where runtimes keep their state (`--root`); one directory for all containers of a daemon.
    pub runtime_root: PathBuf,
    /// Whether the process gets a terminal; must agree with the spec's `process.terminal`.
    #[serde(default)]
    pub tty: bool,
    /// Height and width of the terminal, in cells.
    #[serde(default)]
    pub console_size: Option<[u16; 2]>,
    /// Whether standard input is a pipe (or the terminal) rather than `/dev/null`.
    #[serde(default)]
    pub open_stdin: bool,
    /// Whether standard input closes when the first attached client that feeds it leaves.
    #[serde(default)]
    pub stdin_once: bool,
    /// Where output goes beside the attached clients.
    #[serde(default)]
    pub log: LogSettings,
    /// The container's cgroup, as in the spec. Processes left in it are killed, also by a daemon that finds the monitor gone.
    #[serde(default)]
    pub cgroup_path: Option<PathBuf>,
}

/// Which OCI runtime creates the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// The one inside the monitor.
    Builtin,
    /// A program that speaks runc's command line.
    External {
        /// The program.
        path: PathBuf,
        /// Global options that precede the verb.
        #[serde(default)]
        args: Vec<String>,
    },
}

/// The log that the monitor writes; it is the only writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogSettings {
    /// No log.
    #[default]
    None,
    /// [`crate::journal::json_file`].
    JsonFile {
        /// The current file; rotated ones are `path.1` (newest) to `path.<max_file - 1>`.
        path: PathBuf,
        /// Bytes after which a file is rotated; unlimited without.
        max_size: Option<u64>,
        /// How many files are kept, the current one included.
        max_file: u32,
        /// Whether rotated files are compressed (`.gz`).
        compress: bool,
        /// Attributes of every record.
        #[serde(default)]
        attrs: BTreeMap<String, String>,
    },
    /// [`crate::journal::local`].
    Local {
        /// The current file (`container.log` in its own directory).
        path: PathBuf,
        /// Bytes after which a file is rotated; unlimited without.
        max_size: Option<u64>,
        /// How many files are kept, the current one included.
        max_file: u32,
        /// Whether rotated files are compressed (`.gz`).
        compress: bool,
    },
}
