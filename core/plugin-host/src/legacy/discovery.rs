//! Where Docker's plugins announce themselves: sockets, and files that say where one is.

use super::Address;
use rustix::fs::OFlags;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result, error::Context as _};

/// The longest `.spec` or `.json` file in bytes; they hold an address.
const MAX_SPEC: u64 = 64 << 10;

/// The directories, in the order in which they are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// `NAME.sock` and `NAME/NAME.sock`.
    pub sockets: PathBuf,
    /// `NAME.spec`, `NAME/NAME.spec`, `NAME.json` and `NAME/NAME.json`.
    pub specs: Vec<PathBuf>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { sockets: "/run/docker/plugins".into(), specs: vec!["/etc/docker/plugins".into(), "/usr/lib/docker/plugins".into()] }
    }
}

impl Discovery {
    /// Where the plugin of this name is. Blocks: it reads files.
    ///
    /// # Errors
    /// 404 when there is none, 400 when its file does not say where it is.
    pub fn find(&self, name: &str) -> Result<Address> {
        // A name is one component of a path, whatever a client makes of it.
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(not_found(name));
        }
        for path in places(&self.sockets, name, "sock") {
            if fs::metadata(&path).is_ok_and(|m| m.file_type().is_socket()) {
                return Ok(Address::unix(path));
            }
        }
        for dir in &self.specs {
            for path in places(dir, name, "spec") {
                if let Some(text) = read(&path)? {
                    return Address::parse(&String::from_utf8_lossy(&text)).context(path.display());
                }
            }
            for path in places(dir, name, "json") {
                if let Some(text) = read(&path)? {
                    return Address::parse_json(&text).context(path.display());
                }
            }
        }
        Err(not_found(name))
    }

    /// The names of all plugins that are there, in order. A directory that cannot be read has none.
    pub fn list(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        for dir in std::iter::once(&self.sockets).chain(&self.specs) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                // `NAME.sock`, or the directory NAME.
                let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
                names.extend(stem.and_then(|s| s.to_str()).map(str::to_owned));
            }
        }
        names.into_iter().filter(|name| self.has(name)).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.find(name).map_or_else(|e| e.kind() != wharf_types::ErrorKind::NotFound, |_| true)
    }
}

/// In the words of Docker's look-up of plugins of any kind.
fn not_found(name: &str) -> Error {
    Error::not_found(format!("plugin {name:?} not found"))
}

fn places(dir: &Path, name: &str, extension: &str) -> [PathBuf; 2] {
    let file = format!("{name}.{extension}");
    [dir.join(&file), dir.join(name).join(file)]
}

/// The content of a file; none when there is no such file. A FIFO is not waited for.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    let regular = |file: File| match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    };
    let opened = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path).and_then(regular);
    match opened.and_then(|file| file.take(MAX_SPEC).read_to_end(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e).context(format!("reading {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::Endpoint;
    use std::os::unix::net::UnixListener;
    use wharf_types::ErrorKind;

    #[test]
    fn order_and_names() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        for dir in ["run/nested", "etc/deep", "usr"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        let write = |name: &str, text: &str| fs::write(at(name), text).unwrap();
        let _sockets = ["run/a.sock", "run/nested/nested.sock"].map(|name| UnixListener::bind(at(name)).unwrap());
        write("run/plain.sock", "not a socket");
        write("etc/a.spec", "tcp://shadowed:1");
        write("etc/b.spec", "tcp://first:1\n");
        write("etc/b.json", r#"{"Addr": "tcp://second:1"}"#);
        write("usr/b.spec", "tcp://third:1");
        write("etc/deep/deep.json", r#"{"Addr": "tcp://deep:1"}"#);
        write("usr/broken.spec", "no address");
        rustix::fs::mkfifoat(rustix::fs::CWD, at("usr/fifo.spec"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let discovery = Discovery { sockets: at("run"), specs: vec![at("etc"), at("usr"), at("missing")] };

        let found = |name: &str| discovery.find(name).map(|a| a.endpoint).map_err(|e| (e.kind(), e.message().to_owned()));
        assert_eq!(found("a"), Ok(Endpoint::Unix(at("run/a.sock"))));
        assert_eq!(found("nested"), Ok(Endpoint::Unix(at("run/nested/nested.sock"))));
        assert_eq!(found("b"), Ok(Endpoint::Tcp("first:1".to_owned())));
        assert_eq!(found("deep"), Ok(Endpoint::Tcp("deep:1".to_owned())));
        assert_eq!(found("broken").unwrap_err().0, ErrorKind::InvalidParameter);
        assert!(found("fifo").unwrap_err().1.ends_with("it is no regular file"));
        for name in ["plain", "missing", "", "../run/a", ".", "etc/a"] {
            assert_eq!(found(name), Err((ErrorKind::NotFound, format!("plugin {name:?} not found"))), "{name}");
        }
        assert_eq!(discovery.list(), ["a", "b", "broken", "deep", "fifo", "nested"]);
    }
}
