//! A plugin that runs in the engine's plugin host, with a directory for its files.

use crate::{
    answer::Answer,
    around::Surroundings,
    call::{self, Keys, ipam::Given, logging, logging::Sinks, metrics, volume},
    project::Project,
    request::Decided,
    step::{Authz, Bounds, Move, What},
};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tempfile::TempDir;
use wharf_api_types::plugin::PluginSettings;
use wharf_engine::plugins::{privileges::word, settings};
use wharf_plugin_host::wasm::{
    Clock, Description, Facts, Grants, Kind, Limits, ManualClock, Number, Package, Plugin, Series, Settings, WasmHost,
};
use wharf_spi::{
    authz::{Authorizer, AuthzRequest, Caller, Interests, Object},
    facts::EngineFacts,
};

/// Where `files` writes.
const FILES: &str = "files";
/// When the clock of a session begins.
const BEGIN: &str = "2026-01-01T00:00:00Z";

/// A plugin and everything around it.
pub struct Session {
    project: Project,
    host: WasmHost,
    clock: ManualClock,
    around: Arc<Surroundings>,
    dir: TempDir,
    wasm: Vec<u8>,
    /// What it exports.
    pub kinds: Vec<Kind>,
    own: PluginSettings,
    limits: Limits,
    plugin: Option<Plugin>,
    sinks: Sinks,
    given: Given,
    keys: Keys,
}

impl Session {
    /// Compiles the component. It starts with the first step that needs it, so that settings and files can be there before.
    pub async fn new(project: &Project, set: &[String]) -> Result<Self> {
        let clock = ManualClock::new(BEGIN.parse()?);
        let around = Arc::<Surroundings>::default();
        let (host, dir) = host(project, Clock::Manual(clock.clone()), around.clone())?;
        let wasm = project.component()?;
        let description = host.describe(wasm.clone()).await?;
        forget_others(project, &description);
        let own = settings::apply(&project.config, &settings::initial(&project.config), set)?;
        let limits = Limits { memory: project.config.wharf.memory, ..Limits::default() };
        let (sinks, given, keys) = (Sinks::default(), Given::default(), Keys::default());
        let kinds = description.kinds;
        Ok(Self { project: project.clone(), host, clock, around, dir, wasm, kinds, own, limits, plugin: None, sinks, given, keys })
    }

    /// Does what a step says. What the plugin gets wrong is an answer.
    pub async fn step(&mut self, what: What) -> Answer {
        self.answer(what).await.unwrap_or_else(|e| Answer::Error(e.to_string()))
    }

    async fn answer(&mut self, what: What) -> Result<Answer> {
        let now = self.clock.now();
        let result = match what {
            What::Request(request) => return Ok(Answer::Decision(self.judge(&(*request).into()).await?)),
            What::Filter(filter) => {
                let (caller, objects) = (Caller::from(filter.caller), filter.objects.into_iter().map(Object::from).collect::<Vec<_>>());
                json!(self.authorizer().await?.filter(&caller, &objects).await?)
            }
            What::Authz(Authz::Interests) => {
                let Interests { input, filter } = self.authorizer().await?.interests();
                json!({"input": input, "filter": filter})
            }
            What::Logging(call) => {
                let driver = self.face(Kind::Logging, Plugin::log_driver).await?;
                self.sinks.call(&*driver, call, now).await?
            }
            What::Transform(call) => logging::transform(&*self.face(Kind::LogTransform, Plugin::log_transform).await?, call, now).await?,
            What::Volume(call) => {
                let driver = self.face(Kind::Volume, Plugin::volume_driver).await?;
                volume::call(&*driver, call, &mut self.keys).await?
            }
            What::Metrics(call) => metrics::call(&*self.face(Kind::Metrics, Plugin::metrics_sink).await?, call, now).await?,
            What::Ipam(call) => {
                let driver = self.face(Kind::Ipam, Plugin::ipam_driver).await?;
                self.given.call(&*driver, call, &mut self.keys).await?
            }
            What::Log(_) => return Ok(Answer::Log(self.log())),
            What::Numbers(_) => self.numbers(),
            host => {
                match host {
                    What::Settings(settings) => self.set(&settings).await?,
                    What::Files(files) => self.files(&files).await?,
                    What::Secrets(secrets) => put(&self.host.secrets(&self.project.name)?, &secrets)?,
                    What::Objects(objects) => self.around.set(objects),
                    What::Events(events) => self.around.happen(now, events),
                    What::Clock(how) => self.go(how).await?,
                    What::Limits(bounds) => {
                        self.limit(bounds);
                        self.restart().await?;
                    }
                    _ => self.restart().await?,
                }
                call::done()
            }
        };
        Ok(Answer::Result(result))
    }

    /// Who judges.
    pub async fn authorizer(&mut self) -> Result<Arc<dyn Authorizer>> {
        self.face(Kind::Authz, Plugin::authorizer).await
    }

    /// A decision.
    pub async fn judge(&mut self, request: &AuthzRequest) -> Result<Decided> {
        Ok(self.authorizer().await?.judge(request).await.into())
    }

    /// What the plugin is as one of this kind; it is started when it does not run.
    pub async fn face<T: ?Sized>(&mut self, kind: Kind, of: fn(&Plugin) -> Option<Arc<T>>) -> Result<Arc<T>> {
        if self.plugin.is_none() {
            self.restart().await?;
        }
        self.plugin.as_ref().and_then(of).with_context(|| {
            let kinds: Vec<&str> = self.kinds.iter().map(|kind| word(*kind)).collect();
            format!("{} is no plugin of the kind {}: it is of {}", self.project.name, word(kind), kinds.join(", "))
        })
    }

    /// What it wrote to its log.
    pub fn log(&self) -> Vec<String> {
        self.plugin.as_ref().map(Plugin::log).unwrap_or_default()
    }

    /// As on the engine's `/metrics`, without the beginnings of the names.
    fn numbers(&self) -> Value {
        let (all, _) = self.plugin.as_ref().map(Plugin::series).unwrap_or_default();
        let one = |Series { name, labels, number }: Series| {
            let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}={text:?}")).collect();
            let name = if labels.is_empty() { name } else { format!("{name}{{{}}}", labels.join(",")) };
            let value = match number {
                Number::Counter(value) | Number::Gauge(value) => json!(value),
                Number::Histogram(seconds) => json!({"sum": seconds.sum, "count": seconds.count}),
            };
            (name, value)
        };
        all.into_iter().map(one).collect::<Map<_, _>>().into()
    }

    /// Time passes for a plugin that runs; when there is none yet, it starts before that.
    async fn go(&mut self, how: Move) -> Result<()> {
        let time = match how {
            Move::Advance(time) => {
                if self.plugin.is_none() {
                    self.restart().await?;
                }
                time
            }
            Move::Set(now) => {
                self.clock.set(now);
                Duration::ZERO
            }
        };
        match &self.plugin {
            Some(plugin) => Ok(plugin.pass(time).await?),
            None => Ok(()),
        }
    }

    /// All of its instances are dropped and made anew. What it stored stays, and timers that are due go off.
    async fn restart(&mut self) -> Result<()> {
        self.sinks.detach();
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
        let plugin = self.host.load(package).await?;
        plugin.pass(Duration::ZERO).await?;
        self.plugin = Some(plugin);
        Ok(())
    }

    fn settings(&self) -> Result<Value> {
        Ok(settings::object(&self.own, self.project.schema.as_ref())?)
    }

    async fn set(&mut self, changes: &BTreeMap<String, Value>) -> Result<()> {
        let files = self.dir.path().join(FILES);
        let text = |value: &Value| match value {
            Value::String(text) => text.replace("${DIR}", &files.to_string_lossy()),
            other => other.to_string(),
        };
        let changes: Vec<String> = changes.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        self.own = settings::apply(&self.project.config, &self.own, &changes)?;
        self.restart().await
    }

    /// Only what runs already is told: files are often written before the settings that name them.
    async fn files(&mut self, files: &BTreeMap<String, Option<String>>) -> Result<()> {
        put(&self.dir.path().join(FILES), files)?;
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

/// Writes files of these names into a directory, and removes those without a text. Nobody else may read them: some are secrets.
fn put(dir: &Path, files: &BTreeMap<String, Option<String>>) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).with_context(|| dir.display().to_string())?;
    for (name, text) in files {
        let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        if !plain {
            bail!("{name:?} is not the name of a file in a directory");
        }
        let path = dir.join(name);
        let private = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        match text {
            Some(text) => private().and_then(|mut file| file.write_all(text.as_bytes())),
            None => fs::remove_file(&path),
        }
        .map_err(|e| anyhow!("{name}: {e}"))?;
    }
    Ok(())
}

/// The engine's plugin host, and a directory that goes with it. Compiled code is kept in the plugin's `build`.
pub fn host(project: &Project, clock: Clock, around: Arc<Surroundings>) -> Result<(WasmHost, TempDir)> {
    let dir = tempfile::tempdir().context("make a directory for the plugin's files")?;
    fs::create_dir(dir.path().join(FILES))?;
    let (state, secrets) = (dir.path().join("state"), dir.path().join("secrets"));
    let facts = Facts::new(OnceLock::from(around as Arc<dyn EngineFacts>));
    let host = WasmHost::new(Settings { clock, secrets, facts, ..Settings::new(code(project), state) })?;
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
