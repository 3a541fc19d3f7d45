//! `wharf-plugin new`

use crate::project::Language;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use wharf_api_types::plugin::PluginConfig;

/// What a repository is made of, besides its language.
struct Template {
    kind: &'static str,
    config: &'static str,
    /// Of the settings, when there are any.
    schema: Option<&'static str>,
    cases: &'static str,
    /// In Rust.
    plugin: &'static str,
    test: &'static str,
}

/// A template that is an example of the SDK.
macro_rules! example {
    ($kind:literal, $name:literal, with settings) => {
        Template { schema: Some(include_str!(concat!("../../examples/", $name, "/settings.schema.json"))), ..example!($kind, $name) }
    };
    ($kind:literal, $name:literal) => {
        Template {
            kind: $kind,
            config: include_str!(concat!("../../examples/", $name, "/config.json")),
            schema: None,
            cases: include_str!(concat!("../../examples/", $name, "/tests/cases.jsonl")),
            plugin: include_str!(concat!("../../examples/", $name, "/src/lib.rs")),
            test: include_str!(concat!("../templates/rust/tests/", $kind, ".rs")),
        }
    };
}

/// Every kind that the engine knows. That of authorization is the same in every language.
const KINDS: [Template; 6] = [
    Template {
        kind: "authz",
        config: include_str!("../templates/authz/config.json"),
        schema: Some(include_str!("../templates/authz/settings.schema.json")),
        cases: include_str!("../templates/authz/cases.jsonl"),
        plugin: include_str!("../templates/authz/plugin.rs"),
        test: include_str!("../templates/authz/test.rs"),
    },
    example!("logging", "example-log-driver"),
    example!("log-transform", "example-log-transform", with settings),
    example!("volume", "example-volume-driver", with settings),
    example!("metrics", "example-metrics-sink", with settings),
    example!("ipam", "example-ipam-driver"),
];

const WORLD: &str = include_str!("../templates/authz/world.wit");
/// How the engine comes to ask a plugin of authorization.
const USE_AUTHZ: &str = "\n\nand `\"authorization-plugins\": [\"{{name}}\"]` in `daemon.json`.";

/// Makes the directory `dir`, which is not there or empty.
pub fn run(kind: &str, language: &str, sdk: Option<&PathBuf>, dir: &Path) -> Result<()> {
    let Some(template) = KINDS.into_iter().find(|template| template.kind == kind) else {
        bail!("there is no kind \"{kind}\": the kinds are {}", KINDS.map(|template| template.kind).join(", "));
    };
    let Some((language, name_of_language, _)) = Language::ALL.into_iter().find(|(_, name, _)| *name == language) else {
        bail!("there is no language \"{language}\": the languages are rust, python, javascript and c");
    };
    if kind != "authz" && language != Language::Rust {
        bail!(
            "the SDK has no template for the kind \"{kind}\" in {name_of_language}: in that language there is authz, and in rust there are all kinds"
        );
    }
    let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain {
        bail!("\"{name}\" is no name for a plugin: small letters, digits and -, beginning with a letter");
    }
    if dir.exists() && fs::read_dir(dir).with_context(|| dir.display().to_string())?.next().is_some() {
        bail!("{} is there already", dir.display());
    }
    let sdk = if language == Language::Rust { find_sdk(sdk)?.display().to_string() } else { String::new() };
    // A slot of the engine is 256 MiB; an interpreter needs more than the 64 that an authorization plugin has otherwise.
    let memory = if matches!(language, Language::Python | Language::JavaScript) { ",\n    \"Memory\": 268435456" } else { "" };
    let config: PluginConfig = serde_json::from_str(&template.config.replace("{{memory}}", memory))?;
    let serde = if template.plugin.contains("use serde::") { "serde = { version = \"1\", features = [\"derive\"] }\n" } else { "" };
    let places = [
        ("{{use}}", if kind == "authz" { USE_AUTHZ } else { "" }),
        ("{{name}}", name),
        ("{{kind}}", kind),
        ("{{about}}", config.description.as_str()),
        ("{{prepare}}", prepare(language)),
        ("{{sdk}}", sdk.as_str()),
        ("{{serde}}", serde),
        ("{{memory}}", memory),
        // Where an example says more of itself.
        (config.documentation.as_str(), ""),
    ];
    for (file, text) in files(&template, language) {
        let path = dir.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        let filled = |text: String, (place, value): &(&str, &str)| if place.is_empty() { text } else { text.replace(place, value) };
        fs::write(&path, places.iter().fold(text.to_owned(), filled)).with_context(|| path.display().to_string())?;
    }
    println!("{}: a plugin of the kind {kind} in {name_of_language}; its README.md says how to go on", dir.display());
    Ok(())
}

fn files(template: &Template, language: Language) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("config.json", template.config),
        ("tests/cases.jsonl", template.cases),
        (".gitignore", include_str!("../templates/common/gitignore")),
        ("README.md", include_str!("../templates/common/README.md")),
    ];
    all.extend(template.schema.map(|schema| ("settings.schema.json", schema)));
    match language {
        Language::Rust => all.extend([
            ("Cargo.toml", include_str!("../templates/rust/Cargo.toml.in")),
            ("rustfmt.toml", include_str!("../../../rustfmt.toml")),
            ("src/lib.rs", template.plugin),
            ("tests/plugin.rs", template.test),
        ]),
        Language::Python => all.extend([("plugin.py", include_str!("../../python/authz/plugin.py")), ("world.wit", WORLD)]),
        Language::JavaScript => all.extend([
            ("plugin.js", include_str!("../../javascript/authz/plugin.js")),
            ("package.json", include_str!("../../javascript/authz/package.json")),
            ("world.wit", WORLD),
        ]),
        Language::C => all.extend([("plugin.c", include_str!("../../c/authz/plugin.c")), ("world.wit", WORLD)]),
    }
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
    fn everything_has_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let languages = Language::ALL.map(|(_, language, file)| ("authz", language, file));
        for (kind, language, file) in languages.into_iter().chain(KINDS.map(|template| (template.kind, "rust", "Cargo.toml"))) {
            let place = dir.path().join(format!("{kind}-in-{language}"));
            if place.exists() {
                continue;
            }
            run(kind, language, None, &place).unwrap();
            let project = crate::project::Project::open(&place).unwrap();
            assert!(place.join(file).exists() && project.config.documentation.is_empty(), "{kind} {language}");
            assert_eq!(project.schema.is_some(), !project.config.env.is_empty(), "{kind}: settings have a schema");
            let interpreted = ["python", "javascript"].contains(&language);
            assert_eq!(project.config.wharf.memory, interpreted.then_some(256 << 20));
            let steps = crate::step::read(&place.join("tests/cases.jsonl")).unwrap();
            assert!(steps.iter().any(|line| line.step.what.asks()), "{kind}");
            for text in ["config.json", "README.md", file].map(|f| fs::read_to_string(place.join(f)).unwrap()) {
                assert!(!text.contains("{{") && !text.contains("example-"), "{text}");
            }
        }
        assert!(run("authz", "rust", None, &dir.path().join("authz-in-rust")).unwrap_err().to_string().contains("already"));
        for (kind, language, name) in [("authz", "rust", "Bad"), ("authz", "cobol", "x"), ("nothing", "rust", "x")] {
            assert!(run(kind, language, None, &dir.path().join(name)).is_err(), "{kind} {language} {name}");
        }
        let refusal = run("volume", "python", None, &dir.path().join("x")).unwrap_err().to_string();
        assert!(refusal.contains("\"volume\" in python"), "{refusal}");
    }
}
