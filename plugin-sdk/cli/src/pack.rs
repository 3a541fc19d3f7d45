//! `wharf-plugin pack`

use crate::{project::Project, session, test::runtime};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::Path,
    sync::Arc,
};
use wharf_engine::plugins::{
    COMPONENT,
    privileges::{capability, interface, word},
};
use wharf_plugin_host::wasm::{Clock, Description};

/// Makes `dist/` and `dist.tar`, when everything fits.
pub fn run(project: &Project) -> Result<()> {
    let component = project.component()?;
    let (host, _dir) = session::host(project, Clock::System, Arc::default())?;
    let description = runtime()?.block_on(host.describe(component.clone()))?;
    check(project, &description)?;

    // At once or not at all.
    let (dist, new) = (project.dir.join("dist"), project.dir.join(".dist.new"));
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    fs::create_dir_all(new.join("rootfs")).with_context(|| new.display().to_string())?;
    fs::copy(project.dir.join("config.json"), new.join("config.json"))?;
    fs::write(new.join("rootfs/plugin.wasm"), &component)?;
    if let Some(schema) = project.schema_file() {
        fs::copy(schema, new.join("rootfs/settings.schema.json"))?;
    }
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::rename(&new, &dist)?;
    archive(&dist, &project.dir.join("dist.tar"))?;

    println!("{} and dist.tar: {} ({})", dist.display(), kinds(&description), description.digest);
    println!(
        "permissions: {}",
        if project.config.wharf.permissions.is_empty() { "none".into() } else { project.config.wharf.permissions.join(" ") }
    );
    println!("next: docker plugin create {} {}", project.name, dist.display());
    Ok(())
}

/// The same bytes for the same files.
fn archive(dir: &Path, to: &Path) -> Result<()> {
    let mut tar = tar::Builder::new(File::create(to).with_context(|| to.display().to_string())?);
    tar.mode(tar::HeaderMode::Deterministic);
    tar.append_dir_all(".", dir)?;
    tar.into_inner()?.sync_all()?;
    Ok(())
}

fn kinds(description: &Description) -> String {
    description.kinds.iter().map(|kind| word(*kind)).collect::<Vec<_>>().join(", ")
}

/// Everything that would keep an engine from taking or enabling it, at once.
fn check(project: &Project, description: &Description) -> Result<()> {
    let config = &project.config;
    let mut wrong = Vec::new();
    if !description.lifecycle {
        wrong.push("the component does not export wharf:plugin/lifecycle, as every plugin must".to_owned());
    }
    if description.kinds.is_empty() {
        wrong.push("the component exports none of the kinds of plugins, such as wharf:authz/authorizer".to_owned());
    }
    if config.interface.protocol_scheme != COMPONENT {
        wrong.push(format!("config.json needs \"Interface\": {{\"ProtocolScheme\": \"{COMPONENT}\"}}"));
    }
    for name in description.kinds.iter().map(|kind| interface(*kind)) {
        if !config.interface.types.iter().any(|t| capability(t) == Some(name)) {
            wrong.push(format!("config.json needs \"docker.{name}/1.0\" in Interface.Types, since the component exports that"));
        }
    }
    for import in description.imports.iter().filter(|i| !i.starts_with("wharf:host/")) {
        wrong.push(format!("the component imports {import}, which no engine offers"));
    }
    let word = |permission: &str| match permission.split(':').next().unwrap_or_default() {
        // One interface each.
        "tcp" | "tls" | "udp" | "unix" => "sockets".to_owned(),
        "secret" | "reveal" => "secrets".to_owned(),
        other => other.to_owned(),
    };
    let (needs, has) = (&description.permissions, &config.wharf.permissions);
    for need in needs.iter().filter(|need| !has.iter().any(|p| word(p) == word(need))) {
        wrong.push(format!("config.json needs \"{need}\" in Wharf.Permissions, since the component imports what that is for"));
    }
    for extra in has.iter().filter(|p| !p.starts_with("mount:") && !needs.iter().any(|n| word(n) == word(p))) {
        wrong.push(format!("config.json asks for the permission \"{extra}\", which the component has no use for"));
    }
    if wrong.is_empty() { Ok(()) } else { bail!("{} is not ready:\n  {}", project.name, wrong.join("\n  ")) }
}
