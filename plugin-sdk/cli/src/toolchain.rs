//! What turns source code into components: the interfaces, which come with this program, and the programs of each language.

use anyhow::{Context, Result, bail};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The interfaces: package, text. The last one has the worlds.
pub const WIT: [(&str, &str); 7] = [
    ("host", include_str!("../../../wit/host/0.1.0/host.wit")),
    ("authz", include_str!("../../../wit/authz/0.1.0/authz.wit")),
    ("logging", include_str!("../../../wit/logging/0.1.0/logging.wit")),
    ("volume", include_str!("../../../wit/volume/0.1.0/volume.wit")),
    ("metrics", include_str!("../../../wit/metrics/0.1.0/metrics.wit")),
    ("ipam", include_str!("../../../wit/ipam/0.1.0/ipam.wit")),
    ("plugin", include_str!("../../../wit/plugin/0.1.0/plugin.wit")),
];

/// Sets the environment up in which cargo makes components.
const GUEST: &str = include_str!("../../../scripts/wasm-guest.sh");

/// A world and all packages that it may name, as one file: tools of every language take that.
pub fn one_wit(world: &str) -> Result<String> {
    let mut all = world.to_owned();
    for (name, text) in WIT {
        // `package a:b@1;` at the beginning of a file is `package a:b@1 { … }` among others.
        let (comment, rest) = text.split_once("\npackage ").with_context(|| format!("{name}.wit names no package"))?;
        let (package, body) = rest.split_once(";\n").with_context(|| format!("{name}.wit names no package"))?;
        all.push_str(&format!("\n{comment}\npackage {package} {{\n{body}}}\n"));
    }
    Ok(all)
}

/// A shell that runs `script` with cargo and the linkers for components in its environment.
pub fn guest_shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("set -eu\nenvironment=$(bash -c \"$WHARF_GUEST_SCRIPT\")\neval \"$environment\"\n{script}")]);
    command.env("WHARF_GUEST_SCRIPT", GUEST);
    command
}

/// The first of these programs that there is: in a directory of the plugin's own, or in `PATH`.
pub fn find(own: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = own.iter().cloned().chain(std::env::split_paths(&path)).collect();
    names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name))).find(|path| path.is_file())
}

/// Runs a program to its end; what it says goes to where this one's goes.
pub fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| program.clone())?;
    if status.success() { Ok(()) } else { bail!("{program} failed: {status}") }
}

/// The same, and gives what it printed.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().with_context(|| program.clone())?;
    if output.status.success() { Ok(output.stdout) } else { bail!("{program} failed: {}", output.status) }
}

/// Runs a program of `dir`.
pub fn run_in<S: AsRef<OsStr>>(dir: &Path, program: &Path, arguments: &[S]) -> Result<()> {
    run(Command::new(program).args(arguments).current_dir(dir))
}
