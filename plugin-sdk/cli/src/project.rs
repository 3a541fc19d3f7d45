//! The repository of a plugin, or the directory that was packed of it: what is where.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use wharf_api_types::plugin::PluginConfig;

/// What a plugin is written in, by the file that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `Cargo.toml`
    Rust,
    /// `plugin.py`
    Python,
    /// `plugin.js`
    JavaScript,
    /// `plugin.c`
    C,
}

impl Language {
    /// All, with the names that `new --lang` takes and the files by which they are known.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Rust, "rust", "Cargo.toml"),
        (Self::Python, "python", "plugin.py"),
        (Self::JavaScript, "javascript", "plugin.js"),
        (Self::C, "c", "plugin.c"),
    ];
}

/// A directory with a `config.json`.
#[derive(Clone, Debug)]
pub struct Project {
    /// Absolute.
    pub dir: PathBuf,
    /// Its last part.
    pub name: String,
    /// `config.json`.
    pub config: PluginConfig,
    /// `settings.schema.json`, when there is one.
    pub schema: Option<Value>,
}

impl Project {
    /// Reads what describes it.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir).with_context(|| dir.display().to_string())?;
        let path = dir.join("config.json");
        let text = fs::read(&path).with_context(|| format!("{} is no plugin: {}", dir.display(), path.display()))?;
        let config = wharf_engine::plugins::content::parse(&text).with_context(|| dir.display().to_string())?;
        let name = dir.file_name().map_or_else(|| "plugin".to_owned(), |n| n.to_string_lossy().into_owned());
        let schema = match Self::schema_path(&dir) {
            Some(path) => {
                let text = fs::read(&path).with_context(|| path.display().to_string())?;
                Some(serde_json::from_slice(&text).with_context(|| path.display().to_string())?)
            }
            None => None,
        };
        Ok(Self { dir, name, config, schema })
    }

    fn schema_path(dir: &Path) -> Option<PathBuf> {
        ["settings.schema.json", "rootfs/settings.schema.json"].into_iter().map(|name| dir.join(name)).find(|path| path.exists())
    }

    /// The file with the schema of the settings, when there is one.
    pub fn schema_file(&self) -> Option<PathBuf> {
        Self::schema_path(&self.dir)
    }

    /// What it is written in.
    pub fn language(&self) -> Result<Language> {
        let found = Language::ALL.into_iter().find(|(_, _, file)| self.dir.join(file).exists());
        let Some((language, ..)) = found else {
            bail!("{}: there is no Cargo.toml, plugin.py, plugin.js or plugin.c to build", self.dir.display());
        };
        Ok(language)
    }

    /// Where `build` puts things.
    pub fn build_dir(&self) -> PathBuf {
        self.dir.join("build")
    }

    /// Where `build` puts the component.
    pub fn built(&self) -> PathBuf {
        self.build_dir().join("plugin.wasm")
    }

    /// The component.
    pub fn component(&self) -> Result<Vec<u8>> {
        let (built, packed) = (self.built(), self.dir.join("rootfs/plugin.wasm"));
        let path = if built.exists() { built } else { packed };
        if !path.exists() {
            bail!("{}: there is no component; run `wharf-plugin build`", self.dir.display());
        }
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// `tests/*.jsonl`, sorted.
    pub fn cases(&self) -> Result<Vec<PathBuf>> {
        let dir = self.dir.join("tests");
        let mut all = Vec::new();
        if dir.is_dir() {
            for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
                let path = entry?.path();
                if path.extension().is_some_and(|e| e == "jsonl") {
                    all.push(path);
                }
            }
        }
        if all.is_empty() {
            bail!("{}: there are no cases in tests/*.jsonl; name a file", self.dir.display());
        }
        all.sort();
        Ok(all)
    }
}
