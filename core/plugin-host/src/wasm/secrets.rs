//! Secrets of a plugin: files of the operator, read each time that one is opened, never kept and never named by their content.

use super::{
    context::Cx,
    grant::{Grant, Grants},
    private,
};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::{
    fmt,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};
use wasmtime::component::Resource;
use wharf_store::open_in;
use wharf_types::Result;

/// Bytes of one secret.
const SECRET_MAX: u64 = 64 << 10;

/// Where the secrets of one plugin are.
pub(super) struct Secrets(PathBuf);

/// A secret in the engine's hands.
pub struct Secret {
    pub(super) name: String,
    bytes: Vec<u8>,
}

impl Secret {
    /// As it is in the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Without the end of the line that editors put behind a word.
    pub(super) fn word(&self) -> &[u8] {
        let word = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        word.strip_suffix(b"\r").unwrap_or(word)
    }
}

/// Never the bytes.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

impl Secrets {
    /// Below `root`, in a directory with the plugin's name.
    pub fn of(root: &Path, plugin: &str) -> Result<Self> {
        private::path_of(root, plugin).map(Self)
    }

    /// Reads one. Blocks.
    ///
    /// # Errors
    /// In words for the plugin's author and the operator.
    pub fn open(&self, name: &str, grants: &Grants) -> Result<Secret, String> {
        let allowed = |grant: &Grant| matches!(grant, Grant::Secret(mine) | Grant::Reveal(mine) if mine == name);
        if !grants.iter().any(allowed) {
            return Err(format!("no permission secret:{name}"));
        }
        let path = self.0.join(name);
        let failed = |why: &dyn fmt::Display| format!("secret {name}: {}: {why}", path.display());
        let directory = rustix::fs::open(&self.0, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let directory = File::from(directory.map_err(|e| failed(&e))?);
        if !private::own(&directory.metadata().map_err(|e| failed(&e))?) {
            return Err(failed(&"others than root can write to its directory"));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(open_in(&directory, name, flags, Mode::empty(), ResolveFlags::BENEATH).map_err(|e| failed(&e))?);
        let meta = file.metadata().map_err(|e| failed(&e))?;
        if !meta.is_file() || meta.len() > SECRET_MAX {
            return Err(failed(&format_args!("is no file, or longer than {SECRET_MAX} bytes")));
        }
        if !private::own(&meta) || meta.mode() & 0o077 != 0 {
            return Err(failed(&"others than its owner, who must be root, may read or write it (chmod 600)"));
        }
        let mut bytes = Vec::new();
        file.take(SECRET_MAX).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        Ok(Secret { name: name.to_owned(), bytes })
    }
}

/// A secret that a plugin handed over, for the rest of the engine.
///
/// # Errors
/// In words, when it has none of that handle.
pub(super) fn take(cx: &mut Cx, handle: Resource<Secret>) -> Result<wharf_spi::secret::Secret, String> {
    let secret = cx.handles.delete(handle).map_err(|e| format!("a secret that it does not have: {e}"))?;
    Ok(wharf_spi::secret::Secret::new(secret.word()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn only_what_was_granted_and_nobody_else_can_read() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("vieux%2fvolume");
        std::fs::create_dir(&dir).unwrap();
        let put = |path: &Path, mode| {
            std::fs::write(path, "hunter2\n").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        put(&dir.join("TOKEN"), 0o600);
        put(&dir.join("OPEN"), 0o640);
        put(&tmp.path().join("other"), 0o600);
        symlink("../other", dir.join("OUT")).unwrap();
        std::fs::create_dir(dir.join("DIR")).unwrap();
        let secrets = Secrets::of(tmp.path(), "vieux/volume").unwrap();
        let grants: Grants = "secret:TOKEN secret:OPEN secret:OUT secret:DIR reveal:SEEN secret:NONE".parse().unwrap();
        let secret = secrets.open("TOKEN", &grants).unwrap();
        assert_eq!((secret.bytes(), secret.word()), (&b"hunter2\n"[..], &b"hunter2"[..]));
        assert_eq!(format!("{secret:?}"), "Secret(TOKEN)");
        for (name, why) in [
            ("OPEN", "chmod 600"),
            ("OUT", "secret OUT: "),
            ("DIR", "is no file"),
            ("NONE", "No such file"),
            ("SEEN", "No such file"),
            ("ELSE", "no permission secret:ELSE"),
            ("../other", "no permission"),
        ] {
            let text = secrets.open(name, &grants).unwrap_err();
            assert!(text.contains(why) && !text.contains("hunter2"), "{name}: {text}");
        }
        put(&dir.join("TOKEN"), 0o602);
        assert!(secrets.open("TOKEN", &grants).is_err());
        put(&dir.join("TOKEN"), 0o600);
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(secrets.open("TOKEN", &grants).unwrap_err().contains("its directory"));
    }
}
