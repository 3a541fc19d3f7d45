//! `wharf-plugin new`

use crate::project::Language;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The kinds of plugins that the engine knows.
const KINDS: [&str; 6] = ["authz", "logging", "log-transform", "volume", "metrics", "ipam"];

const CONFIG: &str = include_str!("../templates/common/config.json");
const SCHEMA: &str = include_str!("../templates/common/settings.schema.json");
const CASES: &str = include_str!("../templates/common/cases.jsonl");
const IGNORE: &str = include_str!("../templates/common/gitignore");
const README: &str = include_str!("../templates/common/README.md");
const WORLD: &str = include_str!("../templates/common/world.wit");

/// Makes the directory `dir`, which is not there or empty.
pub fn run(kind: &str, language: &str, sdk: Option<&PathBuf>, dir: &Path) -> Result<()> {
    if !KINDS.contains(&kind) {
        bail!("there is no kind \"{kind}\": the kinds are {}", KINDS.join(", "));
    }
    if kind != "authz" {
        bail!("the SDK has no template for the kind \"{kind}\" yet, only for authz");
    }
    let Some((language, name_of_language, _)) = Language::ALL.into_iter().find(|(_, name, _)| *name == language) else {
        bail!("there is no language \"{language}\": the languages are rust, python, javascript and c");
    };
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain {
        bail!("\"{name}\" is no name for a plugin: small letters, digits and -, beginning with a letter");
    }
    if dir.exists() && fs::read_dir(dir).with_context(|| dir.display().to_string())?.next().is_some() {
        bail!("{} is there already", dir.display());
    }
    let sdk = if language == Language::Rust { find_sdk(sdk)? } else { PathBuf::new() };
    let sdk = sdk.display().to_string();
    // A slot of the engine is 256 MiB; an interpreter needs more than the 64 that an authorization plugin has otherwise.
    let memory = if matches!(language, Language::Python | Language::JavaScript) { ",\n    \"Memory\": 268435456" } else { "" };
    for (file, text) in files(language) {
        let path = dir.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        let text =
            text.replace("{{name}}", name).replace("{{sdk}}", &sdk).replace("{{memory}}", memory).replace("{{prepare}}", prepare(language));
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("{}: an authorization plugin in {name_of_language}; its README.md says how to go on", dir.display());
    Ok(())
}

fn files(language: Language) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("config.json", CONFIG),
        ("settings.schema.json", SCHEMA),
        ("tests/cases.jsonl", CASES),
        (".gitignore", IGNORE),
        ("README.md", README),
    ];
    all.extend_from_slice(match language {
        Language::Rust => &[
            ("Cargo.toml", include_str!("../templates/rust/Cargo.toml.in")),
            ("src/lib.rs", include_str!("../templates/rust/plugin.rs")),
            ("tests/plugin.rs", include_str!("../templates/rust/test.rs")),
        ],
        Language::Python => &[("plugin.py", include_str!("../../python/authz/plugin.py")), ("world.wit", WORLD)],
        Language::JavaScript => &[
            ("plugin.js", include_str!("../../javascript/authz/plugin.js")),
            ("package.json", include_str!("../../javascript/authz/package.json")),
            ("world.wit", WORLD),
        ],
        Language::C => &[("plugin.c", include_str!("../../c/authz/plugin.c")), ("world.wit", WORLD)],
    });
    all
}

/// What its README says comes first.
fn prepare(language: Language) -> &'static str {
    match language {
        Language::Rust => "cargo test                               its tests; they build the component, too\n",
        Language::Python => "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1\n",
        Language::JavaScript => "npm install\n",
        Language::C => "apt-get install clang lld wasi-libc\n",
    }
}

/// The directory `plugin-sdk` of the engine's repository.
fn find_sdk(given: Option<&PathBuf>) -> Result<PathBuf> {
    let built_from = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    let sdk = match given.cloned().or_else(|| std::env::var_os("WHARF_SDK").map(PathBuf::from)) {
        Some(sdk) => sdk,
        None => built_from().filter(|sdk| sdk.exists()).context(
            "where is the SDK? Its crates are not published: name the directory plugin-sdk of the engine's repository with --sdk",
        )?,
    };
    if !sdk.join("rust/Cargo.toml").exists() {
        bail!("{} is not the SDK: there is no rust/Cargo.toml", sdk.display());
    }
    fs::canonicalize(&sdk).with_context(|| sdk.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_files() {
        let dir = tempfile::tempdir().unwrap();
        for (_, name, file) in Language::ALL {
            let place = dir.path().join(name);
            run("authz", name, None, &place).unwrap();
            let project = crate::project::Project::open(&place).unwrap();
            assert!(place.join(file).exists() && project.schema.is_some(), "{name}");
            assert!(!crate::step::read(&place.join("tests/cases.jsonl")).unwrap().is_empty());
            for text in ["config.json", "README.md", file].map(|f| fs::read_to_string(place.join(f)).unwrap()) {
                assert!(!text.contains("{{"), "{text}");
            }
        }
        assert!(run("authz", "rust", None, &dir.path().join("rust")).unwrap_err().to_string().contains("already"));
        for (kind, language, name) in [("authz", "rust", "Bad"), ("authz", "cobol", "x"), ("nothing", "rust", "x"), ("volume", "rust", "x")]
        {
            assert!(run(kind, language, None, &dir.path().join(name)).is_err(), "{kind} {language} {name}");
        }
    }
}
