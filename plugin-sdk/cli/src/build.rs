//! `wharf-plugin build`

use crate::{
    project::{Language, Project},
    toolchain,
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// The world in the `world.wit` of a plugin.
const WORLD: &str = "plugin";

/// Makes `build/plugin.wasm`. One at a time: test programs build the same plugin side by side.
pub fn run(project: &Project) -> Result<()> {
    let build = project.build_dir();
    fs::create_dir_all(&build).with_context(|| build.display().to_string())?;
    let path = build.join("lock");
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file)).with_context(|| path.display().to_string())?;
    let new = build.join("plugin.wasm.new");
    match project.language()? {
        Language::Rust => rust(project, &new)?,
        Language::Python => python(project, &new)?,
        Language::JavaScript => javascript(project, &new)?,
        Language::C => c(project, &new)?,
    }
    let component = fs::read(&new).with_context(|| new.display().to_string())?;
    // A core module has another version here.
    if !component.starts_with(b"\0asm\x0d\0\x01\0") {
        bail!("{}: what was built is no component", project.name);
    }
    fs::rename(&new, project.built())?;
    println!("{} ({} KiB)", project.built().display(), component.len().div_ceil(1024));
    drop(lock);
    Ok(())
}

/// What cargo says while it builds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    reason: String,
    manifest_path: PathBuf,
    filenames: Vec<PathBuf>,
}

fn rust(project: &Project, to: &Path) -> Result<()> {
    let script = "exec cargo build --release --target wasm32-unknown-unknown --message-format=json-render-diagnostics";
    let messages = toolchain::output(toolchain::guest_shell(script).current_dir(&project.dir))?;
    let manifest = project.dir.join("Cargo.toml");
    let artifact = |line: &[u8]| -> Option<PathBuf> {
        let message: Message = serde_json::from_slice(line).ok()?;
        let own = message.reason == "compiler-artifact" && message.manifest_path == manifest;
        message.filenames.into_iter().find(|file| own && file.extension().is_some_and(|e| e == "wasm"))
    };
    let Some(built) = messages.split(|b| *b == b'\n').filter_map(artifact).next_back() else {
        bail!("cargo made no WebAssembly: Cargo.toml needs `crate-type = [\"cdylib\"]` in its section [lib]");
    };
    fs::copy(&built, to).with_context(|| built.display().to_string())?;
    Ok(())
}

fn python(project: &Project, to: &Path) -> Result<()> {
    let own = [project.dir.join(".venv/bin")];
    let Some(tool) = toolchain::find(&own, &["componentize-py"]) else {
        bail!("componentize-py is not there: `python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1`");
    };
    let wit = wit(project)?;
    // No WASI: what the interpreter would ask of a system answers that there is none.
    let arguments = ["-d", &wit, "-w", WORLD, "componentize", "--stub-wasi", "plugin", "-o"];
    let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(|a| a.as_ref()).chain([to.as_os_str()]).collect();
    toolchain::run_in(&project.dir, &tool, &arguments)
}

fn javascript(project: &Project, to: &Path) -> Result<()> {
    const SCRIPT: &str = include_str!("../templates/componentize.mjs");
    let Some(node) = toolchain::find(&[], &["node"]) else { bail!("node is not there: install Debian's package nodejs") };
    if !project.dir.ancestors().any(|d| d.join("node_modules/@bytecodealliance/componentize-js").is_dir()) {
        bail!("componentize-js is not there: `npm install` in {}", project.dir.display());
    }
    let wit = wit(project)?;
    // Where it stands decides where node looks for packages.
    let script = project.build_dir().join("componentize.mjs");
    fs::write(&script, SCRIPT)?;
    let arguments = [script.as_os_str(), "plugin.js".as_ref(), wit.as_ref(), to.as_os_str()];
    toolchain::run_in(&project.dir, &node, &arguments)
}

/// The file with the plugin's world and the packages that it names.
fn wit(project: &Project) -> Result<String> {
    let to = project.build_dir().join("world.wit");
    fs::write(&to, toolchain::one_wit(&world_of(project)?)?).with_context(|| to.display().to_string())?;
    Ok(to.to_string_lossy().into_owned())
}

/// The plugin's own C, the generated glue, and those parts of a C library that they use.
fn c(project: &Project, to: &Path) -> Result<()> {
    const HEADER: &str = include_str!("../../c/authz.h");
    const GLUE: &str = include_str!("../../c/authz.c");
    // The glue wants to be linked with an object that describes its interfaces; the world of the plugin describes them here.
    const LINKED: &str = "void __component_type_object_force_link_authz(void);\nvoid __component_type_object_force_link_authz(void) {}\n";
    let libc = Path::new("/usr/lib/wasm32-wasi/libc.a");
    let Some(clang) = toolchain::find(&[], &["clang"]).filter(|_| libc.exists()) else {
        bail!("C needs Debian's packages clang, lld and wasi-libc");
    };
    let made = project.build_dir().join("c");
    fs::create_dir_all(&made).with_context(|| made.display().to_string())?;
    for (file, text) in [("authz.h", HEADER), ("authz.c", GLUE), ("linked.c", LINKED)] {
        fs::write(made.join(file), text)?;
    }
    let world = made.join("world.wit");
    fs::write(&world, toolchain::one_wit(&world_of(project)?)?)?;
    let mut objects = Vec::new();
    for source in [project.dir.join("plugin.c"), made.join("authz.c"), made.join("linked.c")] {
        let object = made.join(source.file_name().unwrap_or_default()).with_extension("o");
        let mut command = Command::new(&clang);
        command.args(["--target=wasm32-wasi", "-O2", "-Wall", "-c", "-I"]).arg(&made).arg(source).arg("-o").arg(&object);
        toolchain::run(&mut command)?;
        objects.push(object);
    }
    let script = "exec \"$CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER\" --wasm-ld-path \"$WHARF_WASM_LD\" \"$@\"";
    let mut link = toolchain::guest_shell(script);
    link.args(["ld", "--no-entry", "--gc-sections", "--strip-all", "--component-type"]).arg(&world);
    toolchain::run(link.arg("-o").arg(to).args(&objects).arg(libc))
}

/// The text of the plugin's `world.wit`.
fn world_of(project: &Project) -> Result<String> {
    let world = project.dir.join("world.wit");
    fs::read_to_string(&world).with_context(|| world.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, time::Duration};

    #[test]
    fn one_build_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), include_str!("../../examples/example-authz/config.json")).unwrap();
        let project = Project::open(dir.path()).unwrap();
        fs::create_dir(project.build_dir()).unwrap();
        let held = File::create(project.build_dir().join("lock")).unwrap();
        held.lock().unwrap();
        let waiting = thread::spawn(move || run(&project));
        thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished());
        drop(held);
        assert!(waiting.join().unwrap().unwrap_err().to_string().contains("there is no Cargo.toml"), "its turn has come");
    }
}
