//! The files of a plugin: `config.json` and `rootfs/`, as they came in the operator's archive.

use super::fresh_id;
use rustix::fs::{Mode, OFlags, ResolveFlags, open};
use serde_json::Value;
use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
};
use wharf_api_types::plugin::PluginConfig;
use wharf_images::compress::unpack;
use wharf_layers::{
    apply::{UnpackOptions, unpack_into},
    archive::find,
    view::View,
};
use wharf_store::Trash;
use wharf_types::{Error, Result, error::Context as _};

/// How a directory with content is named.
const PREFIX: &str = "content-";
/// The longest document in a plugin that is read, in bytes.
const MAX_DOCUMENT: u64 = 1 << 20;
/// The component of a plugin.
const COMPONENT: &str = "rootfs/plugin.wasm";
/// The JSON Schema of its settings.
const SCHEMA: &str = "rootfs/settings.schema.json";

/// Unpacks an archive, packed or not, beside the document in `dir`, and reads its `config.json`. Returns the new directory's name.
///
/// # Errors
/// 400 for what is no archive or no plugin.
pub fn take(dir: &Path, archive: impl Read + Send) -> Result<(String, PluginConfig)> {
    let name = format!("{PREFIX}{}", fresh_id()?.get(..12).unwrap_or_default());
    let place = dir.join(&name);
    DirBuilder::new().recursive(true).mode(0o700).create(&place).context(place.display())?;
    let root = root(&place)?;
    let (_, mut tar) = unpack(archive).map_err(|e| Error::invalid(format!("invalid archive: {e}")).with_source(e))?;
    unpack_into(root, b"/", &mut tar, UnpackOptions::default())?;
    Ok((name, config(&place)?))
}

/// What `config.json` of the plugin in `place` says.
///
/// # Errors
/// 400 for what is no plugin.
pub fn config(place: &Path) -> Result<PluginConfig> {
    let config = read(place, "config.json")?.ok_or_else(|| Error::invalid("config.json not found"))?;
    let config = parse(&config)?;
    match fs::symlink_metadata(place.join("rootfs")) {
        Ok(found) if found.is_dir() => Ok(config),
        _ => Err(Error::invalid("no rootfs found")),
    }
}

/// Makes sure that only root can change a plugin's files.
///
/// # Errors
/// 403 naming what others can change.
pub fn trusted(place: &Path) -> Result<()> {
    for path in [place.to_owned(), place.join("config.json"), place.join("rootfs"), place.join(COMPONENT), place.join(SCHEMA)] {
        match fs::metadata(&path) {
            Ok(found) if found.uid() != 0 || found.mode() & 0o022 != 0 => {
                return Err(Error::forbidden(format!("{} can be changed by others than root", path.display())));
            }
            // Said by whoever needs it.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// The text of a `config.json`.
///
/// # Errors
/// 400 saying what is wrong with it.
pub fn parse(config: &[u8]) -> Result<PluginConfig> {
    let config = serde_json::from_slice(config).map(canonical).and_then(serde_json::from_value);
    config.map_err(|e| Error::invalid(format!("invalid config.json: {e}")))
}

/// The keys of `config.json`, which Docker's documentation writes in small letters and Docker itself in capitals: it takes both.
const KEYS: [&str; 34] = [
    "Description",
    "Documentation",
    "DockerVersion",
    "Interface",
    "Types",
    "Socket",
    "ProtocolScheme",
    "Entrypoint",
    "WorkDir",
    "User",
    "UID",
    "GID",
    "Network",
    "Type",
    "Linux",
    "Capabilities",
    "AllowAllDevices",
    "Devices",
    "Name",
    "Settable",
    "Path",
    "PropagatedMount",
    "IpcHost",
    "PidHost",
    "Mounts",
    "Source",
    "Destination",
    "Options",
    "Env",
    "Value",
    "Args",
    "Wharf",
    "Permissions",
    "Memory",
];

fn canonical(value: Value) -> Value {
    let name = |key: String| KEYS.iter().find(|k| k.eq_ignore_ascii_case(&key)).map_or(key, |k| (*k).to_owned());
    match value {
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (name(key), canonical(value))).collect(),
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        other => other,
    }
}

/// The same files in another plugin's directory. Nobody writes to them, so they are shared.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn copy(from: &Path, dir: &Path) -> Result<String> {
    let name = format!("{PREFIX}{}", fresh_id()?.get(..12).unwrap_or_default());
    link_tree(from, &dir.join(&name)).context(from.display())?;
    Ok(name)
}

fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() { link_tree(&entry.path(), &to)? } else { fs::hard_link(entry.path(), to)? }
    }
    Ok(())
}

/// The same files anew in another plugin's directory, for a process, which changes them.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn duplicate(from: &Path, dir: &Path) -> Result<String> {
    let name = format!("{PREFIX}{}", fresh_id()?.get(..12).unwrap_or_default());
    let place = dir.join(&name);
    DirBuilder::new().recursive(true).mode(0o700).create(&place).context(place.display())?;
    let (mut files, writer) = io::pipe()?;
    thread::scope(|scope| {
        let packing = scope.spawn(|| find(&View::open(from, &[], false)?, "/")?.pack_content(writer));
        let unpacked = root(&place).and_then(|root| unpack_into(root, b"/", &mut files, UnpackOptions::default()));
        drop(files);
        let packed = packing.join().map_err(|_| Error::system("packing the plugin's files panicked"))?;
        unpacked.and(packed)
    })?;
    Ok(name)
}

/// Removes content that no document names: what an interrupted change left.
pub fn sweep(dir: &Path, keep: &str, trash: &Trash) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(PREFIX)
            && name != keep
            && let Err(e) = trash.remove(&entry.path())
        {
            tracing::warn!(directory = %entry.path().display(), "cannot be removed: {e}");
        }
    }
}

/// The component in a plugin.
///
/// # Errors
/// 400 when there is none.
pub fn component(content: &Path) -> Result<PathBuf> {
    match fs::symlink_metadata(content.join(COMPONENT)) {
        Ok(found) if found.is_file() => Ok(content.join(COMPONENT)),
        _ => Err(Error::invalid(format!("{COMPONENT} not found"))),
    }
}

/// The JSON Schema of its settings, when it has one.
///
/// # Errors
/// 400 when it is no JSON.
pub fn schema(content: &Path) -> Result<Option<Value>> {
    let parse = |text: Vec<u8>| serde_json::from_slice(&text).map_err(|e| Error::invalid(format!("invalid {SCHEMA}: {e}")));
    read(content, SCHEMA)?.map(parse).transpose()
}

fn root(place: &Path) -> Result<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(place, flags, Mode::empty()).map_err(io::Error::from).context(place.display())
}

/// A file inside; links lead nowhere else.
fn read(place: &Path, file: &str) -> Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match wharf_store::open_in(&root(place)?, file, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        opened => File::from(opened.map_err(io::Error::from).context(file)?),
    };
    let mut text = Vec::new();
    let kind = opened.metadata()?;
    if !kind.is_file() || kind.len() > MAX_DOCUMENT {
        return Err(Error::invalid(format!("{file} is no file, or longer than {MAX_DOCUMENT} bytes")));
    }
    opened.take(MAX_DOCUMENT).read_to_end(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_letters() {
        let text = serde_json::json!({"interface": {"types": ["docker.authz/1.0"], "PROTOCOLSCHEME": "x"}, "env": [{"name": "A", "value": "b"}], "ipchost": true});
        let config: PluginConfig = serde_json::from_value(canonical(text)).unwrap();
        assert_eq!((config.interface.types.len(), config.interface.protocol_scheme.as_str(), config.ipc_host), (1, "x", true));
        assert_eq!((config.env[0].name.as_str(), config.env[0].value.as_deref()), ("A", Some("b")));
    }
}
