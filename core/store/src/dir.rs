//! A directory of documents, one per object.

use crate::{
    atomic::{Durability, is_leftover, write_atomic},
    doc::{self, Doc},
    sync_dir,
    trash::Trash,
};
use rustix::fs::{self, RenameFlags};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    io,
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use wharf_types::{Error, Result, error::Context};

/// A document that could not be read at boot and was moved out of the way. Nothing is deleted: repair the text and move it back.
#[derive(Debug)]
pub struct Quarantined {
    /// The object's key.
    pub key: String,
    /// Where the file, or the object's whole directory, is now.
    pub moved_to: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// The documents by key, and those that could not be read.
pub type Loaded<T> = (Vec<(String, T)>, Vec<Quarantined>);

#[derive(Debug)]
enum Layout {
    /// `<root>/<key>.json`
    Files,
    /// `<root>/<key>/<file>`, with other files of the object beside it
    Dirs { file: &'static str, trash: Trash },
}

/// Documents of one type, by key. A key is a file name: not empty, no `/`, no leading dot.
///
/// Writers of one key must not race; different keys are independent.
#[derive(Debug)]
pub struct DocDir<T> {
    root: PathBuf,
    layout: Layout,
    durability: Durability,
    /// Fields that this version does not know, by key; written back by [`DocDir::put`].
    extras: Mutex<HashMap<String, Map<String, Value>>>,
    body: PhantomData<fn() -> T>,
}

const SUFFIX: &str = ".json";
const CORRUPT: &str = ".corrupt-";

impl<T: Serialize + DeserializeOwned> DocDir<T> {
    /// Documents as files `<root>/<key>.json`. Creates the directory.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn files(root: &Path, durability: Durability) -> Result<Self> {
        Self::new(root, Layout::Files, durability)
    }

    /// Documents as `<root>/<key>/<file>`: the object's directory may hold more files. Removal goes through `trash`, which must lie
    /// on the same mount. Creates `root`.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn dirs(root: &Path, file: &'static str, trash: Trash, durability: Durability) -> Result<Self> {
        Self::new(root, Layout::Dirs { file, trash }, durability)
    }

    fn new(root: &Path, layout: Layout, durability: Durability) -> Result<Self> {
        std::fs::create_dir_all(root).context(format_args!("create {}", root.display()))?;
        Ok(Self { root: root.to_owned(), layout, durability, extras: Mutex::default(), body: PhantomData })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that holds `key`'s document.
    ///
    /// # Errors
    /// When `key` cannot be a file name.
    pub fn path(&self, key: &str) -> Result<PathBuf> {
        if key.is_empty() || key.starts_with('.') || key.contains(['/', '\0']) {
            return Err(Error::system(format!("{key:?} cannot be the name of a document")));
        }
        Ok(match &self.layout {
            Layout::Files => self.root.join(format!("{key}{SUFFIX}")),
            Layout::Dirs { file, .. } => self.root.join(key).join(file),
        })
    }

    /// Reads every document, in the order of their keys. What a crash left behind is removed: temporary files, and directories whose
    /// document was never written. An unreadable document is moved aside and reported; it never makes this fail.
    ///
    /// # Errors
    /// Only when the directory itself cannot be read.
    pub fn load_all(&self) -> Result<Loaded<T>> {
        let mut names = file_names(&self.root).context(format_args!("read {}", self.root.display()))?;
        names.sort();
        let (mut documents, mut quarantined) = (Vec::new(), Vec::new());
        for name in names {
            if is_leftover(&name) {
                let _ = std::fs::remove_file(self.root.join(&name));
                continue;
            }
            let Some(key) = self.key_of(&name) else { continue };
            match self.load(key) {
                Ok(Some(body)) => documents.push((key.to_owned(), body)),
                Ok(None) => self.discard_unfinished(key),
                Err(e) => match self.quarantine(key, &name, &e) {
                    Ok(q) => quarantined.push(q),
                    Err(e) => tracing::error!(document = %self.root.join(&name).display(), "cannot be moved aside: {e}"),
                },
            }
        }
        Ok((documents, quarantined))
    }

    /// Whether documents stand aside, from this start or an earlier one: then what seems to have no owner may have one.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn any_aside(&self) -> Result<bool> {
        let names = file_names(&self.root).context(format_args!("read {}", self.root.display()))?;
        Ok(names.iter().any(|n| n.contains(CORRUPT)))
    }

    /// The key behind a directory entry; `None` for foreign names and for quarantined ones.
    fn key_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let key = match self.layout {
            Layout::Files => name.strip_suffix(SUFFIX)?,
            Layout::Dirs { .. } => name,
        };
        (!key.is_empty() && !key.starts_with('.') && !key.contains(CORRUPT)).then_some(key)
    }

    fn load(&self, key: &str) -> Result<Option<T>> {
        let path = self.path(key)?;
        if let (Layout::Dirs { .. }, Some(dir)) = (&self.layout, path.parent()) {
            if !std::fs::symlink_metadata(dir)?.is_dir() {
                return Err(Error::system("not a directory"));
            }
            for name in file_names(dir)?.iter().filter(|n| is_leftover(n)) {
                let _ = std::fs::remove_file(dir.join(name));
            }
        }
        let Some(doc) = Doc::<T>::read(&path)? else { return Ok(None) };
        if !doc.extra.is_empty() {
            self.extras().insert(key.to_owned(), doc.extra);
        }
        Ok(Some(doc.body))
    }

    fn discard_unfinished(&self, key: &str) {
        if let Layout::Dirs { trash, .. } = &self.layout {
            let dir = self.root.join(key);
            tracing::info!(directory = %dir.display(), "has no document: what an interrupted creation left, removed");
            if let Err(e) = trash.remove(&dir) {
                tracing::warn!(directory = %dir.display(), "cannot be removed: {e}");
            }
        }
    }

    fn quarantine(&self, key: &str, name: &str, reason: &Error) -> Result<Quarantined> {
        let from = self.root.join(name);
        let moved_to = move_aside(&from).context(format_args!("move {} aside", from.display()))?;
        tracing::error!(document = %from.display(), moved_to = %moved_to.display(), "unreadable, moved aside: {reason}");
        Ok(Quarantined { key: key.to_owned(), moved_to, reason: reason.message().to_owned() })
    }

    /// Writes `key`'s document; in the directory layout its directory is made when missing.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn put(&self, key: &str, body: &T) -> Result<()> {
        let path = self.path(key)?;
        let text = doc::encode(body, self.extras().get(key).unwrap_or(&Map::new()))?;
        if let Layout::Dirs { .. } = self.layout {
            let dir = self.root.join(key);
            match std::fs::create_dir(&dir) {
                Ok(()) if self.durability == Durability::Synced => sync_dir(&self.root)?,
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).context(format_args!("create {}", dir.display())),
                _ => {}
            }
        }
        write_atomic(&path, &text, self.durability)
    }

    /// Removes `key`'s document, in the directory layout with everything beside it. A missing one is no error.
    ///
    /// # Errors
    /// When the file or directory cannot be removed.
    pub fn remove(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        self.extras().remove(key);
        match &self.layout {
            Layout::Dirs { trash, .. } => trash.remove(&self.root.join(key)),
            Layout::Files => {
                match std::fs::remove_file(&path) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e).context(format_args!("remove {}", path.display())),
                    _ => {}
                }
                if self.durability == Durability::Synced {
                    sync_dir(&self.root)?;
                }
                Ok(())
            }
        }
    }

    fn extras(&self) -> MutexGuard<'_, HashMap<String, Map<String, Value>>> {
        self.extras.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renames `path` to the first free `<path>.corrupt-<n>`.
///
/// # Errors
/// What the rename answers.
pub fn move_aside(path: &Path) -> io::Result<PathBuf> {
    aside(path, |to| fs::renameat_with(fs::CWD, path, fs::CWD, to, RenameFlags::NOREPLACE))
}

/// As [`move_aside`], but the file keeps its name, too: for one that is about to be replaced.
///
/// # Errors
/// What making the link answers.
pub fn link_aside(path: &Path) -> io::Result<PathBuf> {
    aside(path, |to| fs::link(path, to))
}

fn aside(path: &Path, place: impl Fn(&Path) -> rustix::io::Result<()>) -> io::Result<PathBuf> {
    let mut n = 1u32;
    loop {
        let mut to = path.as_os_str().to_owned();
        to.push(format!("{CORRUPT}{n}"));
        let to = PathBuf::from(to);
        match place(&to) {
            Ok(()) => return Ok(to),
            Err(rustix::io::Errno::EXIST) => n += 1,
            Err(e) => return Err(e.into()),
        }
    }
}

fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    // A name that is no UTF-8 is none of ours.
    std::fs::read_dir(dir)?.filter_map(|entry| entry.map(|e| e.file_name().into_string().ok()).transpose()).collect()
}

#[cfg(test)]
mod tests;
