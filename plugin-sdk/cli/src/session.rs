//! A plugin that runs in the engine's plugin host, with a directory for its files.

use crate::{
    project::Project,
    request::Decided,
    step::{Answer, Bounds, Step},
};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};
use tempfile::TempDir;
use wharf_api_types::plugin::PluginSettings;
use wharf_engine::plugins::settings;
use wharf_plugin_host::wasm::{Description, Grants, Kind, Limits, Package, Plugin, Settings, WasmHost};
use wharf_spi::authz::{Authorizer, AuthzRequest, Caller, Object};

/// A plugin and everything around it.
pub struct Session {
    project: Project,
    host: WasmHost,
    dir: TempDir,
    wasm: Vec<u8>,
    own: PluginSettings,
    limits: Limits,
    plugin: Option<Plugin>,
}

impl Session {
    /// Compiles the component. It starts with the first step that needs it, so that settings and files can be there before.
    pub async fn new(project: &Project, set: &[String]) -> Result<Self> {
        let (host, dir) = host(project)?;
        let wasm = project.component()?;
        let description = host.describe(wasm.clone()).await?;
        forget_others(project, &description);
        if description.kinds != [Kind::Authz] {
            bail!("{}: so far only plugins of the kind authz can be run; this one is {:?}", project.name, description.kinds);
        }
        let own = settings::apply(&project.config, &settings::initial(&project.config), set)?;
        let limits = Limits { memory: project.config.wharf.memory, ..Limits::default() };
        Ok(Self { project: project.clone(), host, dir, wasm, own, limits, plugin: None })
    }

    /// Does what a step says. What the plugin gets wrong is an answer.
    pub async fn step(&mut self, step: Step) -> Result<Answer> {
        if let Some(request) = step.request {
            let request = request.into();
            return Ok(match self.authorizer().await {
                Ok(authorizer) => Answer::Decision(authorizer.judge(&request).await.into()),
                Err(e) => Answer::Error(e.to_string()),
            });
        }
        if let Some(filter) = step.filter {
            let (caller, objects) = (Caller::from(filter.caller), filter.objects.into_iter().map(Object::from).collect::<Vec<_>>());
            return Ok(match self.authorizer().await {
                Ok(authorizer) => authorizer.filter(&caller, &objects).await.map_or_else(|e| Answer::Error(e.to_string()), Answer::Seen),
                Err(e) => Answer::Error(e.to_string()),
            });
        }
        if step.log.is_some() {
            return Ok(Answer::Log(self.log()));
        }
        let outcome = if let Some(settings) = step.settings {
            self.set(&settings).await
        } else if let Some(files) = step.files {
            self.write(&files).await
        } else {
            self.limit(step.limits.unwrap_or_default());
            self.restart().await
        };
        Ok(outcome.map_or_else(|e| Answer::Error(e.to_string()), |()| Answer::Done(true)))
    }

    /// Who judges; the plugin is started when it does not run.
    pub async fn authorizer(&mut self) -> Result<Arc<dyn Authorizer>> {
        if self.plugin.is_none() {
            self.restart().await?;
        }
        self.plugin.as_ref().and_then(Plugin::authorizer).context("it does not run")
    }

    /// A decision.
    pub async fn judge(&mut self, request: &AuthzRequest) -> Result<Decided> {
        Ok(self.authorizer().await?.judge(request).await.into())
    }

    /// What it wrote to its log.
    pub fn log(&self) -> Vec<String> {
        self.plugin.as_ref().map(Plugin::log).unwrap_or_default()
    }

    /// All of its instances are dropped and made anew. What it stored stays.
    async fn restart(&mut self) -> Result<()> {
        if let Some(plugin) = self.plugin.take() {
            plugin.stop().await;
        }
        let package = Package {
            name: self.project.name.clone(),
            wasm: self.wasm.clone(),
            schema: self.project.schema.clone(),
            settings: self.settings()?,
            grants: settings::permissions(&self.project.config, &self.own)
                .iter()
                .map(|word| word.parse())
                .collect::<Result<Grants, _>>()?,
            limits: self.limits,
        };
        self.plugin = Some(self.host.load(package).await?);
        Ok(())
    }

    fn settings(&self) -> Result<Value> {
        Ok(settings::object(&self.own, self.project.schema.as_ref())?)
    }

    async fn set(&mut self, changes: &BTreeMap<String, Value>) -> Result<()> {
        let files = self.dir.path().join("files");
        let text = |value: &Value| match value {
            Value::String(text) => text.replace("${DIR}", &files.to_string_lossy()),
            other => other.to_string(),
        };
        let changes: Vec<String> = changes.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        self.own = settings::apply(&self.project.config, &self.own, &changes)?;
        self.restart().await
    }

    /// Only what runs already is told: files are often written before the settings that name them.
    async fn write(&mut self, files: &BTreeMap<String, Option<String>>) -> Result<()> {
        for (name, text) in files {
            let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
            if !plain {
                bail!("{name:?} is not the name of a file in a directory");
            }
            let path = self.dir.path().join("files").join(name);
            match text {
                Some(text) => fs::write(&path, text).with_context(|| path.display().to_string())?,
                None => fs::remove_file(&path).with_context(|| path.display().to_string())?,
            }
        }
        match &self.plugin {
            Some(plugin) => Ok(plugin.reload(self.settings()?).await?),
            None => Ok(()),
        }
    }

    fn limit(&mut self, bounds: Bounds) {
        if let Some(deadline) = bounds.deadline {
            self.limits.deadline = Some(Duration::from_millis(deadline));
        }
        self.limits.memory = bounds.memory.or(self.limits.memory);
    }
}

/// The engine's plugin host, and a directory that goes with it. Compiled code is kept in the plugin's `build`.
pub fn host(project: &Project) -> Result<(WasmHost, TempDir)> {
    let dir = tempfile::tempdir().context("make a directory for the plugin's files")?;
    fs::create_dir(dir.path().join("files"))?;
    let host = WasmHost::new(Settings::new(code(project), dir.path().join("state")))?;
    Ok((host, dir))
}

fn code(project: &Project) -> std::path::PathBuf {
    project.build_dir().join("code")
}

/// Code of earlier builds; nobody asks for it again.
fn forget_others(project: &Project, description: &Description) {
    let digest = description.digest.trim_start_matches("sha256:");
    let Ok(entries) = fs::read_dir(code(project)) else { return };
    for entry in entries.flatten().filter(|e| !e.file_name().to_string_lossy().starts_with(digest)) {
        // It takes space and does no harm.
        _ = fs::remove_file(entry.path());
    }
}
